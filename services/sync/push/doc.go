// Package push carries out runs of report pushes: it brings the rows of a delivery into the records of an org that have the same key,
// and never creates or deletes one (WALK-23).
//
// A worker claims a run, reads the delivery twice, and holds little of it: first the hashes of all keys, to find those that several
// rows have before anything is written (WALK-26), then chunk after chunk. For each chunk it asks Salesforce which records have the
// keys and what they hold, compares, and hands a write for every record that is to change to the writer, which spends the budget and
// chooses the API. When Kafka has acknowledged the writes the chunk is recorded with the config service, and only then counts as done:
// whoever takes the run over begins with the next one. Writes have the same key for the same push and record, and the run's number
// as their revision, so that a chunk that is done twice changes nothing twice (promises 4 and 5).
//
// An org that is away, paused or out of calls makes the run wait with a note; what can never work ends it with the reason.
package push
