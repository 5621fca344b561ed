// Package changes tells the pipeline what changed in the orgs: it subscribes to the change events of the objects that identity
// remembers, over Salesforce's Pub/Sub API, and writes to tl.changes.v1 which records they are about (XC-42).
//
// A connection is subscribed to by whoever has the partition of tl.changes.v1 that its key belongs to: Kafka's assignment is
// the only lock. Where a subscription is to go on lies in a compacted topic of the same partitions. What it publishes holds
// no value of any record.
package changes
