package parking

import (
	"strconv"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Names of the headers of a parked write.
const (
	headerSince  = "tl-parked-since"
	headerReason = "tl-parked-reason"
	headerTimes  = "tl-parked-times"
	headerDue    = "tl-parked-due"
	headerClass  = "tl-parked-class"
)

// Ticket is what a parked write carries.
type Ticket struct {
	// Since is when it was parked first.
	Since time.Time
	// Reason is why it was parked last.
	Reason streamv1.Reason
	// Class is the budget class of the write; unspecified when a program parked it that did not note it.
	Class streamv1.Priority
	// Times is how often it was parked.
	Times int
	// Due is when it may be tried again.
	Due time.Time
}

// Of reads a record's ticket; ok is false when it was never parked. Headers that make no sense count as absent.
func Of(rec *stage.Record) (t Ticket, ok bool) {
	since, ok := millis(rec.Header(headerSince))
	if !ok {
		return Ticket{}, false
	}
	t.Since = since
	t.Due, _ = millis(rec.Header(headerDue))
	if times, err := strconv.Atoi(string(rec.Header(headerTimes))); err == nil && times > 0 {
		t.Times = times
	}
	t.Reason = streamv1.Reason(streamv1.Reason_value["REASON_"+string(rec.Header(headerReason))])
	t.Class = streamv1.Priority(streamv1.Priority_value[string(rec.Header(headerClass))])
	return t, true
}

func millis(header []byte) (time.Time, bool) {
	ms, err := strconv.ParseInt(string(header), 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// Delay is how long a write stays parked at least.
type Delay struct {
	// Min is the first wait; it doubles with every return, up to Max.
	Min, Max time.Duration
}

func (d Delay) after(times int) time.Duration {
	wait := d.Min
	for i := 1; i < times && wait < d.Max; i++ {
		wait *= 2
	}
	return min(wait, d.Max)
}

// Why is the reason for parking, and the budget class of the write.
type Why struct {
	Reason streamv1.Reason
	Class  streamv1.Priority
}

// Park builds the message that parks a write, and its ticket.
func Park(rec *stage.Record, why Why, delay Delay, now time.Time) (stage.Message, Ticket) {
	t, _ := Of(rec)
	if t.Since.IsZero() {
		t.Since = now
	}
	t.Times++
	t.Reason, t.Class, t.Due = why.Reason, why.Class, now.Add(delay.after(t.Times))
	return message(rec, topic.Parked, t), t
}

// postpone builds the message that moves a parked write to the end of the topic.
func postpone(rec *stage.Record, t Ticket, due time.Time) stage.Message {
	t.Due = due
	return message(rec, topic.Parked, t)
}

// release builds the message that brings a write back.
func release(rec *stage.Record, t Ticket) stage.Message { return message(rec, topic.Writes, t) }

func message(rec *stage.Record, to string, t Ticket) stage.Message {
	at, err := time.Parse(time.RFC3339Nano, string(rec.Header(stage.HeaderTime)))
	if err != nil {
		at = rec.Time
	}
	m := stage.Message{
		Topic: to, Key: rec.Key, Value: rec.Value, ID: string(rec.Header(stage.HeaderID)), Type: topic.TypeWrite,
		Time: at, TraceParent: rec.TraceParent(),
		Headers: []stage.Header{
			{Key: headerSince, Value: strconv.AppendInt(nil, t.Since.UnixMilli(), 10)},
			{Key: headerReason, Value: []byte(ReasonName(t.Reason))},
			{Key: headerClass, Value: []byte(t.Class.String())},
			{Key: headerTimes, Value: strconv.AppendInt(nil, int64(t.Times), 10)},
			{Key: headerDue, Value: strconv.AppendInt(nil, t.Due.UnixMilli(), 10)},
		},
	}
	if class := rec.Header(topic.HeaderClass); class != nil {
		m.Headers = append(m.Headers, stage.Header{Key: topic.HeaderClass, Value: class})
	}
	return m
}

// ReasonName is a reason as people see it, without the prefix of its wire name.
func ReasonName(r streamv1.Reason) string {
	const prefix = len("REASON_")
	if name := r.String(); len(name) > prefix {
		return name[prefix:]
	}
	return ""
}

// Clone copies what a handler keeps of a record.
func Clone(rec stage.Record) stage.Record {
	size := len(rec.Key) + len(rec.Value)
	for i := range rec.Headers {
		size += len(rec.Headers[i].Value)
	}
	buf := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		start := len(buf)
		buf = append(buf, b...)
		return buf[start:len(buf):len(buf)]
	}
	rec.Key, rec.Value = keep(rec.Key), keep(rec.Value)
	headers := make([]stage.Header, len(rec.Headers))
	for i, h := range rec.Headers {
		headers[i] = stage.Header{Key: h.Key, Value: keep(h.Value)}
	}
	rec.Headers = headers
	return rec
}
