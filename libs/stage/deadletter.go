package stage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Headers of a dead letter that is made without Deps.DeadLetter.
const (
	HeaderDeadStage     = "dl-stage"
	HeaderDeadReason    = "dl-reason"
	HeaderDeadDetail    = "dl-detail"
	HeaderDeadTopic     = "dl-topic"
	HeaderDeadPartition = "dl-partition"
	HeaderDeadOffset    = "dl-offset"
	HeaderDeadAttempts  = "dl-attempts"
	HeaderDeadTime      = "dl-time"
	// HeaderDeadBytes and HeaderDeadHash are the length and the SHA-256 of a value that was left out, see DeadLetter.Bare.
	HeaderDeadBytes = "dl-value-bytes"
	HeaderDeadHash  = "dl-value-sha256"
)

// plainDeadLetter keeps the record as it was, or its bare place, with the circumstances added as headers.
func plainDeadLetter(topic string, d DeadLetter) Message {
	text := func(key, value string) Header { return Header{Key: key, Value: []byte(value)} }
	headers, value := append([]Header{}, d.Record.Headers...), d.Record.Value
	if d.Bare {
		hash := sha256.Sum256(value)
		headers = []Header{text(HeaderDeadBytes, strconv.Itoa(len(value))), text(HeaderDeadHash, hex.EncodeToString(hash[:]))}
		value = []byte{}
	}
	return Message{
		Topic: topic,
		Key:   d.Record.Key,
		Value: value,
		Headers: append(headers,
			text(HeaderDeadStage, d.Stage), text(HeaderDeadReason, d.Reason), text(HeaderDeadDetail, d.Detail),
			text(HeaderDeadTopic, d.Record.Topic), text(HeaderDeadPartition, strconv.Itoa(d.Record.Partition)),
			text(HeaderDeadOffset, strconv.FormatInt(d.Record.Offset, 10)),
			text(HeaderDeadAttempts, strconv.Itoa(d.Attempts)),
			text(HeaderDeadTime, d.Time.UTC().Format(time.RFC3339Nano))),
	}
}

// bury turns a dead letter into the message that carries it.
func (p *part) bury(d DeadLetter) (Message, error) {
	d.Stage, d.Time = p.cfg.Name, p.deps.Clock.Now()
	d.Attempts = max(1, d.Attempts)
	m, err := p.deps.DeadLetter(d)
	if err != nil {
		return Message{}, fmt.Errorf("making a dead letter of %s/%d offset %d: %w",
			d.Record.Topic, d.Record.Partition, d.Record.Offset, err)
	}
	if m.TraceParent == "" {
		m.TraceParent = d.Record.TraceParent()
	}
	return m, nil
}
