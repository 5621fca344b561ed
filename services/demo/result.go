package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/oracle"
	"github.com/throughline-dev/throughline/services/simulator"
)

// compared are the objects that the demo's integrations write.
var compared = []string{"Engagement__c", "Task"}

// records reads the orgs' final records out of the simulator, past every layer of the pipeline.
func (e *environment) records(ctx context.Context) ([]oracle.Record, error) {
	var out []oracle.Record
	for _, w := range e.traffic.World().Workspaces {
		for _, object := range compared {
			if object == "Engagement__c" && !w.Org.Package {
				continue
			}
			var text bytes.Buffer
			if err := e.simulator.Export(ctx, &text, simulator.Selection{Org: w.ID, Object: object}); err != nil {
				return nil, err
			}
			for dec := json.NewDecoder(&text); dec.More(); {
				r := oracle.Record{Org: w.ID, Object: object}
				if err := dec.Decode(&r.Fields); err != nil {
					return nil, fmt.Errorf("export of %s in org %s: %w", object, w.ID, err)
				}
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// summarise puts the figures together.
func (e *environment) summarise(ctx context.Context, report *oracle.Report, elapsed time.Duration) (Summary, map[string]int64, error) {
	status, reasons, err := e.outcomeCount(ctx)
	if err != nil {
		return Summary{}, nil, err
	}
	parked, err := flow.Lags(ctx, e.kafka, []flow.Hop{flow.Parked})
	if err != nil {
		return Summary{}, nil, err
	}
	engagements, err := e.engagements(ctx)
	if err != nil {
		return Summary{}, nil, err
	}
	events, err := e.eventsIn(ctx)
	if err != nil {
		return Summary{}, nil, err
	}
	s := Summary{
		EventsIn:        events,
		Engagements:     engagements,
		Written:         int64(report.Written),
		Skipped:         status[streamv1.Status_STATUS_SKIPPED],
		Parked:          parked[flow.Parked.Topic],
		Failed:          status[streamv1.Status_STATUS_FAILED],
		Lost:            report.Lost,
		Duplicates:      report.Duplicates,
		SalesforceCalls: e.salesforceCalls(),
		ElapsedS:        elapsed.Seconds(),
	}
	if s.ElapsedS > 0 {
		s.EventsPerS = float64(s.EventsIn) / s.ElapsedS
	}
	return s, reasons, nil
}

// eventsIn counts what ingest has read and settled of the customer topic.
func (e *environment) eventsIn(ctx context.Context) (int64, error) {
	partitions, err := e.kafka.Lag(ctx, "tl-ingest-"+customerTopic, customerTopic)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, p := range partitions {
		n += p.Committed - p.Start
	}
	return n, nil
}

// engagements counts the distinct engagements that there are totals for.
func (e *environment) engagements(ctx context.Context) (int64, error) {
	seen := map[string]bool{}
	var bad error
	err := e.kafka.Scan(ctx, kafka.ScanRequest{Topic: topic.Engagements, Visit: func(r stage.Record) bool {
		var m streamv1.Engagement
		if bad = proto.Unmarshal(r.Value, &m); bad != nil {
			return false
		}
		seen[m.GetEngagementId()] = true
		return true
	}})
	return int64(len(seen)), errors.Join(err, bad)
}

// salesforceCalls counts what the orgs answered since this process started.
func (e *environment) salesforceCalls() int64 {
	var n int64
	for _, org := range e.simulator.Stats() {
		n += int64(org.Calls)
	}
	return n
}

func rowName(c *configv1.OutcomeCount) string {
	name := strings.TrimPrefix(c.GetStatus().String(), "STATUS_")
	if c.GetReason() != streamv1.Reason_REASON_UNSPECIFIED {
		name += "(" + strings.TrimPrefix(c.GetReason().String(), "REASON_") + ")"
	}
	return name + " at " + c.GetStage()
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
