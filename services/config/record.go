package config

import (
	"context"
	"fmt"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/runlog"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/outcome"
)

// RecordOutcomes puts a batch into the run log in one transaction, as if it had come from the topic, for programs that have
// outcomes and no topic. An outcome that has no id gets the one that its message would have had; a repeated one has no
// further effect (promise 5).
func (s *Service) RecordOutcomes(ctx context.Context, batch []*streamv1.Outcome) error {
	rows := make([]store.Outcome, 0, len(batch))
	for _, o := range batch {
		message, err := outcome.Message(o, "")
		if err != nil {
			return fmt.Errorf("record outcomes: %w", err)
		}
		row, _, err := runlog.Decode(message.Value)
		if err != nil {
			return fmt.Errorf("record outcomes: %w", err)
		}
		rows = append(rows, row)
	}
	return s.store.RecordOutcomes(ctx, rows)
}
