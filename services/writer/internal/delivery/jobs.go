package delivery

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// jobs is what a lane knows about its bulk jobs. The lane's lock guards it.
type jobs struct {
	// running is how many are under way, records and bytes what they carry.
	running, records, bytes int
	// heldUntil is when a further backlog goes in collections beside them.
	heldUntil time.Time
	// notBefore is when the next may begin.
	notBefore time.Time
	// strays are jobs whose end nobody has seen.
	strays []*stray
	// perRow is how long the last one took for each of its rows; 0 when that is not known.
	perRow    time.Duration
	allowance allowance
}

// jobsHold is how many times as many writes as may wait in a lane its jobs may carry (promise 7).
const jobsHold = 2

// jobRules are the rules for the next jobs, nil when none may begin. Capacity is how many writes may wait in the lane. The caller
// holds the lock.
func (l *lane) jobRules(now time.Time, capacity int) *queue.JobRules {
	cfg := &l.h.cfg
	if cfg.BulkFrom == 0 || l.draining || now.Before(l.jobs.notBefore) {
		return nil
	}
	l.pace.SetBatches(l.jobs.allowance.used(cfg.BulkLeave))
	at := l.pace.Jobs()
	rules := queue.JobRules{
		From: cfg.BulkFrom, After: cfg.BulkAfter, Jobs: at - l.jobs.running, Full: l.queue.Len() >= capacity,
		Records: min(cfg.BulkRecords, jobsHold*capacity) - l.jobs.records, Bytes: cfg.BulkBytes - l.jobs.bytes,
	}
	if rules.Jobs < 1 || rules.Records <= rules.From || rules.Bytes <= 0 {
		return nil
	}
	// Those that run will give their places back, some sooner than others: what waits now is not all for the one place that is free.
	rules.Parts = max(rules.Jobs, (at+1)/2)
	if at > 1 {
		rules.Most = batchRecords // Salesforce works on a batch from its beginning to its end, so a second one goes in another job
	}
	return &rules
}

// awaiting asks the org how many batches it has left when there is a backlog and that is not known, and reports whether jobs that
// are due wait for the answer. The caller holds the lock.
func (l *lane) awaiting(now time.Time, rules queue.JobRules) bool {
	g, at, found := l.queue.Backlog(rules)
	a := &l.jobs.allowance
	if !found || a.fresh(now) {
		return false
	}
	if a.asking.IsZero() {
		a.asking = now
		l.h.work.Go(func() { l.askAllowance(g) })
	}
	return !now.Before(at) && now.Sub(a.asking) < l.h.cfg.BulkHold
}

// dueJobs takes the content of the jobs that are to begin now out of the queue. The caller holds the lock.
func (l *lane) dueJobs(now time.Time, rules queue.JobRules) (batches []*queue.Batch, skipped []queue.Skipped) {
	if _, _, found := l.queue.Backlog(rules); !found || !l.jobs.allowance.fresh(now) {
		return nil, nil
	}
	left := l.jobs.allowance.left(l.h.cfg.BulkLeave)
	if left < 1 {
		l.jobs.notBefore = now.Add(l.h.cfg.BulkPause)
		l.noJobs(l.jobs.notBefore, "the org's bulk batches of 24 hours are nearly used up")
		return nil, nil
	}
	rules.Jobs, rules.Records = min(rules.Jobs, left), min(rules.Records, left*batchRecords)
	batches, skipped = l.queue.NextJobs(now, rules)
	for _, b := range batches {
		l.jobs.running++
		l.jobs.records += len(b.Items)
		l.jobs.bytes += sealedBytes(b)
		l.jobs.heldUntil = now.Add(l.h.cfg.BulkHold)
		l.jobs.allowance.spend(len(b.Items))
	}
	return batches, skipped
}

// jobDone gives the place of a job back. The caller holds the lock.
func (l *lane) jobDone(b *queue.Batch) {
	l.jobs.running--
	l.jobs.records -= len(b.Items)
	l.jobs.bytes -= sealedBytes(b)
}

func sealedBytes(b *queue.Batch) (n int) {
	for _, it := range b.Items {
		n += len(it.Write.GetSealedFields())
	}
	return n
}

// holdJobs lets no job begin for a while; everything goes in collections.
func (l *lane) holdJobs(why string) {
	until := l.h.deps.Clock.Now().Add(l.h.cfg.BulkPause)
	l.adjust(func() { l.jobs.notBefore = until })
	l.noJobs(until, why)
}

func (l *lane) noJobs(until time.Time, why string) {
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
	if data == nil || !j.admitted() {
		return
	}
	defer j.tell(ctx)
	if e := j.open(ctx, data); e != nil {
		j.refused(ctx, e)
		return
	}
	if err := l.note(ctx, func(ids []string) []string { return append(ids, j.id) }); err != nil {
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

// admitted reports whether the org still takes writes.
func (j *job) admitted() bool {
	state := j.l.state(j.group.Priority, j.began)
	if !state.Open {
		for i := range j.parcels {
			j.res.park(j.parcels[i].item, state.Reason, state.Detail)
		}
	}
	return state.Open
}

// count accounts for one call of the job.
func (j *job) count(ctx context.Context, err error) {
	j.calls++
	j.l.gate.Spent(j.group.Priority, 1, j.l.h.deps.Clock.Now())
	j.l.h.deps.Tally.Request(ctx, j.l.org(), apiBulk, resultOf(err))
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
