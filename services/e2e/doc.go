// Package e2e holds no code but tests: of everything together, from a customer's topic to the records in an org, over the
// real wire path. They run on a broker embedded in the test, or on the cluster that KAFKA_BROKERS names.
package e2e
