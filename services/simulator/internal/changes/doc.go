// Package changes turns the commits of an org into change events, as Change Data Capture does: which events a commit gives,
// their Avro schemas and payloads, and the log that keeps them for 72 hours with ids to go on from. It does not deliver them.
package changes
