package stagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Broker is a stage.Broker in memory, for tests of what runs on one. A group has one member. It works inside a
// testing/synctest bubble. Safe for concurrent use.
type Broker struct {
	mu      sync.Mutex
	faulty  func(Operation) error
	topics  map[string][][]stage.Record
	groups  map[string]map[int]int64
	members map[string]*member
	changed chan struct{}
}

// Operation is what a Broker is asked to do.
type Operation struct {
	// Kind is "fetch", "produce", "save" or "commit".
	Kind  string
	Topic string
}

type member struct {
	end    context.CancelFunc
	fenced bool
}

var _ stage.Broker = (*Broker)(nil)

// NewBroker returns a broker without topics.
func NewBroker() *Broker {
	return &Broker{
		topics: map[string][][]stage.Record{}, groups: map[string]map[int]int64{}, members: map[string]*member{},
		changed: make(chan struct{}),
	}
}

// Create creates a topic.
func (b *Broker) Create(topic string, partitions int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics[topic] = make([][]stage.Record, partitions)
}

// Append adds records to a partition, as a producer elsewhere would.
func (b *Broker) Append(topic string, partition int, records ...stage.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		b.append(topic, partition, r)
	}
	b.wake()
}

func (b *Broker) append(topic string, partition int, r stage.Record) {
	log := b.topics[topic][partition]
	r.Topic, r.Partition, r.Offset = topic, partition, int64(len(log))
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	b.topics[topic][partition] = append(log, r)
}

func (b *Broker) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Records returns all records of a topic, partition by partition.
func (b *Broker) Records(topic string) []stage.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Concat(b.topics[topic]...)
}

// Committed returns the sum of a group's committed offsets.
func (b *Broker) Committed(group string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var sum int64
	for _, o := range b.groups[group] {
		sum += o
	}
	return sum
}

// Rebalance ends the group's generation; its member joins again.
func (b *Broker) Rebalance(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := b.members[group]; m != nil {
		m.end()
	}
}

// Fence makes the current generation of a group stale: its commits are refused, as after a rebalance it did not notice.
func (b *Broker) Fence(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := b.members[group]; m != nil {
		m.fenced = true
	}
}

// Fail has faulty asked before every operation; its error becomes the operation's.
func (b *Broker) Fail(faulty func(Operation) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faulty = faulty
}

func (b *Broker) fault(kind, topic string) error {
	b.mu.Lock()
	faulty := b.faulty
	b.mu.Unlock()
	if faulty == nil {
		return nil
	}
	return faulty(Operation{Kind: kind, Topic: topic})
}

// Consume gives all partitions to the one member, generation after generation.
func (b *Broker) Consume(ctx context.Context, m stage.Membership, serve func(context.Context, stage.Generation)) error {
	for ctx.Err() == nil {
		genCtx, end := context.WithCancel(ctx)
		me := &member{end: end}
		g := &memoryGeneration{broker: b, group: m.Group, topic: m.Topic, member: me}
		b.mu.Lock()
		b.members[m.Group] = me
		if b.groups[m.Group] == nil {
			b.groups[m.Group] = map[int]int64{}
		}
		for p := range b.topics[m.Topic] {
			offset, ok := b.groups[m.Group][p]
			if !ok {
				offset = -1
			}
			g.assigned = append(g.assigned, stage.Assignment{Partition: p, Offset: offset})
		}
		b.mu.Unlock()
		m.State(nil)
		serve(genCtx, g)
		end()
	}
	return nil
}

type memoryGeneration struct {
	broker   *Broker
	group    string
	topic    string
	member   *member
	assigned []stage.Assignment
}

// Assigned returns all partitions of the topic.
func (g *memoryGeneration) Assigned() []stage.Assignment { return g.assigned }

// Commit stores offsets unless the generation is over.
func (g *memoryGeneration) Commit(_ context.Context, offsets map[int]int64) error {
	b := g.broker
	if err := b.fault("commit", g.topic); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.member.fenced || b.members[g.group] != g.member {
		return stage.ErrFenced
	}
	for p, o := range offsets {
		b.groups[g.group][p] = o
	}
	b.wake()
	return nil
}

// Fetch waits for records as Kafka does.
func (b *Broker) Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error) {
	if err := b.fault("fetch", req.Topic); err != nil {
		return stage.Fetched{}, err
	}
	timeout := time.NewTimer(req.MaxWait)
	defer timeout.Stop()
	for {
		b.mu.Lock()
		changed := b.changed
		parts := b.topics[req.Topic]
		if req.Partition >= len(parts) {
			b.mu.Unlock()
			return stage.Fetched{}, fmt.Errorf("no partition %d in topic %s", req.Partition, req.Topic)
		}
		log := parts[req.Partition]
		b.mu.Unlock()
		from, end := max(0, req.Offset), int64(len(log))
		if from > end {
			return stage.Fetched{End: end}, stage.ErrOffsetOutOfRange
		}
		if from < end || req.MaxWait == 0 {
			return stage.Fetched{Records: slices.Clone(log[from:]), Next: end, End: end}, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			return stage.Fetched{Next: from, End: end}, nil
		case <-ctx.Done():
			return stage.Fetched{}, ctx.Err()
		}
	}
}

// Produce appends messages, spread by a simple hash of their key.
func (b *Broker) Produce(_ context.Context, batch stage.ProduceBatch) error {
	kind, topic := "produce", batch.StateTopic
	if len(batch.Messages) > 0 {
		topic = batch.Messages[0].Topic
	} else {
		kind = "save"
	}
	if err := b.fault(kind, topic); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range batch.Messages {
		n := len(b.topics[m.Topic])
		if n == 0 {
			return fmt.Errorf("no topic %s", m.Topic)
		}
		b.append(m.Topic, spread(m.Key, n), stage.Record{Key: m.Key, Value: m.Value, Headers: headersOf(batch.Source, m)})
	}
	for _, e := range batch.Entries {
		b.append(batch.StateTopic, batch.StatePartition, stage.Record{Key: []byte(e.Key), Value: e.Value})
	}
	b.wake()
	return nil
}

// Partitions returns how many partitions a topic has.
func (b *Broker) Partitions(_ context.Context, topic string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.topics[topic]); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("no topic %s", topic)
}

// PartitionFor returns the partition of a key, as Produce chooses it.
func (b *Broker) PartitionFor(key []byte, partitions int) int { return spread(key, partitions) }

func spread(key []byte, n int) int {
	h := 0
	for _, c := range key {
		h = h*31 + int(c)
	}
	return max(h, -h) % n
}

func headersOf(source string, m stage.Message) []stage.Header {
	headers := []stage.Header{
		{Key: stage.HeaderID, Value: []byte(m.ID)},
		{Key: stage.HeaderType, Value: []byte(m.Type)},
		{Key: stage.HeaderSource, Value: []byte(source)},
	}
	if m.TraceParent != "" {
		headers = append(headers, stage.Header{Key: stage.HeaderTraceParent, Value: []byte(m.TraceParent)})
	}
	return append(headers, m.Headers...)
}
