// Package demo runs everything in one process: an embedded Kafka, simulated Salesforce orgs, all services, a stream of
// viewing events and, at the end, the verdict of the oracle on every record. It survives being killed at any moment: started
// again on the same folder it goes on where it was.
package demo
