// Package replay feeds dead letters back to the topics they came from: the original bytes, key and headers, so that every
// idempotency key is the same as before and what has been done already is not done again (promise 3).
//
// Only if asked it goes further back: mapping decides anew, or identity looks up anew whom it is about. Then what that stage read
// is fed instead, found by the resolved record that a failed write was made from, with a header that names the write, so that
// nothing else comes of it. Another header puts all writes that come of a replay in the bulk class (XC-10).
//
// It reads tl.deadletters.v1 up to what was its end at the start, holds one batch at a time, and changes nothing unless
// it is given a Publisher. Whether a replayed record now passes is its stage's affair: if not, it becomes a new dead letter.
package replay
