package stage

import (
	"context"
	"errors"
	"time"
)

// Broker is what the runtime needs of Kafka. It is safe for concurrent use.
type Broker interface {
	// Consume is a member of a consumer group until ctx ends, and leaves it then. For every generation it calls serve with
	// a context that ends when the generation does: a rebalance, a lost coordinator, or the end of ctx. The next
	// generation is not joined before serve has returned, and serve may commit until it returns. A broker that is away
	// is waited for; the error is a setting that can never work.
	Consume(ctx context.Context, m Membership, serve func(ctx context.Context, g Generation)) error
	// Fetch reads one partition from an offset on. It returns no records when there were none within MaxWait.
	Fetch(ctx context.Context, req FetchRequest) (Fetched, error)
	// Produce returns once every in-sync replica has all of the batch, in order per partition. After an error some of it may
	// be written. A TooLargeError says that trying again is pointless.
	Produce(ctx context.Context, b ProduceBatch) error
}

// Membership describes a member of a consumer group.
type Membership struct {
	Group string
	Topic string
	// CoPartitioned topics must have as many partitions as Topic.
	CoPartitioned []string
	// SessionTimeout is how long the group waits for a silent member, RebalanceTimeout for a draining one.
	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	// State is told why there is no assignment yet; nil means that there is one.
	State func(err error)
}

// Generation is one assignment of partitions to the members of a group.
type Generation interface {
	// Assigned returns this member's partitions and where to start. An Offset below zero means the partition's beginning.
	Assigned() []Assignment
	// Commit stores offsets, the next to read per partition. It fails if the generation is no longer the group's, so that a
	// lost partition is fenced; ErrFenced then.
	Commit(ctx context.Context, offsets map[int]int64) error
}

// Assignment is one partition and the next offset to read.
type Assignment struct {
	Partition int
	Offset    int64
}

// FetchRequest asks for records of one partition.
type FetchRequest struct {
	Topic     string
	Partition int
	// Offset is the first wanted; below zero the partition's beginning.
	Offset int64
	// The answer comes when MinBytes are there, or after MaxWait. MaxBytes is soft: the first batch comes whole.
	MinBytes, MaxBytes int
	MaxWait            time.Duration
}

// Fetched is the answer to a FetchRequest.
type Fetched struct {
	Records []Record
	// Next is the offset to go on from. It can lie beyond the last record: compaction and aborted transactions leave holes.
	Next int64
	// Start and End are the first offset the partition still has and the one after its last.
	Start, End int64
}

// ProduceBatch is what one Produce call writes.
type ProduceBatch struct {
	// Source becomes ce_source of the messages.
	Source   string
	Messages []Message
	// Entries go to StateTopic, partition StatePartition.
	StateTopic     string
	StatePartition int
	Entries        []Entry
}

// ErrOffsetOutOfRange is Fetch's error for an offset that the partition does not have (any more). Fetched.Start and
// Fetched.End are set with it.
var ErrOffsetOutOfRange = errors.New("the partition does not have this offset")

// ErrFenced is Commit's error when the partition may belong to another member already. The caller must stop working on it.
var ErrFenced = errors.New("the group has moved on to another generation")

// TooLargeError says that a message exceeds what the topic accepts, whatever one does.
type TooLargeError struct {
	Topic string
	// ID is the ce_id of the largest message of the refused batch.
	ID    string
	Bytes int
}

// Error names the topic and the setting to raise.
func (e *TooLargeError) Error() string {
	return "a message is larger than topic " + e.Topic + " accepts; raise its max.message.bytes or send less"
}
