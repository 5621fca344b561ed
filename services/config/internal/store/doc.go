// Package store keeps settings, credentials and the run log in SQL: SQLite when everything runs on one machine,
// PostgreSQL when config has replicas. Both pass the conformance suite of package storetest, which defines what a
// store is.
//
// Settings are versioned documents: a body that anybody entitled may read, and optionally sealed bytes that the store
// cannot read either. Every save checks the version the writer has seen, appends to the history and raises the one
// revision that watchers follow, all in one transaction.
//
// Every method takes the workspace and looks at nothing outside it (promise 9); the two that serve the data plane as a
// whole, Snapshot and PurgeOutcomes, say so.
package store
