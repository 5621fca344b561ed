package demo

import (
	"context"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// entrance is the part of the flow that must be quiet before the clock may move: up to the visits.
func (e *environment) entrance() []hop {
	return []hop{{"tl-ingest-" + customerTopic, customerTopic}, {"tl-visits", topic.Activities}}
}

// flow is every consumer group in the order of the flow. A topic that feeds back into an earlier one stands before it.
func (e *environment) flow() []hop {
	return append(e.entrance(),
		hop{"tl-totals", topic.Visits},
		hop{"tl-identity", topic.Engagements}, hop{"tl-identity-retry", topic.Unresolved},
		hop{"tl-mapping", topic.Resolved},
		hop{"tl-writer-parked", topic.Parked}, hop{"tl-writer", topic.Writes},
		hop{"tl-runlog", topic.Outcomes},
	)
}

// outcomeCount sums the run log over all workspaces: by status, and by status, reason and stage for the table.
func (e *environment) outcomeCount(ctx context.Context) (map[streamv1.Status]int64, map[string]int64, error) {
	byStatus, byReason := map[streamv1.Status]int64{}, map[string]int64{}
	for _, w := range e.traffic.World().Workspaces {
		answer, err := e.config.CountOutcomes(ctx, &configv1.CountOutcomesRequest{Workspace: w.ID})
		if err != nil {
			return nil, nil, err
		}
		for _, c := range answer.GetCounts() {
			byStatus[c.GetStatus()] += c.GetCount()
			byReason[rowName(c)] += c.GetCount()
		}
	}
	return byStatus, byReason, nil
}
