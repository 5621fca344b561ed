package app

import (
	"context"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// TopicLog lets a tracer read topics through a Kafka client.
type TopicLog struct{ Client *kafka.Client }

// Scan implements trace.Log.
func (l TopicLog) Scan(ctx context.Context, s trace.Scan) error {
	req := kafka.ScanRequest{Topic: s.Topic, Ranges: s.Ranges, From: s.From, Began: s.Began, Visit: s.Visit}
	if s.Key != nil {
		n, err := l.Client.Partitions(ctx, s.Topic)
		if err != nil {
			return err
		}
		req.Partitions = []int{l.Client.PartitionFor(s.Key, n)}
	}
	return l.Client.Scan(ctx, req)
}
