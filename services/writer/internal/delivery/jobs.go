package delivery

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// jobs is what a lane knows about its bulk jobs. The lane's lock guards it.
type jobs struct {
	// running: a job is under way. A lane has one at a time: Salesforce cuts it up and works on the parts in parallel.
	running bool
	// heldUntil is when a further backlog goes in collections beside the job.
	heldUntil time.Time
	// notBefore is when the next may begin.
	notBefore time.Time
	// stray is a job whose end nobody has seen, nil when there is none.
	stray *stray
}

// jobRules are the rules for the next job, nil when none may begin. The caller holds the lock.
func (l *lane) jobRules(now time.Time) *queue.JobRules {
	if l.h.cfg.BulkFrom == 0 || l.draining || l.jobs.running || now.Before(l.jobs.notBefore) {
		return nil
	}
	return &queue.JobRules{
		From: l.h.cfg.BulkFrom, After: l.h.cfg.BulkAfter, Records: l.h.cfg.BulkRecords, Bytes: l.h.cfg.BulkBytes,
	}
}

// holdJobs lets no job begin for a while; everything goes in collections.
func (l *lane) holdJobs(why string) {
	until := l.h.deps.Clock.Now().Add(l.h.cfg.BulkPause)
	l.adjust(func() { l.jobs.notBefore = until })
	l.h.deps.Logger.Warn("no bulk jobs for a while; writes go in collections",
		"workspace", l.key.workspace, "connection", l.key.connection, "until", until, "reason", why)
}

// job is one batch on its way through the Bulk API.
type job struct {
	l       *lane
	client  *salesforce.Client
	group   queue.Group
	res     *result
	req     salesforce.BulkRequest
	parcels []parcel

	id    string
	began time.Time
	calls int
	// aborted: we ended it. Rows that were being written then may still come through for a moment.
	aborted bool
}

// sendJob carries a batch through a bulk job. Nothing settles before Salesforce has told about every row (promise 2). What
// a job cannot take, or does not bring to an end, goes back and into collections, which say what is wrong with what.
func (l *lane) sendJob(ctx context.Context, client *salesforce.Client, g queue.Group, parcels []parcel, res *result) {
	all := collection(g, nil)
	j := &job{
		l: l, client: client, group: g, res: res, began: l.h.deps.Clock.Now(),
		req: salesforce.BulkRequest{Operation: all.Operation, Object: g.Object, ExternalIDField: g.ExternalIDField},
	}
	data := j.pack(parcels)
	if data == nil || !j.admitted(ctx) {
		return
	}
	defer j.tell(ctx)
	if e := j.open(ctx, data); e != nil {
		j.refused(ctx, e)
		return
	}
	entry, err := ledger.JobUnderWay(l.key.workspace, l.key.connection, j.id, l.h.deps.Clock.Now())
	if err == nil {
		err = l.h.port.Save(ctx, entry)
	}
	if err != nil {
		l.abandoned("note a bulk job", err)
		return
	}
	end, e := j.follow(ctx)
	switch {
	case ctx.Err() != nil: // given up: unsettled, it all comes again, after the job
	case e != nil:
		j.lost(e)
	default:
		j.collect(ctx, end)
	}
}

// pack makes the rows of what fits into a job, and gives back the rest; nil when nothing is left that is worth one.
func (j *job) pack(parcels []parcel) []byte {
	records := collection(j.group, parcels).Records
	var rows []salesforce.CollectionRecord
	for i := range parcels {
		if !records[i].FitsBulk() {
			j.giveBack(parcels[i].item)
			continue
		}
		rows = append(rows, records[i])
		j.parcels = append(j.parcels, parcels[i])
	}
	if len(rows) > salesforce.MaxCollection {
		if data, err := salesforce.EncodeBulk(j.req, rows); err == nil && len(data) <= salesforce.MaxBulkUpload {
			return data
		}
	}
	j.giveBackAll()
	return nil
}

// giveBack returns a write that was not sent; it goes in a collection.
func (j *job) giveBack(it *queue.Item) {
	it.NotInJob, it.NotBefore = true, j.began
	it.Attempts--
	j.res.again = append(j.res.again, it)
}

func (j *job) giveBackAll() {
	for i := range j.parcels {
		j.giveBack(j.parcels[i].item)
	}
	j.parcels = nil
}

// batchRecords is how many rows of a job count as one of the org's batches. Source: Limits Quick Reference, "Bulk API and Bulk
// API 2.0 Limits and Allocations".
const batchRecords = 10_000

// admitted reports whether a job may begin: whether the org takes writes, and has batches left. They are shared by all its
// clients and by both Bulk APIs, 15,000 in 24 hours; what we leave is for the others.
func (j *job) admitted(ctx context.Context) bool {
	if state := j.l.state(j.group.Priority, j.began); !state.Open {
		for i := range j.parcels {
			j.res.park(j.parcels[i].item, state.Reason, state.Detail)
		}
		return false
	}
	limits, err := j.client.Limits(ctx)
	j.count(ctx, "rest", err)
	batches, told := limits["DailyBulkApiBatches"]
	if err != nil || !told {
		return ctx.Err() == nil // some users may not see the limits; a job that has none fails by itself
	}
	needed := int64((len(j.parcels) + batchRecords - 1) / batchRecords)
	if batches.Remaining-needed >= batches.Max*int64(j.l.h.cfg.BulkLeave)/100 {
		return true
	}
	j.l.holdJobs("the org's bulk batches of 24 hours are nearly used up")
	j.giveBackAll()
	return false
}

// count accounts for one call of the job.
func (j *job) count(ctx context.Context, api string, err error) {
	j.calls++
	j.l.gate.Spent(j.group.Priority, 1, j.l.h.deps.Clock.Now())
	j.l.h.deps.Tally.Request(ctx, j.l.org(), api, resultOf(err))
}

// tell logs the job and puts it on its span.
func (j *job) tell(ctx context.Context) {
	took := j.l.h.deps.Clock.Now().Sub(j.began)
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String("salesforce.api", apiBulk), attribute.String("salesforce.job", j.id),
		attribute.Int("salesforce.calls", j.calls))
	j.l.h.deps.Logger.Info("bulk job", "workspace", j.l.key.workspace, "connection", j.l.key.connection,
		"object", j.group.Object, "operation", j.req.Operation.String(), "job", j.id, "rows", len(j.parcels), "calls", j.calls,
		"took", took.String(), "sent_again", len(j.res.again), "parked", len(j.res.parks))
}

const apiBulk = "bulk"

// call describes the job for outcomes.
func (j *job) call() *salesforce.Call {
	return &salesforce.Call{
		API: apiBulk, Route: "POST /jobs/ingest", Status: 200, Records: len(j.parcels),
		Duration: j.l.h.deps.Clock.Now().Sub(j.began),
	}
}
