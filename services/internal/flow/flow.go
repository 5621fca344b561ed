package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Hop is one consumer group and the topic it reads.
type Hop struct{ Group, Topic string }

// Parked is where writes wait for an org.
var Parked = Hop{"tl-writer-parked", topic.Parked}

// Writes is where the writer takes in what is to be written.
var Writes = Hop{"tl-writer", topic.Writes}

// Entrance is the part of the flow up to the visits, for customer topics that ingest reads with its default groups. It must
// be quiet before the pipeline's clock is moved: records on their way would seem to come out of a long silence.
func Entrance(customerTopics ...string) []Hop {
	var hops []Hop
	for _, name := range customerTopics {
		hops = append(hops, Hop{"tl-ingest-" + name, name})
	}
	return append(hops, Hop{"tl-visits", topic.Activities})
}

// Hops is every consumer group in the order of the flow. A topic that feeds back into an earlier one stands before it.
func Hops(customerTopics ...string) []Hop {
	return append(Entrance(customerTopics...),
		Hop{"tl-totals", topic.Visits},
		Hop{"tl-identity", topic.Engagements}, Hop{"tl-identity-retry", topic.Unresolved},
		Hop{"tl-mapping", topic.Resolved},
		Parked, Writes,
		Hop{"tl-runlog", topic.Outcomes},
	)
}

// Offsets tells how far groups are; *kafka.Client does.
type Offsets interface {
	Lag(ctx context.Context, group, topic string) ([]kafka.PartitionLag, error)
}

// Lags reads how many records every hop has still to settle, by topic. Read in the order of the flow, all zero means that
// nothing is on its way: a hop commits only after what it caused is written to the next topic (promise 2).
func Lags(ctx context.Context, offsets Offsets, hops []Hop) (map[string]int64, error) {
	out := make(map[string]int64, len(hops))
	for _, h := range hops {
		partitions, err := offsets.Lag(ctx, h.Group, h.Topic)
		if err != nil {
			return nil, fmt.Errorf("lag of %s on %s: %w", h.Group, h.Topic, err)
		}
		for _, p := range partitions {
			out[h.Topic] += p.Records()
		}
	}
	return out, nil
}

const (
	// pollEvery is the time between two looks at the lags.
	pollEvery = 100 * time.Millisecond
	// patience is how many looks in a row may fail: a broker on a busy machine does not always answer in time.
	patience = 10
)

// AwaitQuiet returns when two looks in a row have found nothing on its way, when the broker cannot be asked, or when ctx ends. Two,
// because writes that were parked come back to a topic that was looked at before theirs.
func AwaitQuiet(ctx context.Context, offsets Offsets, hops []Hop) error {
	quiet, failed := 0, 0
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for quiet < 2 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		behind, err := Lags(ctx, offsets, hops)
		if err != nil {
			if failed++; failed == patience {
				return err
			}
			quiet = 0
			continue
		}
		failed = 0
		quiet++
		for _, n := range behind {
			if n != 0 {
				quiet = 0
			}
		}
	}
	return nil
}
