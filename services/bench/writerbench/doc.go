// Package writerbench measures the writer service: the real one, over Kafka, against the simulator. `throughline bench writer`
// prints it.
//
// It answers three questions, each against a baseline that is stated beside the figure: how close records/s come to what
// Collections allow (200 × requests in flight ÷ latency), how many API calls 1,000 delivered records cost when records
// trickle, flow and pile up, and how much later records reach healthy orgs while others are dead.
//
// It judges nothing but speed and calls: a record whose outcome is not WRITTEN ends the run with an error.
package writerbench
