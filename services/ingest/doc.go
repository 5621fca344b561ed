// Package ingest is the service at the beginning of the flow: it takes raw viewing events from customers' Kafka topics
// and over HTTP, checks and normalises them, seals whom they are about, and produces tl.activities.v1.
//
// It refuses what is not an event of a known workspace: from Kafka such a record is dead-lettered with its original
// bytes, over HTTP the producer is answered. What is well-formed but must not be recorded (tracking switched off, the
// creator's own view) is skipped. Both leave an outcome with a stable reason. It keeps no state and does not recognise
// repeated events; the visits they belong to do.
//
// Package event knows the format, package intake the rules, package edge HTTP, and package rows takes the rows of reports.
// docs/source-events.md and docs/source-reports.md are for producers.
package ingest
