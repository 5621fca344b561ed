// Package replay feeds dead letters back to the topics they came from: the original bytes, key and headers, so that every
// idempotency key is the same as before and what has been done already is not done again (promise 3).
//
// Only if asked it lets mapping decide anew: then the resolved record that a failed write was made from is fed instead, with a
// header that names the write.
//
// It reads tl.deadletters.v1 up to what was its end at the start, holds one batch at a time, and changes nothing unless
// it is given a Publisher. Whether a replayed record now passes is its stage's affair: if not, it becomes a new dead letter.
package replay
