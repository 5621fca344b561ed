// Package ledger decides what must still be done about a write, from the record of what was intended and done for its
// key. It reads and builds entries; somebody else saves them, and must have saved the intent of an insert before the
// call goes out.
//
// An entry is forgotten when it is much older than any event can be: until then a repeated event finds it.
package ledger
