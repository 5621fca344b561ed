package delivery

import (
	"context"
	"net/http"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
)

// open makes the job and gives it its rows. When it fails nothing has begun, and nothing is in doubt: Salesforce does not
// begin with a job before it is closed.
func (j *job) open(ctx context.Context, data []byte) *salesforce.Error {
	made, err := j.client.CreateBulkJob(ctx, j.req)
	j.count(ctx, err)
	if err != nil {
		return asError(err)
	}
	j.id = made.ID
	err = j.client.UploadBulkJob(ctx, j.id, data)
	j.count(ctx, err)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		// A job that stays open takes part in nothing; Salesforce ends it after a day if this does not.
		_, ended := j.client.AbortBulkJob(ctx, j.id)
		j.count(ctx, ended)
	}
	return asError(err)
}

// refused deals with a job that could not be made.
func (j *job) refused(ctx context.Context, e *salesforce.Error) {
	if ctx.Err() != nil {
		return // given up: unsettled, it all comes again
	}
	now := j.l.h.deps.Clock.Now()
	if !bulkOnly(e) {
		j.l.gate.Failed(e, now)
	}
	switch {
	case !j.l.gate.State(now).Open:
		for i := range j.parcels {
			j.res.park(j.parcels[i].item, gate.ReasonOf(e), e.Detail)
		}
	case bulkOnly(e) || !e.Temporary():
		j.l.holdJobs(e.Detail)
		j.giveBackAll()
	default:
		harmless := *e
		harmless.Ambiguous = false
		for i := range j.parcels {
			it := j.parcels[i].item
			it.NotInJob = it.Attempts > 1 // a second job may be made where the first could not
			j.l.again(it, &harmless, j.call(), j.res)
		}
	}
}

// bulkOnly reports whether a refusal is about the Bulk API and says nothing about others: the org's batches are used up, or it
// has the API switched off. The names come in capitals when a request meets them. Source: Bulk API 2.0 Guide, "Errors".
func bulkOnly(e *salesforce.Error) bool {
	switch e.Code {
	case "EXCEEDEDQUOTA", "ExceededQuota", "FEATURENOTENABLED", "FeatureNotEnabled":
		return true
	}
	return false
}

// jobMovedOn refuses to close or to abort a job that has ended meanwhile, or was closed by a request whose answer got lost. Where it
// stands the next look says. Source: Bulk API 2.0 Guide, "Errors".
const jobMovedOn = "INVALIDJOBSTATE"

// follow closes the job and waits for its end. An error means that the end could not be seen.
func (j *job) follow(ctx context.Context) (salesforce.BulkJob, *salesforce.Error) {
	var (
		cfg              = &j.l.h.cfg
		stopping         = j.l.h.stopping
		began            = j.l.h.deps.Clock.Now()
		limit            = began.Add(cfg.BulkFor)
		next             = j.client.CloseBulkJob
		closes, failures int
		wait             time.Duration
	)
	// Promises 6 and 7: neither a stop nor a lane waits for a job as long as the job likes.
	abort := func() {
		j.aborted, next, limit = true, j.client.AbortBulkJob, j.l.h.deps.Clock.Now().Add(cfg.BulkFor)
	}
	for {
		if pause(ctx, wait, stopping) {
			stopping = nil
			abort()
		}
		if j.l.h.deps.Clock.Now().After(limit) {
			if j.aborted {
				return salesforce.BulkJob{}, unseen
			}
			abort()
		}
		now, err := next(ctx, j.id)
		j.count(ctx, err)
		if ctx.Err() != nil {
			return salesforce.BulkJob{}, unseen
		}
		next = j.client.BulkJob
		if err != nil {
			switch e := asError(err); {
			case e.Status == http.StatusNotFound: // only what has ended can be removed
				now = salesforce.BulkJob{ID: j.id, State: salesforce.BulkAborted}
			case e.Code == jobMovedOn:
				wait = cfg.BulkPollMin
				continue
			default:
				if failures++; j.hopeless(e, failures) {
					return salesforce.BulkJob{}, e
				}
				wait = j.l.backoff(failures)
				continue
			}
		}
		failures = 0
		switch {
		case now.State.Ended():
			if j.aborted || now.State == salesforce.BulkAborted { // what was being written then may still come through
				pause(ctx, cfg.LookAfter, nil)
			}
			j.learn(now, j.l.h.deps.Clock.Now().Sub(began))
			return now, nil
		case j.aborted: // it did not get through, or takes its time; to repeat it does no harm
			next = j.client.AbortBulkJob
		case now.State == salesforce.BulkOpen && closes < cfg.Attempts: // closing did not get through
			closes++
			next = j.client.CloseBulkJob
		case now.State == salesforce.BulkOpen:
			abort()
		}
		wait = j.nextLook(now, j.l.h.deps.Clock.Now().Sub(began), wait)
	}
}

// learn notes how long a job took that came to its end, for the next one's looks.
func (j *job) learn(end salesforce.BulkJob, took time.Duration) {
	if end.State == salesforce.BulkJobComplete {
		j.l.adjust(func() { j.l.jobs.perRow = took / time.Duration(len(j.parcels)) })
	}
}

// nextLook is how long to wait before asking again, for every look is a call: as long as the rest should take, by what was done so
// far, or by what the last job took; longer and longer while nothing is known.
func (j *job) nextLook(now salesforce.BulkJob, elapsed, last time.Duration) time.Duration {
	var perRow time.Duration
	j.l.adjust(func() { perRow = j.l.jobs.perRow })
	rows, rest := len(j.parcels), time.Duration(0)
	if now.Processed > 0 {
		rest = time.Duration(float64(elapsed) * float64(rows-now.Processed) / float64(now.Processed))
	} else if perRow > 0 {
		rest = perRow*time.Duration(rows) - elapsed
	}
	least, most := j.l.h.cfg.BulkPollMin, j.l.h.cfg.BulkPollMax
	if rest > 0 {
		return min(max(least/4, rest+rest/16), most)
	}
	return min(max(least, last*3/2), most)
}

// unseen is why a job is given up that has not ended long after it was aborted.
var unseen = &salesforce.Error{
	Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeTimeout,
	Detail: "the bulk job does not end", Ambiguous: true,
}

// hopeless reports whether there is no use in asking on.
func (j *job) hopeless(e *salesforce.Error, failures int) bool {
	now := j.l.h.deps.Clock.Now()
	j.l.gate.Failed(e, now)
	return failures >= j.l.h.cfg.Attempts || !j.l.gate.State(now).Open
}

// pause waits, and reports whether stop was closed before or meanwhile. It returns early for that, and when ctx ends.
func pause(ctx context.Context, wait time.Duration, stop <-chan struct{}) (stopped bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-stop:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
