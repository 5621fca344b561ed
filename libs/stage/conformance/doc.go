// Package conformance holds the tests that say what a stage on a Kafka cluster is. They run on the embedded broker, and on a
// real cluster when KAFKA_BROKERS names one:
//
//	deploy/kafka/run-kafka.sh exec -- go test ./libs/stage/conformance/
//
// The crash tests start the test program again as a child, kill it with SIGKILL between two steps of settling a batch, and
// look at what is left.
package conformance
