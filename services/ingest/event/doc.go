// Package event reads what producers send: CloudEvents in JSON, structured or binary, and bare protobuf. All of them
// become one sourcev1.ViewingEvent, which is then tidied and checked.
//
// The package knows the format and nothing else: not who may send what, not the settings, not the time. Whatever is
// wrong with the bytes is a Refusal with a stable reason; nothing panics and no refusal quotes a value, because values
// may be personal data (promise 8). docs/source-events.md is the same in words, docs/schema the same as JSON Schema.
package event
