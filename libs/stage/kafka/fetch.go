package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/throughline-dev/throughline/libs/stage"
)

// maxResponse bounds what a broker may answer to one fetch: a batch that is larger than was asked for comes whole.
const maxResponse = 256 << 20

// Fetch reads one partition; see stage.Broker.
func (c *Client) Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error) {
	start := time.Now()
	if req.Offset < 0 {
		first, _, err := c.offsets(ctx, req.Topic, req.Partition)
		if err != nil {
			return stage.Fetched{}, err
		}
		req.Offset = first
	}
	ctx, cancel := context.WithTimeout(ctx, req.MaxWait+c.cfg.RequestTimeout)
	defer cancel()
	x := newFetchExchange(req, c.cfg.ClientID)
	res, err := c.transport.RoundTrip(ctx, c.addr, x)
	if err != nil {
		err = fmt.Errorf("kafka: fetching %s/%d: %w", req.Topic, req.Partition, err)
		c.tel.operation(ctx, "poll", req.Topic, start, err)
		return stage.Fetched{}, err
	}
	answer := res.(*fetchAnswer)
	fetched, err := answer.decode(req)
	if errors.Is(err, stage.ErrOffsetOutOfRange) {
		first, end, lookup := c.offsets(ctx, req.Topic, req.Partition)
		if lookup != nil {
			return stage.Fetched{}, lookup
		}
		fetched.Start, fetched.End = first, end
	}
	if len(fetched.Records) > 0 || err != nil {
		c.tel.operation(ctx, "poll", req.Topic, start, err)
		c.tel.count(ctx, c.tel.consumed, "poll", req.Topic, len(fetched.Records))
	}
	return fetched, err
}

// fetchExchange is a fetch request that reads its answer itself: protocol.RawExchanger is kafka-go's hook for that. The
// answer is read with one allocation; kafka-go's own decoder is slower and loses the offsets of records that compaction
// or transactions removed.
type fetchExchange struct {
	fetchapi.Request
	clientID string
	version  int16
}

var (
	_ protocol.BrokerMessage = (*fetchExchange)(nil)
	_ protocol.RawExchanger  = (*fetchExchange)(nil)
)

const readCommitted = 1

func newFetchExchange(req stage.FetchRequest, clientID string) *fetchExchange {
	return &fetchExchange{clientID: clientID, Request: fetchapi.Request{
		ReplicaID:      -1,
		MaxWaitTime:    int32(req.MaxWait.Milliseconds()),
		MinBytes:       int32(req.MinBytes),
		MaxBytes:       int32(req.MaxBytes),
		IsolationLevel: readCommitted,
		SessionEpoch:   -1, // no fetch session
		Topics: []fetchapi.RequestTopic{{
			Topic: req.Topic,
			Partitions: []fetchapi.RequestPartition{{
				Partition:          int32(req.Partition),
				CurrentLeaderEpoch: -1,
				FetchOffset:        req.Offset,
				LogStartOffset:     -1,
				PartitionMaxBytes:  int32(req.MaxBytes),
			}},
		}},
	}}
}

// Required notes the negotiated version and asks kafka-go to leave the exchange to RawExchange.
func (x *fetchExchange) Required(versions map[protocol.ApiKey]int16) bool {
	x.version = versions[protocol.Fetch]
	return true
}

// RawExchange writes the request and reads the answer whole. The connection is ours until it returns.
func (x *fetchExchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 1
	if x.version < 4 {
		return nil, fmt.Errorf("broker speaks fetch v%d only; Kafka 0.11 or later is needed", x.version)
	}
	if err := protocol.WriteRequest(rw, x.version, correlation, x.clientID, &x.Request); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 || size > maxResponse || binary.BigEndian.Uint32(head[4:]) != correlation {
		return nil, fmt.Errorf("unexpected answer of %d bytes to a fetch", size)
	}
	answer := &fetchAnswer{version: x.version, body: make([]byte, size-4)}
	if _, err := io.ReadFull(rw, answer.body); err != nil {
		return nil, err
	}
	return answer, nil
}

// fetchAnswer is the undecoded answer for one partition.
type fetchAnswer struct {
	version int16
	body    []byte
}

// ApiKey makes it a protocol.Message.
//
//nolint:revive // the interface that names it so is kafka-go's
func (*fetchAnswer) ApiKey() protocol.ApiKey { return protocol.Fetch }

func (a *fetchAnswer) decode(req stage.FetchRequest) (stage.Fetched, error) {
	out := stage.Fetched{Next: req.Offset}
	p := partitionAnswer{fields: fields{b: a.body}}
	p.read(a.version)
	if p.bad {
		return out, errors.New("kafka: malformed answer to a fetch")
	}
	out.Start, out.End = p.start, p.end
	if code := kafka.Error(p.code); code != 0 {
		if code == kafka.OffsetOutOfRange {
			return out, stage.ErrOffsetOutOfRange
		}
		return out, fmt.Errorf("kafka: fetching %s/%d: %w", req.Topic, req.Partition, code)
	}
	d := decoder{topic: req.Topic, partition: req.Partition, from: req.Offset, aborted: p.aborted}
	if err := d.decode(p.set); err != nil && len(d.records) == 0 {
		return out, fmt.Errorf("kafka: reading %s/%d: %w", req.Topic, req.Partition, err)
	}
	out.Records, out.Next = d.records, d.next
	return out, nil
}

// partitionAnswer holds the fields of a fetch response with one topic and one partition.
type partitionAnswer struct {
	fields
	code    int16
	end     int64
	start   int64
	aborted []aborted
	set     []byte
}

func (p *partitionAnswer) read(version int16) {
	p.int32() // throttle time
	if version >= 7 {
		p.code = p.int16()
		p.int32() // session
	}
	if p.int32() != 1 { // topics
		p.bad = p.bad || p.code == 0
		return
	}
	p.take(int64(p.int16())) // topic
	if p.int32() != 1 {      // partitions
		p.bad = true
		return
	}
	p.int32() // partition
	if code := p.int16(); code != 0 {
		p.code = code
	}
	p.end = p.int64()
	p.int64() // last stable offset
	if version >= 5 {
		p.start = p.int64()
	}
	for n := p.int32(); n > 0 && !p.bad; n-- {
		p.aborted = append(p.aborted, aborted{producer: p.int64(), first: p.int64()})
	}
	if version >= 11 {
		p.int32() // preferred replica
	}
	if n := p.int32(); n > 0 {
		p.set = p.take(int64(n))
	}
}

// fields walks over big-endian fields. After running out it is bad and returns zeros.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int64) []byte {
	r := reader{b: f.b, bad: f.bad}
	out := r.take(n)
	f.b, f.bad = r.b, r.bad
	return out
}

func (f *fields) int16() int16 {
	if b := f.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (f *fields) int32() int32 {
	if b := f.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (f *fields) int64() int64 {
	if b := f.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}
