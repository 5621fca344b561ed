// Package delivery brings writes into Salesforce: one handler per partition of the writes topic, in it one lane per
// connection, and per lane as many requests at a time as the org bears.
//
// A write leaves in one of three ways. It ends: its outcome is published, after the ledger knows what was done. It is
// parked: it lies on the parked topic. Or the process stops, and it comes again. Only in the first two cases is its
// offset settled (promise 2), and no lane waits for another (promise 6).
package delivery
