package faults

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
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

// noted returns the ids of the jobs that the ledger's entries name, one after the other, by connection.
func (w *world) noted() map[string][][]string {
	w.t.Helper()
	entries := map[string][][]string{}
	require.NoError(w.t, w.kafka.Scan(w.t.Context(), kafka.ScanRequest{Topic: topic.Ledger, Visit: func(r stage.Record) bool {
		table := stage.NewTable()
		table.Apply(stage.Entry{Key: string(r.Key), Value: r.Value})
		for _, c := range connections {
			none, err := ledger.JobsUnderWay(workspace, c, nil, time.Time{})
			require.NoError(w.t, err)
			if none.Key != string(r.Key) {
				continue
			}
			ids, err := ledger.Jobs(table, workspace, c)
			require.NoError(w.t, err)
			entries[c] = append(entries[c], ids)
		}
		return true
	}}))
	return entries
}

// countLeft notes how many jobs somebody who died had under way, by what the next one reads in the ledger.
func (w *world) countLeft() {
	w.t.Helper()
	if !w.plan.jobs {
		return
	}
	for _, entries := range w.noted() {
		if len(entries[len(entries)-1]) > 1 {
			w.hits[severalLeft]++
		}
	}
}

// judgeJobs checks that no job that Salesforce may have begun with was left to itself: each that the ledger ever named has ended.
func (w *world) judgeJobs() (wrong []string) {
	w.t.Helper()
	for c, entries := range w.noted() {
		if last := entries[len(entries)-1]; len(last) > 0 {
			wrong = append(wrong, fmt.Sprintf("org %s: the ledger still names the jobs %v", c, last))
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(entries...)))) {
			if state := w.jobState(c, id); !state.Ended() {
				wrong = append(wrong, fmt.Sprintf("org %s: job %s was left %s", c, id, state))
			}
		}
	}
	return wrong
}

// jobState asks the org for a job; one that moved had jobs in both.
func (w *world) jobState(c, id string) salesforce.BulkState {
	w.t.Helper()
	keys := []string{c}
	if c == w.plan.moved {
		keys = append(keys, former)
	}
	var err error
	for _, key := range keys {
		client := salesforce.NewClient(unhurried(), &grant{url: w.url + "/orgs/" + key}, salesforce.Deps{})
		var job salesforce.BulkJob
		if job, err = client.BulkJob(w.t.Context(), id); err == nil {
			return job.State
		}
	}
	require.NoError(w.t, err)
	return ""
}
