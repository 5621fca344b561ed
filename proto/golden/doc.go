// Package golden keeps one stored blob of every message that is put into Kafka, as each released version wrote it, and
// proves that this version still reads them all and writes them back byte for byte. It has no code outside its tests.
package golden
