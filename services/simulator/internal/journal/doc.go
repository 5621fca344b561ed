// Package journal keeps the simulated orgs in a SQLite file, so that what was answered as saved is there after the
// process is killed. Changes are queued in the order in which they were made and written in groups; an answer waits
// until everything it shows is on disk.
package journal
