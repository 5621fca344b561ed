// Package deliveries knows the deliveries of reports in tl.rows.v1: which are complete, and how to read one.
//
// The processor follows a partition and remembers, for every delivery that has begun, which row comes next; when the end marker
// comes it tells the config service where the delivery lies, or why it must not be pushed: rows are missing, or are not as many as
// the marker says (WALK-9). A delivery that is begun anew forgets what came before. Rows are not opened for that.
//
// Read hands out the rows of a delivery one by one, in order, with one fetch of the topic in memory.
package deliveries
