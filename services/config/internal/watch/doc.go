// Package watch keeps the newest settings, encoded, and tells watchers when there are newer ones. A watcher that is slow
// skips revisions but never sees an older one after a newer one.
//
// A watcher that says which revision it has is told only what changed since, if that is known; else everything. Correctness
// does not rest on who notes changes: what was read is compared, byte by byte, with what was there.
package watch
