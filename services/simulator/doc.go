// Package simulator is a Salesforce to develop and test against: several orgs in one process, with sign-in, describe, records,
// collections, queries, limits, the rules of the standard objects, scripted faults, and pages that show a person what
// arrived. It shares no code with the client that this project writes with, so that the two check each other.
//
// Each org has its own address, BaseURL(key), which serves as login address and as instance address. The control API under
// /_sim/ makes orgs, scripts faults, moves the clock and exports records; docs/simulator.md describes it and the scenario
// format. With Config.Dir set, everything that was answered as saved survives a kill -9.
package simulator
