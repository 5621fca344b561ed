package app

import (
	"context"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

// topicLog lets a tracer read topics through the process's Kafka client.
type topicLog struct{ client *kafka.Client }

// Scan implements trace.Log.
func (l topicLog) Scan(ctx context.Context, s trace.Scan) error {
	req := kafka.ScanRequest{Topic: s.Topic, From: s.From, Visit: s.Visit}
	if s.Key != nil {
		n, err := l.client.Partitions(ctx, s.Topic)
		if err != nil {
			return err
		}
		req.Partitions = []int{l.client.PartitionFor(s.Key, n)}
	}
	return l.client.Scan(ctx, req)
}
