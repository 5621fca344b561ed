// Package writer is the only service that changes records in Salesforce. It consumes the writes topic, sends what is
// there in collections of up to 200 records per request, and tells one outcome for every write.
//
// Each connection has a lane of its own, with its own queue, pace and limits, so that a dead or slow org holds up nobody
// else. What a lane cannot take is parked on a topic and comes back. A ledger, on a compacted topic of the same
// partitioning, remembers what was intended and done for every write key, so that nothing is done twice and nothing older
// overwrites anything newer.
package writer
