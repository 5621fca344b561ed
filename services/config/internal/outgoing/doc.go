// Package outgoing knows which networks our calls to Salesforce come from, and tells of changes at least 30 days ahead, for
// customers whose orgs let in known addresses only (IMM-4). It remembers what was announced when, and refuses a configuration
// that would take a network into use sooner. It publishes and no more: that calls leave through these networks is for the
// installation's network to see to.
package outgoing
