package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/simulator"
)

// Quiet waits until nothing is on its way any more.
func (r *Rig) Quiet() {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	if err := flow.AwaitQuiet(ctx, r.Kafka, flow.Hops(CustomerTopic)); err != nil {
		behind, _ := flow.Lags(context.Background(), r.Kafka, flow.Hops(CustomerTopic))
		require.NoError(r.T, err, "still on its way: %v", behind)
	}
}

// Records reads an org's records of an object, past every layer of the pipeline.
func (r *Rig) Records(org, object string) []map[string]any {
	r.T.Helper()
	var text bytes.Buffer
	require.NoError(r.T, r.Salesforce.Export(context.Background(), &text, simulator.Selection{Org: org, Object: object}))
	var out []map[string]any
	for dec := json.NewDecoder(&text); dec.More(); {
		var fields map[string]any
		require.NoError(r.T, dec.Decode(&fields))
		out = append(out, fields)
	}
	return out
}

// Topic reads all records of a topic, in order per partition.
func (r *Rig) Topic(name string) []stage.Record {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	var out []stage.Record
	require.NoError(r.T, r.Kafka.Scan(ctx, kafka.ScanRequest{Topic: name, Visit: func(rec stage.Record) bool {
		rec.Key, rec.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
		headers := make([]stage.Header, len(rec.Headers))
		for i, h := range rec.Headers {
			headers[i] = stage.Header{Key: h.Key, Value: bytes.Clone(h.Value)}
		}
		rec.Headers = headers
		out = append(out, rec)
		return true
	}}))
	slices.SortStableFunc(out, func(a, b stage.Record) int { return a.Partition - b.Partition })
	return out
}

// Outcomes asks the run log.
func (r *Rig) Outcomes(req *configv1.ListOutcomesRequest) []*streamv1.Outcome {
	r.T.Helper()
	answer, err := r.Config.ListOutcomes(context.Background(), req)
	require.NoError(r.T, err)
	return answer.GetOutcomes()
}

// Ended lists what became of an event at each stage, as "stage STATUS(REASON)", sorted.
func (r *Rig) Ended(workspace, event string) []string {
	r.T.Helper()
	var out []string
	for _, o := range r.Outcomes(&configv1.ListOutcomesRequest{Workspace: workspace, EventId: event}) {
		text := o.GetStage() + " " + strings.TrimPrefix(o.GetStatus().String(), "STATUS_")
		if o.GetReason() != streamv1.Reason_REASON_UNSPECIFIED {
			text += "(" + strings.TrimPrefix(o.GetReason().String(), "REASON_") + ")"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}
