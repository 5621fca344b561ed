// Package wire reads activities from, and writes visits to, their protobuf form.
//
// Activities are the pipeline's largest stream and most of an activity is a description of the content that its visit
// knows already. ReadActivity therefore reads the wire format itself and borrows every text from the record, which
// takes a fifth of the time of building the message; a fuzz test holds it to what the generated code reads. Everything
// else, some twenty times rarer, goes through the generated code.
package wire
