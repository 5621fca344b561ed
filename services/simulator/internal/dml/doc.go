// Package dml changes an org's records under Salesforce's rules: types and lengths, required fields, picklists,
// permissions, references, unique keys, and what the standard objects do on top — owners, tasks, campaign members,
// converted leads. Every refusal carries the status code and the text that Salesforce gives.
//
// It takes no locks: the caller lets one Writer work at a time.
package dml
