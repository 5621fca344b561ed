// Package kafka is the one place that imports a Kafka client. It gives package stage its Broker, and everyone else a
// small Client: publish, create topics, scan, ask for lag.
//
// Built on kafka-go v0.4.51, with these choices, each made because of how that version behaves:
//
//   - Groups use ConsumerGroup and Generation, never Reader: a Reader hands out records of partitions it has lost, and
//     commits under whatever generation is current. Generation.CommitOffsets carries the generation and is fenced.
//   - Records are fetched through Transport with an exchange of our own (see fetch.go). kafka-go's decoder drops a batch's
//     last offset, so a partition whose newest records were compacted away, or that ends in a transaction marker, would
//     never move on; it also allocates twice per header, and our records carry seven.
//   - Records are produced with raw produce requests, one per broker for all partitions of a call (see produce.go).
//     kafka-go's Writer needs one batch timeout per partition and splits a call into one request per partition.
//
// There is no transaction support in kafka-go's encoder, so delivery is at least once; repeats are made harmless by the
// stages (docs/invariants.md, promise 5). Fetches are read-committed, so that a customer's transactional producer is read
// correctly.
package kafka
