// Package runlog records what became of events and writes: it takes outcomes from their topic into the store, and forgets
// them when their time is over.
package runlog
