// Package fresh knows what changed in the orgs since something was read of them, so that answers are not used that are older
// than the change (XC-42). It holds record ids and keyed hashes, for as long as answers may be remembered.
package fresh
