// Package orgs keeps one Salesforce client per connection. Access tokens come from the config service, the only one that
// holds grants; a token is asked for once however many callers wait, kept until it expires or Salesforce refuses it, and
// never leaves the process.
package orgs
