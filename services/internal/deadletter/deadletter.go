package deadletter

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// MaxValueBytes is the largest original value that is copied into a dead letter: 10 MiB, as much as the HTTP edge takes
// in one body. The dead-letter topic's max.message.bytes must allow it and some 64 KiB of envelope. A larger value stays
// where it is, as does any when the topic allows less, and the dead letter says where that is.
const MaxValueBytes = 10 << 20

// maxDetailChars keeps a detail one sentence.
const maxDetailChars = 512

// ownTopics is how the names of the pipeline's topics begin.
const ownTopics = "tl."

// ErrValueNotCopied means that the original value was too large to copy: read it from its topic, at its offset.
var ErrValueNotCopied = errors.New("the original value was too large to copy; it lies in its topic, at its offset")

// Sealer encrypts with the installation's key and binds to associated data. *seal.Installation is one.
type Sealer interface {
	Seal(plain, associated []byte) ([]byte, error)
}

// Opener undoes a Sealer.
type Opener interface {
	Open(sealed, associated []byte) ([]byte, error)
}

// WorkspaceOf tells a record's tenant as far as it can be told; "" when it cannot.
type WorkspaceOf func(*stage.Record) string

// Encode returns what stage.Deps.DeadLetter wants. The workspace is read from the record's key where the record comes
// from one of the pipeline's own topics, and stays empty otherwise.
func Encode(s Sealer) func(stage.DeadLetter) (stage.Message, error) {
	return EncodeFor(s, func(*stage.Record) string { return "" })
}

// EncodeFor is Encode for a stage that reads a customer's topic and knows whose it is.
func EncodeFor(s Sealer, workspaceOf WorkspaceOf) func(stage.DeadLetter) (stage.Message, error) {
	return func(d stage.DeadLetter) (stage.Message, error) {
		letter, err := build(s, &d, workspaceOf)
		if err != nil {
			return stage.Message{}, err
		}
		value, err := proto.Marshal(letter)
		if err != nil {
			return stage.Message{}, fmt.Errorf("encode dead letter %s: %w", letter.GetDeadLetterId(), err)
		}
		key := d.Record.Key
		if !isOwn(d.Record.Topic) {
			key = topic.OutcomeKey(letter.GetWorkspace(), letter.GetDeadLetterId())
		}
		return stage.Message{
			Topic: topic.DeadLetters, Key: key, Value: value,
			ID: letter.GetDeadLetterId(), Type: topic.TypeDeadLetter, Time: d.Time,
			TraceParent: d.Record.TraceParent(),
		}, nil
	}
}

func build(s Sealer, d *stage.DeadLetter, workspaceOf WorkspaceOf) (*streamv1.DeadLetter, error) {
	rec := &d.Record
	id := idOf(d)
	reason, known := Reason(d.Reason)
	detail := d.Detail
	if !known {
		detail = d.Reason + ": " + detail
	}
	letter := &streamv1.DeadLetter{
		DeadLetterId: id, Stage: d.Stage, Reason: reason, Detail: scrub(detail),
		Topic: rec.Topic, Partition: int32(rec.Partition), Offset: rec.Offset,
		Attempts: uint32(max(d.Attempts, 0)), At: timestamppb.New(d.Time), ValueBytes: uint64(len(rec.Value)),
	}
	var err error
	if len(rec.Value) == 0 || (!d.Bare && len(rec.Value) <= MaxValueBytes) {
		// Promise 8: nobody knows what is in bytes that could not be handled.
		if letter.SealedValue, err = s.Seal(rec.Value, []byte(id)); err != nil {
			return nil, fmt.Errorf("seal dead letter %s: %w", id, err)
		}
	}
	envelope := &streamv1.Envelope{Key: rec.Key}
	if !d.Bare {
		envelope.Headers = toHeaders(rec.Headers)
	}
	if isOwn(rec.Topic) {
		letter.Workspace = workspaceOfKey(rec.Key)
		letter.Key, letter.Headers = envelope.GetKey(), envelope.GetHeaders()
		return letter, nil
	}
	letter.Workspace = strings.ToValidUTF8(workspaceOf(rec), "")
	plain, err := proto.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("encode envelope of dead letter %s: %w", id, err)
	}
	if letter.SealedEnvelope, err = s.Seal(plain, []byte(id)); err != nil {
		return nil, fmt.Errorf("seal dead letter %s: %w", id, err)
	}
	return letter, nil
}

// Open returns the record that a dead letter was made from, for replay and for tracing; its Time is not known. The
// error is ErrValueNotCopied, with the rest of the record in place, when the value was too large to copy, and any other
// when the letter does not open with this key.
func Open(o Opener, letter *streamv1.DeadLetter) (stage.Record, error) {
	id := letter.GetDeadLetterId()
	rec := stage.Record{
		Topic: letter.GetTopic(), Partition: int(letter.GetPartition()), Offset: letter.GetOffset(),
		Key: letter.GetKey(), Headers: fromHeaders(letter.GetHeaders()),
	}
	if sealed := letter.GetSealedEnvelope(); len(sealed) > 0 {
		plain, err := o.Open(sealed, []byte(id))
		if err != nil {
			return stage.Record{}, fmt.Errorf("open envelope of dead letter %s: %w", id, err)
		}
		var envelope streamv1.Envelope
		if err := proto.Unmarshal(plain, &envelope); err != nil {
			return stage.Record{}, fmt.Errorf("decode envelope of dead letter %s: %w", id, err)
		}
		rec.Key, rec.Headers = envelope.GetKey(), fromHeaders(envelope.GetHeaders())
	}
	if len(letter.GetSealedValue()) == 0 && letter.GetValueBytes() > 0 {
		return rec, fmt.Errorf("dead letter %s: %w", id, ErrValueNotCopied)
	}
	value, err := o.Open(letter.GetSealedValue(), []byte(id))
	if err != nil {
		return stage.Record{}, fmt.Errorf("open dead letter %s: %w", id, err)
	}
	rec.Value = value
	return rec, nil
}

// Reason returns the enum value of a stable code such as "BAD_SCHEMA", and whether there is one.
func Reason(code string) (streamv1.Reason, bool) {
	n, ok := streamv1.Reason_value["REASON_"+code]
	return streamv1.Reason(n), ok
}

// idOf is deterministic, so that the same record given up twice is recognised.
func idOf(d *stage.DeadLetter) string {
	buf := make([]byte, 0, 128)
	for _, s := range [...]string{d.Stage, d.Record.Topic} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	buf = binary.BigEndian.AppendUint64(buf, uint64(d.Record.Partition))
	buf = binary.BigEndian.AppendUint64(buf, uint64(d.Record.Offset))
	sum := sha256.Sum256(buf)
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

func isOwn(name string) bool { return strings.HasPrefix(name, ownTopics) }

func workspaceOfKey(key []byte) string {
	workspace, _, found := strings.Cut(string(key), "/")
	if !found {
		return ""
	}
	return strings.ToValidUTF8(workspace, "")
}

// scrub keeps a detail valid and short; what it says is the caller's promise.
func scrub(detail string) string {
	detail = strings.ToValidUTF8(detail, "?")
	if r := []rune(detail); len(r) > maxDetailChars {
		return string(r[:maxDetailChars])
	}
	return detail
}

func toHeaders(in []stage.Header) []*streamv1.Header {
	out := make([]*streamv1.Header, 0, len(in))
	for _, h := range in {
		out = append(out, &streamv1.Header{Key: strings.ToValidUTF8(h.Key, "?"), Value: h.Value})
	}
	return out
}

func fromHeaders(in []*streamv1.Header) []stage.Header {
	out := make([]stage.Header, 0, len(in))
	for _, h := range in {
		out = append(out, stage.Header{Key: h.GetKey(), Value: h.GetValue()})
	}
	return out
}
