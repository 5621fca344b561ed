package stage

import "time"

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record as it was read. Its byte slices belong to the runtime: a handler must not change them, and
// must copy what it keeps beyond the call.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	// Time is the broker's record timestamp.
	Time    time.Time
	Key     []byte
	Value   []byte
	Headers []Header
}

// OffsetRange is a part of a partition: from the offset Start on, up to but without End.
type OffsetRange struct{ Start, End int64 }

// Header returns the value of the first header with the key, or nil.
func (r *Record) Header(key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}

// TraceParent returns the record's W3C trace context, or "".
func (r *Record) TraceParent() string { return string(r.Header(HeaderTraceParent)) }

// Names of the headers every record carries: CloudEvents in Kafka binary mode, and W3C trace context.
const (
	HeaderTraceParent = "traceparent"
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderTime        = "ce_time"
	HeaderContentType = "content-type"
)

// Message is one record to produce. The runtime adds the CloudEvents headers from ID, Type and Time, its own name as
// the source, and the trace context.
type Message struct {
	Topic string
	// Key decides the partition (Murmur2, as Kafka's Java client does).
	Key []byte
	// Value is the payload; nil writes a tombstone.
	Value []byte
	// ID becomes ce_id. Deterministic, so that a repeated message is recognised.
	ID string
	// Type becomes ce_type, e.g. "throughline.visit.v1".
	Type string
	// Time becomes ce_time: when the fact happened.
	Time time.Time
	// TraceParent is the trace context of the record that caused the message: Record.TraceParent of the input, or
	// what the handler kept of it. Empty starts no trace.
	TraceParent string
	// Headers are added as they are.
	Headers []Header
}

// Entry is one entry of a compacted state topic. A nil Value deletes the key.
type Entry struct {
	Key   string
	Value []byte
}

// Partition names one partition of one input topic.
type Partition struct {
	Topic string
	ID    int
}

// DeadLetter is a record that failed for good.
type DeadLetter struct {
	Record Record
	// Stage is the name of the stage that gave up.
	Stage string
	// Reason is a stable code, e.g. "BAD_SCHEMA".
	Reason string
	// Detail says in one sentence what is wrong and what to do next. It must not quote a secret or a personal datum.
	Detail string
	// Bare asks for a letter without the record's value and headers, because one with them is larger than the dead-letter
	// topic accepts. The record still lies in its topic, at its offset.
	Bare bool
	// Attempts counts how often the record was handled.
	Attempts int
	// Time is when it was given up.
	Time time.Time
}
