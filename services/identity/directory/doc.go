// Package directory finds the Salesforce records that an address can mean.
//
// Salesforce is its one implementation so far: it asks each org by SOQL, for up to 200 addresses with one query per
// object, and remembers the answers for a short while. A people table that follows the orgs' changes will be another; who
// asks sees no difference but the age of the answers.
package directory
