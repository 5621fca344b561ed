// Package world makes up the customers of a demo or a test: workspaces, the Salesforce org of each with its users,
// queues, accounts, leads and contacts, the contents people look at, and the viewers who look.
//
// A world is a plain value, derived from a seed alone: it knows no Kafka, no settings and no simulator. The generator
// draws its traffic from it, a simulator is filled with its orgs, and the oracle reads the same values to work out
// what must come of it. It holds every awkward case the matching rules speak of: several leads and contacts with one
// address and equal dates, converted leads with and without a contact, shared mailboxes, owners who have left, queues,
// addresses that differ in case, spaces or the form of their domain.
package world
