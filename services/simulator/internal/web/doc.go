// Package web shows the simulated orgs to people: what records they hold, what arrived on a lead's or contact's page — the
// videos and documents they looked at, the tasks that were made — in the org's language and time zone.
package web
