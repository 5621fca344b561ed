package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/throughline-dev/throughline/libs/stage"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Layout of a record batch, version 2. See https://kafka.apache.org/documentation/#recordbatch.
const (
	batchLengthAt     = 8
	batchMagicAt      = 16
	batchCRCAt        = 17
	batchAttributesAt = 21
	batchLastDeltaAt  = 23
	batchFirstTimeAt  = 27
	batchMaxTimeAt    = 35
	batchProducerAt   = 43
	batchCountAt      = 57
	batchHeaderSize   = 61
)

// item is one record to produce: a message or a state entry.
type item struct {
	message *stage.Message
	entry   *stage.Entry
}

// encoder builds one record batch at a time. Its memory is reused.
type encoder struct {
	source string
	codec  compress.Compression
	// set is the record set as a raw produce request wants it: four bytes of length, then one batch.
	set    []byte
	record []byte
	packed bytes.Buffer
}

// encode fills set with items, at least one, until limit bytes are reached, and returns how many it took. limit counts
// bytes before compression.
func (e *encoder) encode(items []item, limit int, now time.Time) int {
	e.set = append(e.set[:0], make([]byte, 4+batchHeaderSize)...)
	n := 0
	for i := range items {
		e.record = e.appendRecord(e.record[:0], &items[i], int64(i))
		if i > 0 && len(e.set)+len(e.record)+5 > limit {
			break
		}
		e.set = binary.AppendVarint(e.set, int64(len(e.record)))
		e.set = append(e.set, e.record...)
		n++
	}
	e.compress()
	e.finish(n, now)
	return n
}

func (e *encoder) compress() {
	if e.codec == compress.None {
		return
	}
	e.packed.Reset()
	w := e.codec.Codec().NewWriter(&e.packed)
	// Writes to a bytes.Buffer do not fail.
	_, _ = w.Write(e.set[4+batchHeaderSize:])
	_ = w.Close() // nor does closing: it writes to the same buffer
	e.set = append(e.set[:4+batchHeaderSize], e.packed.Bytes()...)
}

func (e *encoder) finish(n int, now time.Time) {
	size := len(e.set) - 4
	binary.BigEndian.PutUint32(e.set, uint32(size))
	b := e.set[4:]
	binary.BigEndian.PutUint32(b[batchLengthAt:], uint32(size-batchLengthAt-4))
	binary.BigEndian.PutUint32(b[12:], 0xffffffff) // leader epoch: not ours to say
	b[batchMagicAt] = 2
	binary.BigEndian.PutUint16(b[batchAttributesAt:], uint16(e.codec))
	binary.BigEndian.PutUint32(b[batchLastDeltaAt:], uint32(n-1))
	binary.BigEndian.PutUint64(b[batchFirstTimeAt:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(b[batchMaxTimeAt:], uint64(now.UnixMilli()))
	// No producer id, epoch and sequence: kafka-go has no idempotent producer.
	for i := batchProducerAt; i < batchCountAt; i++ {
		b[i] = 0xff
	}
	binary.BigEndian.PutUint32(b[batchCountAt:], uint32(n))
	binary.BigEndian.PutUint32(b[batchCRCAt:], crc32.Checksum(b[batchAttributesAt:], castagnoli))
}

// appendRecord appends one record without its length. All records of a batch carry the batch's time.
func (e *encoder) appendRecord(dst []byte, it *item, delta int64) []byte {
	dst = append(dst, 0)                  // attributes
	dst = binary.AppendVarint(dst, 0)     // time
	dst = binary.AppendVarint(dst, delta) // offset
	if it.entry != nil {
		dst = binary.AppendVarint(dst, int64(len(it.entry.Key)))
		dst = append(dst, it.entry.Key...)
		dst = appendBytes(dst, it.entry.Value)
		return binary.AppendVarint(dst, 0)
	}
	m := it.message
	dst = appendBytes(dst, m.Key)
	dst = appendBytes(dst, m.Value)
	return e.appendHeaders(dst, m)
}

const protobufContent = "application/protobuf"

// appendHeaders appends the CloudEvents attributes (Kafka binary mode), the trace context and the message's own headers. A
// message without a type is no CloudEvent and gets only the latter two.
func (e *encoder) appendHeaders(dst []byte, m *stage.Message) []byte {
	n := len(m.Headers)
	if m.Type != "" {
		n += 6
		if m.Time.IsZero() {
			n--
		}
	}
	if m.TraceParent != "" {
		n++
	}
	dst = binary.AppendVarint(dst, int64(n))
	if m.Type != "" {
		dst = appendHeader(dst, stage.HeaderSpecVersion, "1.0")
		dst = appendHeader(dst, stage.HeaderID, m.ID)
		dst = appendHeader(dst, stage.HeaderType, m.Type)
		dst = appendHeader(dst, stage.HeaderSource, e.source)
		if !m.Time.IsZero() {
			dst = appendKey(dst, stage.HeaderTime)
			var stamp [len(time.RFC3339Nano) + 8]byte
			dst = appendBytes(dst, m.Time.UTC().AppendFormat(stamp[:0], time.RFC3339Nano))
		}
		dst = appendHeader(dst, stage.HeaderContentType, protobufContent)
	}
	if m.TraceParent != "" {
		dst = appendHeader(dst, stage.HeaderTraceParent, m.TraceParent)
	}
	for i := range m.Headers {
		dst = appendKey(dst, m.Headers[i].Key)
		dst = appendBytes(dst, m.Headers[i].Value)
	}
	return dst
}

func appendKey(dst []byte, key string) []byte {
	dst = binary.AppendVarint(dst, int64(len(key)))
	return append(dst, key...)
}

func appendHeader(dst []byte, key, value string) []byte {
	dst = appendKey(dst, key)
	dst = binary.AppendVarint(dst, int64(len(value)))
	return append(dst, value...)
}

// appendBytes appends bytes with their length; nil is Kafka's null.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // varint of -1
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}
