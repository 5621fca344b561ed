package collect

import "sync/atomic"

// Stats counts what the processors of all partitions did. A batch that was repeated after a failure counts again. Safe
// for concurrent use.
type Stats struct {
	// Opened and Closed visits; one that is reopened is closed again.
	Opened, Closed atomic.Int64
	// Sent revisions, and Moved visits, which stronger evidence took from one person to another.
	Sent, Moved atomic.Int64
	// Registered counts registrations, which are passed on.
	Registered atomic.Int64
	// Repeated activities, which had no effect.
	Repeated atomic.Int64
	// Anonymous visits closed with nobody known.
	Anonymous atomic.Int64
	// Forgotten visits.
	Forgotten atomic.Int64
	// Erased activities and visits, whose person was erased.
	Erased atomic.Int64
	// Unreadable state entries found at a start.
	Unreadable atomic.Int64
}
