// Package keys compares keys of rows with keys of records, and finds the keys that several rows of a delivery have.
//
// A Rule says how: e-mail addresses without regard to case and surrounding spaces, ids in their form of 18 characters, numbers by
// value, texts exactly or, when chosen so, without regard to case; full-width letters count as the usual ones, and braces around
// GUIDs do not count (WALK-39). What Salesforce finds is held against the rule again, so that nothing depends on how an org compares.
//
// An Index takes 32 bytes a row while it is built and one byte a row after that, and holds no key: only hashes under a seed of the
// process (WALK-37, promise 8).
package keys
