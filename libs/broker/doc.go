// Package broker runs a Kafka broker inside the process: franz-go's kfake, which speaks the real protocol over TCP. Tests,
// `throughline demo` and `serve --embedded` use it, so that the same wire path runs with nothing installed.
//
// It is one node without replication, for one machine, and no place for production data. With Config.Dir set, what it has
// acknowledged survives the death of the process (kill -9), because every batch and every committed offset is written to
// a file before the answer; TestKeepsWhatItAcknowledgedWhenKilled checks that. It survives the death of the machine
// only with Config.Sync, which costs a disk flush per batch. A record it could not write, on a full disk, is refused and
// the producer tries again; a committed offset it could not write is kept in memory and may come back as repeats.
//
// Without Dir all records stay in memory until their retention is over: about 0.8 KiB per record of 330 bytes, so a test
// should start a broker of its own and close it. With Dir only an index of the batches does.
package broker
