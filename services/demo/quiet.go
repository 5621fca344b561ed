package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
)

// hop is one consumer group and what it reads.
type hop struct{ group, topic string }

// lags reads how far every hop is behind. Called in the order of the flow, all zero means that nothing is on its way: a hop
// commits only after what it caused is written to the next topic (promise 2).
func lags(ctx context.Context, client *kafka.Client, hops []hop) (map[string]int64, error) {
	out := make(map[string]int64, len(hops))
	for _, h := range hops {
		partitions, err := client.Lag(ctx, h.group, h.topic)
		if err != nil {
			return nil, fmt.Errorf("lag of %s on %s: %w", h.group, h.topic, err)
		}
		var sum int64
		for _, p := range partitions {
			sum += p.Records()
		}
		out[h.topic] += sum
	}
	return out, nil
}

// pollEvery is the time between two looks at the lags.
const pollEvery = 100 * time.Millisecond

// awaitQuiet returns when two looks in a row have found nothing on its way.
func awaitQuiet(ctx context.Context, client *kafka.Client, hops []hop) error {
	quiet := 0
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for quiet < 2 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		behind, err := lags(ctx, client, hops)
		if err != nil {
			return err
		}
		var sum int64
		for _, n := range behind {
			sum += n
		}
		if sum == 0 {
			quiet++
		} else {
			quiet = 0
		}
	}
	return nil
}
