// Package deadletter turns a record that failed for good into a message of tl.deadletters.v1, and back into the record
// for replay. The original bytes travel sealed with the installation's key, because nobody knows what is in them
// (promise 8); what surrounds them is in clear only for the pipeline's own topics, whose keys and headers name nobody.
//
// The package decides nothing: who gives a record up, and why, is the stage's affair.
package deadletter
