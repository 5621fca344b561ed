package delivery

import (
	"context"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// collect reads what became of every row of an ended job and ends its writes by that.
func (j *job) collect(ctx context.Context, end salesforce.BulkJob) {
	l := j.l
	if err := l.noteEnd(ctx, j.id); err != nil {
		l.abandoned("note the end of a bulk job", err)
		return
	}
	took := l.h.deps.Clock.Now().Sub(j.began)
	for i := range j.parcels {
		j.parcels[i].item.InJobs += took
	}
	why := end.Err()
	if why != nil && !j.aborted {
		l.holdJobs(string(end.State) + ": " + why.Detail)
	}
	l.h.deps.Tally.Job(ctx, l.org(), string(end.State), len(j.parcels))
	results, e := j.results(ctx)
	if ctx.Err() != nil {
		return // given up: unsettled, it all comes again
	}
	if e != nil {
		// The job is over, so nothing is overtaken by writing its records once more.
		unknown := *e
		unknown.Ambiguous = true
		for i := range j.parcels {
			j.again(&j.parcels[i], &unknown)
		}
		return
	}
	l.gate.Succeeded()
	j.settle(results, why)
}

// results reads the results, several times if need be.
func (j *job) results(ctx context.Context) (salesforce.BulkResults, *salesforce.Error) {
	for failures := 1; ; failures++ {
		results, err := j.client.BulkResults(ctx, j.id, j.req.BulkKeyColumn(), len(j.parcels))
		for range results.Calls - 1 {
			j.count(ctx, nil)
		}
		j.count(ctx, err)
		if err == nil {
			return results, nil
		}
		e := asError(err)
		if ctx.Err() != nil || (!e.Temporary() && !e.Ambiguous) || j.hopeless(e, failures) {
			return salesforce.BulkResults{}, e
		}
		pause(ctx, j.l.backoff(failures), nil)
	}
}

// settle ends every write by the row that bears its key: Salesforce gives the rows back in any order. A write whose row is
// in none of the results is written again; by its key that changes nothing if it was written.
func (j *job) settle(results salesforce.BulkResults, why *salesforce.Error) {
	call, locked := j.call(), false
	rows := make(map[string]*salesforce.BulkRow, len(results.Successful)+len(results.Failed))
	for i := range results.Successful {
		rows[results.Successful[i].Key] = &results.Successful[i]
	}
	for i := range results.Failed {
		rows[results.Failed[i].Key] = &results.Failed[i]
	}
	unprocessed := make(map[string]bool, len(results.Unprocessed))
	for i := range results.Unprocessed {
		unprocessed[results.Unprocessed[i].Key] = true
	}
	for i := range j.parcels {
		p := &j.parcels[i]
		key := j.key(p)
		row := rows[key]
		switch {
		case row != nil && row.Err == nil && row.ID != "":
			j.l.confirmed(p.item, &row.RecordResult, call, j.res)
		case row != nil && row.Err != nil:
			locked = locked || row.Err.Class == salesforce.ClassLock
			j.failed(p, row.Err, call)
		case unprocessed[key]:
			j.again(p, notProcessed(why, j.aborted))
		default:
			j.again(p, missing)
		}
	}
	locked = locked || why != nil && why.Class == salesforce.ClassLock
	j.l.adjust(func() {
		if locked {
			j.l.pace.Locked()
		}
		if locked || why == nil {
			j.l.pace.JobEnded(locked)
		}
	})
}

func (j *job) key(p *parcel) string {
	if j.group.Operation == streamv1.Operation_OPERATION_UPDATE {
		return p.item.Write.GetRecordId()
	}
	return p.item.Write.GetExternalId()
}

// failed deals with a refused row as with a refused record of a collection. Only, a duplicate rule does not name the existing
// records here; a collection can ask for them (XC-40).
func (j *job) failed(p *parcel, e *salesforce.Error, call *salesforce.Call) {
	p.item.NotInJob = true
	if e.Code == salesforce.CodeDuplicates {
		j.giveBack(p.item)
		return
	}
	j.l.failedRecord(p, e, call, j.res)
}

// again puts a write back that the job did not bring to an end.
func (j *job) again(p *parcel, e *salesforce.Error) {
	p.item.NotInJob = true
	j.l.again(p.item, e, j.call(), j.res)
}

// notProcessed is the error of a row that the job did not come to.
func notProcessed(why *salesforce.Error, aborted bool) *salesforce.Error {
	e := salesforce.Error{
		Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: "UNPROCESSED",
		Detail: "the bulk job ended before it came to this row",
	}
	if why != nil && !aborted {
		e.Reason = why.Reason
	}
	e.Ambiguous = aborted
	return &e
}

// missing is the error of a row that the results do not tell of.
var missing = &salesforce.Error{
	Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: "UNPROCESSED",
	Detail: "the results of the bulk job do not tell of this row", Ambiguous: true,
}

// lost puts back the writes of a job whose end cannot be seen now. Its rows may still be written, so the lane sends nothing
// before the end is seen (promise 4).
func (j *job) lost(e *salesforce.Error) {
	left := &stray{id: j.id, at: j.l.h.deps.Clock.Now().Add(j.l.h.cfg.BulkPollMin)}
	j.l.adjust(func() { j.l.jobs.strays = append(j.l.jobs.strays, left) })
	unknown := *e
	unknown.Ambiguous = true
	for i := range j.parcels {
		j.again(&j.parcels[i], &unknown)
	}
}
