package kafka

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/throughline-dev/throughline/libs/stage"
)

// aborted is a transaction that was rolled back, as a read-committed fetch reports it.
type aborted struct{ producer, first int64 }

// maxDecompressed bounds what one compressed batch may unfold to.
const maxDecompressed = 256 << 20

var errMalformed = errors.New("malformed record batch")

// decoder turns the record set of one partition into records. Keys, values and header values point into the set.
type decoder struct {
	topic     string
	partition int
	// from is the first offset wanted; a batch may begin before it.
	from    int64
	aborted []aborted
	// rolledBack holds the producers whose aborted transaction is being passed.
	rolledBack map[int64]bool
	records    []stage.Record
	headers    []stage.Header
	// next is the offset after the last complete batch.
	next int64
}

// decode reads batch after batch. The last one may be cut off, which is no error: Kafka fills the response to the byte.
func (d *decoder) decode(set []byte) error {
	d.next = d.from
	d.reserve(set)
	// A broker lists transactions in the order in which they ended; they are needed in that of their beginnings.
	slices.SortFunc(d.aborted, func(a, b aborted) int { return cmp.Compare(a.first, b.first) })
	for len(set) > batchMagicAt {
		length := int(int32(binary.BigEndian.Uint32(set[batchLengthAt:]))) + batchLengthAt + 4
		if set[batchMagicAt] != 2 {
			return fmt.Errorf("%w: message format %d; only 2 (Kafka 0.11 and later) is read", errMalformed, set[batchMagicAt])
		}
		if length < batchHeaderSize {
			return fmt.Errorf("%w: length %d", errMalformed, length)
		}
		if length > len(set) {
			return nil
		}
		if err := d.batch(set[:length]); err != nil {
			return err
		}
		set = set[length:]
	}
	return nil
}

// reserve makes room for the records of all batches at once, as far as what the batches say of themselves is plausible:
// a record takes at least seven bytes.
func (d *decoder) reserve(set []byte) {
	sum, size := 0, len(set)
	for len(set) >= batchHeaderSize {
		length := int(int32(binary.BigEndian.Uint32(set[batchLengthAt:]))) + batchLengthAt + 4
		count := int(int32(binary.BigEndian.Uint32(set[batchCountAt:])))
		if length < batchHeaderSize || length > len(set) || count < 0 || count > length/7 {
			break // cut off, malformed, or packed well; appending makes room then
		}
		sum += count
		set = set[length:]
	}
	d.records = make([]stage.Record, 0, sum)
	d.headers = make([]stage.Header, 0, min(8*sum, size/8))
}

func (d *decoder) batch(b []byte) error {
	base := int64(binary.BigEndian.Uint64(b))
	last := base + int64(int32(binary.BigEndian.Uint32(b[batchLastDeltaAt:])))
	if base < 0 || last < base {
		return fmt.Errorf("%w: offsets %d to %d", errMalformed, base, last)
	}
	if last < d.from {
		return nil
	}
	if sum := crc32.Checksum(b[batchAttributesAt:], castagnoli); sum != binary.BigEndian.Uint32(b[batchCRCAt:]) {
		return fmt.Errorf("%w: checksum differs at offset %d", errMalformed, base)
	}
	if d.skip(b, last) {
		d.next = last + 1
		return nil
	}
	payload, err := unpack(b)
	if err != nil {
		return fmt.Errorf("%w at offset %d: %w", errMalformed, base, err)
	}
	count, whole := int(int32(binary.BigEndian.Uint32(b[batchCountAt:]))), len(d.records)
	if err := d.appendRecords(b, payload, count); err != nil {
		d.records = d.records[:whole] // the batch is read again; half of it would come every time
		return fmt.Errorf("offset %d: %w", base, err)
	}
	d.next = last + 1
	return nil
}

// Bits of a batch's attributes.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

// skip reports whether a batch holds no records for a consumer: transaction markers and what they rolled back.
func (d *decoder) skip(b []byte, last int64) bool {
	attributes := binary.BigEndian.Uint16(b[batchAttributesAt:])
	producer := int64(binary.BigEndian.Uint64(b[batchProducerAt:]))
	for len(d.aborted) > 0 && d.aborted[0].first <= last {
		if d.rolledBack == nil {
			d.rolledBack = map[int64]bool{}
		}
		d.rolledBack[d.aborted[0].producer] = true
		d.aborted = d.aborted[1:]
	}
	if attributes&attrControl != 0 {
		delete(d.rolledBack, producer)
		return true
	}
	return attributes&attrTransactional != 0 && d.rolledBack[producer]
}

func unpack(b []byte) ([]byte, error) {
	payload := b[batchHeaderSize:]
	codec := compress.Compression(binary.BigEndian.Uint16(b[batchAttributesAt:]) & attrCodec)
	if codec == compress.None {
		return payload, nil
	}
	c := codec.Codec()
	if c == nil {
		return nil, fmt.Errorf("unknown compression %d", codec)
	}
	r := c.NewReader(bytes.NewReader(payload))
	defer r.Close()
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, maxDecompressed+1))
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	if n > maxDecompressed {
		return nil, fmt.Errorf("batch unfolds to more than %d bytes", maxDecompressed)
	}
	return out.Bytes(), nil
}

func (d *decoder) appendRecords(b, payload []byte, count int) error {
	if count < 0 || count > len(payload)/7 {
		return fmt.Errorf("%w: %d records in %d bytes", errMalformed, count, len(payload))
	}
	base := int64(binary.BigEndian.Uint64(b))
	first := int64(binary.BigEndian.Uint64(b[batchFirstTimeAt:]))
	appendTime := int64(-1)
	if binary.BigEndian.Uint16(b[batchAttributesAt:])&attrLogAppendTime != 0 {
		appendTime = int64(binary.BigEndian.Uint64(b[batchMaxTimeAt:]))
	}
	r := reader{b: payload}
	for range count {
		size := r.varint()
		body := reader{b: r.take(size), bad: r.bad}
		rec := stage.Record{Topic: d.topic, Partition: d.partition}
		body.take(1)
		at := first + body.varint()
		if appendTime >= 0 {
			at = appendTime
		}
		rec.Time = time.UnixMilli(at)
		rec.Offset = base + body.varint()
		rec.Key, rec.Value = body.bytes(), body.bytes()
		rec.Headers = d.recordHeaders(&body)
		if body.bad {
			return errMalformed
		}
		if rec.Offset >= d.from {
			d.records = append(d.records, rec)
		}
	}
	return nil
}

// recordHeaders reads headers into one slice for the whole fetch. When that grows, earlier records keep the old memory.
func (d *decoder) recordHeaders(r *reader) []stage.Header {
	n := r.varint()
	if n <= 0 || n > int64(len(r.b)) {
		r.bad = r.bad || n != 0
		return nil
	}
	start := len(d.headers)
	for range n {
		key := intern(r.bytes())
		d.headers = append(d.headers, stage.Header{Key: key, Value: r.bytes()})
	}
	return d.headers[start:len(d.headers):len(d.headers)]
}

// intern turns a header key into a string, without allocating for the keys that every record carries.
func intern(key []byte) string {
	switch string(key) {
	case stage.HeaderTraceParent:
		return stage.HeaderTraceParent
	case stage.HeaderSpecVersion:
		return stage.HeaderSpecVersion
	case stage.HeaderID:
		return stage.HeaderID
	case stage.HeaderType:
		return stage.HeaderType
	case stage.HeaderSource:
		return stage.HeaderSource
	case stage.HeaderTime:
		return stage.HeaderTime
	case stage.HeaderContentType:
		return stage.HeaderContentType
	}
	return string(key)
}

// reader walks over one record. After an impossible length it is bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// bytes reads a length and as many bytes; Kafka's null is nil.
func (r *reader) bytes() []byte {
	n := r.varint()
	if n < 0 {
		return nil
	}
	return r.take(n)
}
