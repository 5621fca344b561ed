package queue

import (
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// JobRules say when a backlog is worth a bulk job, and how much one takes.
type JobRules struct {
	// From is how many items of a group may go one collection at a time; a job begins with one more.
	From int
	// After is how long the oldest of them must have waited: collections that keep up need no help.
	After time.Duration
	// Records is the most one job carries, Bytes the most of sealed fields.
	Records, Bytes int
}

// NextJob takes the content of a bulk job out of the queue, nil when no group's backlog is worth one. Otherwise it is
// Next: what is in a job is in flight, its records and lock parents with it, until Done.
func (q *Queue) NextJob(now time.Time, rules JobRules) (batch *Batch, skipped []Skipped) {
	for _, g := range q.groups {
		if at, long := g.longEnough(&rules); !long || now.Before(at) {
			continue
		}
		if n, oldest := q.backlog(g, now, rules.From+1); n <= rules.From || now.Before(oldest.Add(rules.After)) {
			continue
		}
		items, _, skips := q.take(g, now, Rules{Records: rules.Records, Bytes: rules.Bytes, job: true})
		skipped = append(skipped, skips...)
		if len(items) == 0 {
			continue
		}
		batch = q.launch(g, items)
		batch.Job = true
		return batch, skipped
	}
	return nil, skipped
}

// fitsJob reports whether a group's records can go by the Bulk API at all. An insert cannot: nothing in its results tells
// which row is which, and nothing finds what a job made whose end nobody saw (promise 5). Nobody is made to wait for a job
// who waits in person. And a job has no way to say what to do with duplicates.
func (g Group) fitsJob() bool {
	switch g.Operation {
	case streamv1.Operation_OPERATION_UPSERT, streamv1.Operation_OPERATION_UPDATE:
	default:
		return false
	}
	return g.Priority != streamv1.Priority_PRIORITY_INTERACTIVE && g.Duplicates == streamv1.Duplicates_DUPLICATES_UNSPECIFIED
}

// backlog counts the items that could go into a job now, up to limit, and tells when the oldest of them was accepted.
func (q *Queue) backlog(g *group, now time.Time, limit int) (n int, oldest time.Time) {
	for _, it := range g.items {
		if it.NotInJob || q.waits(it, now) {
			continue
		}
		if n == 0 || it.Accepted.Before(oldest) {
			oldest = it.Accepted
		}
		if n++; n >= limit {
			break
		}
	}
	return n, oldest
}

// held reports whether the group's backlog waits for the next job.
func (q *Queue) held(g *group, now time.Time, rules Rules) bool {
	if rules.Hold == 0 || rules.Hurry || rules.job || len(g.items) <= rules.Hold || !g.fitsJob() {
		return false
	}
	n, _ := q.backlog(g, now, rules.Hold+1)
	return n > rules.Hold
}

// longEnough reports whether the group holds enough for a job, and when its first item will have waited long enough. It is
// cheap, and what can really go now is for backlog to say.
func (g *group) longEnough(rules *JobRules) (at time.Time, long bool) {
	if len(g.items) <= rules.From || !g.fitsJob() {
		return at, false
	}
	return g.items[0].Accepted.Add(rules.After), true
}
