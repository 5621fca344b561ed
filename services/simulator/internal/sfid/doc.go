// Package sfid makes and reads Salesforce record ids: 15 case-sensitive base62 characters, and the 18-character form
// that adds three checksum characters so that an id survives systems that ignore case.
package sfid
