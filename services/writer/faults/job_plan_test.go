package faults

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// backlog plans more upserts than collections get to: some in several revisions, so that jobs and collections, and jobs
// of one life and the next, meet in the same records.
func (p *plan) backlog(r *rand.Rand, c string) []*write {
	var writes []*write
	for i := range 800 + r.IntN(400) {
		for revision := range 1 + r.IntN(10)/7 + r.IntN(10)/8 {
			writes = append(writes, &write{
				connection: c, key: fmt.Sprint("backlog", i), revision: int64(revision + 1), object: "Engagement__c",
				operation: streamv1.Operation_OPERATION_UPSERT, externalField: "External_Id__c", family: rows,
				fields: []field{{name: "Title__c", text: "製品資料"}, {name: "View_Count__c", num: float64(revision + 1)}},
			})
		}
	}
	return shuffle(r, writes)
}

// jobFaults yields what befalls jobs, by the name that coverage counts it under.
func jobFaults() iter.Seq2[string, simulator.Fault] {
	return func(yield func(string, simulator.Fault) bool) {
		all := []simulator.Fault{
			{Route: "bulk.*", Action: "fail_job", Code: "TooManyLockFailure", Message: "Too many lock failures"},
			{Route: "bulk.*", Action: "slow_job", Wait: 30 * time.Millisecond},
			{Route: "bulk.*", Action: "row_error", Code: "SERVER_UNAVAILABLE", Message: "Too busy"},
			{Route: "bulk.*", Action: "lock_row"},
		}
		for _, route := range []string{"bulk.create", "bulk.upload", "bulk.job", "bulk.results"} {
			all = append(all,
				simulator.Fault{Route: route, Action: "status", Status: 503, Code: "SERVER_UNAVAILABLE", Message: "Too busy"},
				simulator.Fault{Route: route, Action: "drop_before"},
				simulator.Fault{Route: route, Action: "drop_after"})
		}
		for _, f := range all {
			if !yield(string(f.Action)+" on "+f.Route, f) {
				return
			}
		}
	}
}

// troubleJobs draws a few of them, and deaths at the steps of jobs: creation, upload, closing, looks, results, abortion.
func (p *plan) troubleJobs(r *rand.Rand) {
	var faults []simulator.Fault
	for _, f := range jobFaults() {
		f.Probability, f.Seed, f.Times = 0.2+0.6*r.Float64(), r.Uint64(), 1+r.IntN(3)
		if f.Action == "row_error" || f.Action == "lock_row" {
			f.Probability, f.Times = f.Probability/4, f.Times*20
		}
		faults = append(faults, f)
	}
	r.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	p.faults = append(faults[:r.IntN(len(faults)/3+1)], p.faults...) // more would let no job come to its end
	for range r.IntN(3) {
		p.kills = append(p.kills, kill{at: []moment{beforeStep, afterStep}[r.IntN(2)], in: 1 + r.IntN(8*p.jobsAtOnce)})
	}
}

// severalLeft is what coverage calls a death that left several bulk jobs of one org for the next writer to end.
const severalLeft = "left several bulk jobs of one org under way"

// countLeft notes how many jobs somebody who died had under way, by what the next one reads in the ledger.
func (w *world) countLeft() {
	w.t.Helper()
	if !w.plan.jobs {
		return
	}
	table := stage.NewTable()
	require.NoError(w.t, w.kafka.Scan(w.t.Context(), kafka.ScanRequest{Topic: topic.Ledger, Visit: func(r stage.Record) bool {
		table.Apply(stage.Entry{Key: string(r.Key), Value: r.Value})
		return true
	}}))
	for _, o := range w.plan.orgs {
		ids, err := ledger.Jobs(table, workspace, o.key)
		require.NoError(w.t, err)
		if len(ids) > 1 {
			w.hits[severalLeft]++
		}
	}
}
