// Package queue orders the pending writes of one org: which may share a request, which must wait for each other, and which
// is overtaken by a newer one before it was ever sent.
//
// It holds three rules. A record is in at most one request at a time, and once in it. A lock parent is in at most one
// request at a time. Of several pending revisions of one write only the newest is kept, unless the first one counts.
//
// It is a data structure without clocks, locks or I/O; the caller serialises the calls.
package queue
