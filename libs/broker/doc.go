// Package broker runs a Kafka broker inside the process: franz-go's kfake, which speaks the real protocol over TCP. Tests,
// `throughline demo` and `serve --embedded` use it, so that the same wire path runs with nothing installed.
//
// It is one node without replication, for one machine. What it promises: with Config.Dir set, what it has acknowledged
// survives the death of the process (kill -9), because every batch and every committed offset is written to a file before
// the answer; it does not survive the death of the machine unless Config.Sync is set, which costs a disk flush per batch.
// Without Dir everything lives in memory and grows until Close: about 0.8 KiB per record of 330 bytes, so a test should
// start its own broker and close it. Retention works per topic as in Kafka; compaction runs in the background.
package broker
