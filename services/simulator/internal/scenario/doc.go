// Package scenario is the file format that describes simulated orgs: their settings, users, apps, rules and records, and the
// faults that befall them. docs/simulator.md is its reference.
package scenario
