// Package rows takes the rows of reports over HTTP: POST /v1/reports/{report}/deliveries/{delivery} with a begin marker, one row a
// line, and an end marker (WALK-8), or with CSV. A delivery is streamed: however long it is, what is in memory is one batch.
//
// Rows are sealed in batches with the workspace's key and go to tl.rows.v1, all of a delivery into one partition, between markers.
// The 2xx comes after Kafka has acknowledged the end marker. A delivery without one, or with another number of rows than it says,
// is never pushed; to send it again begins it anew.
//
// A row that is too large or cannot be read counts and has no cells; the run lists it. What cannot be taken apart into rows at all
// is refused as a whole.
package rows
