package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	produceapi "github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/throughline-dev/throughline/libs/stage"
)

// maxRequestBytes keeps one request well below the brokers' socket.request.max.bytes (100 MiB).
const maxRequestBytes = 32 << 20

// Publish writes messages and returns once every in-sync replica has all of them. Messages of one partition keep their
// order. After an error some may be written; publishing all of them again is safe where IDs are deterministic.
func (c *Client) Publish(ctx context.Context, messages ...stage.Message) error {
	return c.Produce(ctx, stage.ProduceBatch{Source: c.cfg.ClientID, Messages: messages})
}

// Produce writes a batch; see stage.Broker. Partitions that refuse for a passing reason are tried again until
// Config.ProduceTimeout; what other partitions have acknowledged is not sent again.
func (c *Client) Produce(ctx context.Context, b stage.ProduceBatch) error {
	if len(b.Messages)+len(b.Entries) == 0 {
		return nil
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ProduceTimeout)
	defer cancel()
	ctx, span := c.tel.startSend(ctx, &b)
	err := c.produce(ctx, &b)
	endSend(ctx, span, err)
	c.tel.operation(ctx, "send", singleTopic(&b), start, err)
	if err == nil {
		c.tel.count(ctx, c.tel.sent, "send", singleTopic(&b), len(b.Messages)+len(b.Entries))
	}
	return err
}

func (c *Client) produce(ctx context.Context, b *stage.ProduceBatch) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 2*time.Second
	var lanes []*lane
	defer func() { release(lanes) }()
	var before error
	for {
		var err error
		if lanes == nil {
			lanes, err = c.lanes(ctx, b)
		}
		if err == nil {
			err = c.round(ctx, b, lanes)
		}
		if lanes != nil && done(lanes) {
			return nil
		}
		var refused *refusedError
		if errors.As(err, &refused) {
			return refused.err
		}
		if err == nil {
			wait.Reset()
			continue
		}
		if before = telling(ctx, before, err); sleep(ctx, wait.NextBackOff()) != nil {
			return fmt.Errorf("kafka: producing: %w", before)
		}
		c.forgetLanes(b, lanes)
	}
}

// telling returns which of two attempts' errors says what is wrong: an attempt that was cut short says only that, and the one
// before it why there was another.
func telling(ctx context.Context, before, err error) error {
	var timed interface{ Timeout() bool } // a context's deadline, or the same one on the connection
	if before != nil && ctx.Err() != nil && errors.As(err, &timed) && timed.Timeout() {
		return before
	}
	return err
}

// refusedError is an error that trying again will not mend.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }

func (c *Client) forgetLanes(b *stage.ProduceBatch, lanes []*lane) {
	for i := range b.Messages {
		c.forget(b.Messages[i].Topic)
	}
	for _, l := range lanes {
		c.forget(l.topic)
	}
}

// lane is the part of a batch that goes to one partition, in order.
type lane struct {
	topic     string
	partition int
	items     []item
	// limit is the most bytes of one request, halved when the broker finds it too large.
	limit int
	// sending is how many of items the current request carries.
	sending int
	enc     *encoder
	// inFlight says that a request which was given up may still read the encoder's memory.
	inFlight bool
}

func done(lanes []*lane) bool {
	for _, l := range lanes {
		if len(l.items) > 0 {
			return false
		}
	}
	return true
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// release gives the lanes' memory back. A request whose context ended may still be read by its connection, so the
// encoders of such a lane are left to the garbage collector.
func release(lanes []*lane) {
	for _, l := range lanes {
		if l.enc != nil && !l.inFlight {
			encoders.Put(l.enc)
		}
		l.enc = nil
	}
}

// lanes splits a batch by topic and partition.
func (c *Client) lanes(ctx context.Context, b *stage.ProduceBatch) ([]*lane, error) {
	s := splitter{client: c, topics: map[string][]*lane{}, keyless: map[string]int{}}
	for i := range b.Messages {
		m := &b.Messages[i]
		parts, err := s.partitions(ctx, m.Topic)
		if err != nil {
			return nil, err
		}
		p := 0
		if m.Key == nil {
			p = s.anyPartition(m.Topic, len(parts))
		} else {
			p = partitionFor(m.Key, len(parts))
		}
		s.add(parts, p, item{message: m})
	}
	for i := range b.Entries {
		parts, err := s.partitions(ctx, b.StateTopic)
		if err != nil {
			return nil, err
		}
		if b.StatePartition >= len(parts) {
			return nil, fmt.Errorf("kafka: topic %s has %d partitions, no number %d", b.StateTopic, len(parts), b.StatePartition)
		}
		s.add(parts, b.StatePartition, item{entry: &b.Entries[i]})
	}
	return s.lanes, nil
}

type splitter struct {
	client  *Client
	topics  map[string][]*lane
	keyless map[string]int
	lanes   []*lane
	// last avoids a map look-up for the usual run of messages to one topic.
	last      string
	lastParts []*lane
}

func (s *splitter) partitions(ctx context.Context, topic string) ([]*lane, error) {
	if topic == s.last && s.lastParts != nil {
		return s.lastParts, nil
	}
	parts, ok := s.topics[topic]
	if !ok {
		info, err := s.client.topic(ctx, topic)
		if err != nil {
			return nil, err
		}
		if len(info.leaders) == 0 {
			return nil, fmt.Errorf("kafka: topic %s: %w", topic, kafka.LeaderNotAvailable)
		}
		parts = make([]*lane, len(info.leaders))
		for i := range parts {
			parts[i] = &lane{topic: topic, partition: i, limit: s.client.cfg.MaxBatchBytes}
		}
		s.topics[topic] = parts
	}
	s.last, s.lastParts = topic, parts
	return parts, nil
}

func (s *splitter) anyPartition(topic string, n int) int {
	p, ok := s.keyless[topic]
	if !ok {
		p = s.client.keyless.next(n)
		s.keyless[topic] = p
	}
	return p
}

func (s *splitter) add(parts []*lane, p int, it item) {
	l := parts[p]
	if len(l.items) == 0 {
		s.lanes = append(s.lanes, l)
	}
	l.items = append(l.items, it)
}

// round sends the next part of every unfinished lane: one request per broker, all at once. It returns the first error; the
// lanes that succeeded have moved on.
func (c *Client) round(ctx context.Context, b *stage.ProduceBatch, lanes []*lane) error {
	now := time.Now()
	byLeader := map[int][]*lane{}
	total := 0
	for _, l := range lanes {
		if len(l.items) == 0 || total > maxRequestBytes {
			continue
		}
		info, err := c.topic(ctx, l.topic)
		if err != nil {
			return err
		}
		if l.partition >= len(info.leaders) {
			return fmt.Errorf("kafka: topic %s has lost partition %d", l.topic, l.partition)
		}
		if l.enc == nil || l.inFlight {
			l.enc, l.inFlight = encoders.Get().(*encoder), false
		}
		l.enc.source, l.enc.codec = b.Source, c.codec
		l.sending = l.enc.encode(l.items, l.limit, now)
		total += len(l.enc.set)
		leader := info.leaders[l.partition]
		byLeader[leader] = append(byLeader[leader], l)
	}
	return c.sendAll(ctx, byLeader)
}

func (c *Client) sendAll(ctx context.Context, byLeader map[int][]*lane) error {
	if len(byLeader) == 1 {
		for _, lanes := range byLeader {
			return c.send(ctx, lanes)
		}
	}
	errs := make(chan error, len(byLeader))
	for _, lanes := range byLeader {
		go func() { errs <- c.send(ctx, lanes) }()
	}
	var first error
	for range byLeader {
		err := <-errs
		var refused *refusedError
		if first == nil || errors.As(err, &refused) {
			first = err
		}
	}
	return first
}

// send writes one request for partitions that one broker leads.
func (c *Client) send(ctx context.Context, lanes []*lane) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	req := &rawproduce.Request{Acks: int16(kafka.RequireAll), Timeout: int32(c.cfg.RequestTimeout.Milliseconds())}
	for _, l := range lanes {
		l.inFlight = true
		part := rawproduce.RequestPartition{
			Partition: int32(l.partition),
			RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(l.enc.set)},
		}
		if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == l.topic {
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, part)
			continue
		}
		req.Topics = append(req.Topics, rawproduce.RequestTopic{Topic: l.topic, Partitions: []rawproduce.RequestPartition{part}})
	}
	res, err := c.transport.RoundTrip(ctx, c.addr, req)
	if err != nil {
		return err
	}
	answer, ok := res.(*produceapi.Response)
	if !ok {
		return errors.New("kafka: unexpected answer to a produce request")
	}
	return c.settle(lanes, answer)
}

// settle moves on the lanes that the broker has accepted.
func (c *Client) settle(lanes []*lane, answer *produceapi.Response) error {
	codes := map[partitionKey]kafka.Error{}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			codes[partitionKey{t.Topic, int(p.Partition)}] = kafka.Error(p.ErrorCode)
		}
	}
	var first error
	for _, l := range lanes {
		l.inFlight = false
		code, answered := codes[partitionKey{l.topic, l.partition}]
		var err error
		switch {
		case !answered:
			err = fmt.Errorf("kafka: %s/%d: the broker did not answer for this partition", l.topic, l.partition)
		case code == 0:
			l.items = l.items[l.sending:]
		default:
			err = l.refused(code)
		}
		var refused *refusedError
		if first == nil || errors.As(err, &refused) {
			first = err
		}
	}
	return first
}

type partitionKey struct {
	topic     string
	partition int
}

// refused turns a partition's error code into an error, or halves the lane's limit if the broker found the batch too large.
func (l *lane) refused(code kafka.Error) error {
	if code == kafka.MessageSizeTooLarge || code == kafka.RecordListTooLarge {
		if l.sending > 1 {
			l.limit = max(len(l.enc.set)/2, 1)
			return nil
		}
		it := l.items[0]
		large := &stage.TooLargeError{Topic: l.topic, Bytes: len(l.enc.set)}
		if it.message != nil {
			large.ID = it.message.ID
		}
		return &refusedError{large}
	}
	err := fmt.Errorf("kafka: %s/%d: %w", l.topic, l.partition, code)
	if code.Temporary() || code == kafka.Unknown {
		return err
	}
	return &refusedError{err}
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
