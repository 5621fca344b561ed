// Package watch keeps the newest snapshot of all settings and tells watchers when there is a newer one. A watcher that
// is slow skips revisions but never sees an older one after a newer one.
package watch
