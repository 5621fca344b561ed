// Package stage runs one step of a Kafka pipeline: it fetches records, hands them to a handler, produces what the
// handler made of them, saves the handler's state and only then commits the offsets.
//
// There are two kinds of stage. A Pipeline gives batches to a Processor, one worker per partition, and settles a
// batch as a whole. A Sink takes records one by one, lets its handler settle them in any order, and commits the
// gapless prefix. Both keep promises 1, 2 and 3 of docs/invariants.md; nothing else in the project settles a record or
// commits an offset.
//
// Handlers are plain Go: records in, messages out. They see no Kafka client, no telemetry SDK and no clock but the
// time they are given. Package stage/kafka is the only one that imports a Kafka client.
package stage
