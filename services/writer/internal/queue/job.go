package queue

import (
	"cmp"
	"slices"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// JobRules say when a backlog is worth bulk jobs, how many may begin, and how much they take.
type JobRules struct {
	// From is how many items of a group may go one collection at a time; jobs begin with one more.
	From int
	// After is how long the oldest of them must have waited: collections that keep up need no help.
	After time.Duration
	// Jobs is how many may begin now, Parts in how many a backlog is cut, as far as each gets more than From items. Fewer than 1 are 1.
	Jobs, Parts int
	// Most is the most that one job takes, 0 for all that jobs may take. With Full, more waits than the queue takes, and no job
	// takes less.
	Most int
	Full bool
	// Records is the most all of them take together, Bytes the most of sealed fields.
	Records, Bytes int
}

// Backlog returns the group whose items are worth a job as soon as they have waited long enough, the most urgent first, and when
// that will be.
func (q *Queue) Backlog(rules JobRules) (g Group, at time.Time, found bool) {
	for _, g := range q.groups {
		if at, long := g.longEnough(&rules); long {
			return g.Group, at, true
		}
	}
	return Group{}, at, false
}

// NextJobs takes the content of one or more bulk jobs out of the queue, none when no group's backlog is worth one. Otherwise it
// is Next: what is in a job is in flight, its records and lock parents with it, until Done. Items of one lock parent are in
// one job: no two may hold it. Source: Bulk API 2.0 and Bulk API Developer Guide, "Organize Data to Minimize Lock Contention".
func (q *Queue) NextJobs(now time.Time, rules JobRules) (batches []*Batch, skipped []Skipped) {
	for _, c := range q.worthJobs(now, &rules) {
		size := rules.size(c.n)
		wanted := min(rules.Records, size*max(1, min(rules.Jobs, (c.n+size-1)/size)))
		items, _, skips := q.take(c.group, now, Rules{Records: wanted, Bytes: rules.Bytes, job: true})
		skipped = append(skipped, skips...)
		if len(items) == 0 {
			continue
		}
		b := q.launch(c.group, items)
		for _, part := range apart(b.Items, size, rules.From) {
			batches = append(batches, &Batch{Group: b.Group, Items: part, Job: true})
		}
		return batches, skipped
	}
	return nil, skipped
}

// size is how many items a job takes of a backlog of n.
func (r *JobRules) size(n int) int {
	parts := max(1, r.Parts)
	size := max(r.From+1, (n+parts-1)/parts)
	if r.Most > 0 {
		if r.Full {
			size = r.Most
		}
		size = min(size, r.Most)
	}
	return max(1, size)
}

// apart cuts items that are sorted by lock parent into runs of about size, never within a parent. A rest that is worth no job
// of its own stays with the last one.
func apart(items []*Item, size, least int) [][]*Item {
	var parts [][]*Item
	for len(items) > 0 {
		at := min(size, len(items))
		for at < len(items) && items[at].sharesParent(items[at-1]) {
			at++
		}
		if len(items)-at <= least {
			at = len(items)
		}
		parts = append(parts, items[:at:at])
		items = items[at:]
	}
	return parts
}

func (it *Item) sharesParent(other *Item) bool {
	parent := it.Write.GetLockParent()
	return parent != "" && parent == other.Write.GetLockParent()
}

// candidate is a group with a backlog that is worth jobs now.
type candidate struct {
	group  *group
	n      int
	oldest time.Time
}

// worthJobs returns the groups whose backlog is worth jobs now, the urgent first and then the one that has waited longest.
func (q *Queue) worthJobs(now time.Time, rules *JobRules) []candidate {
	var due []candidate
	for _, g := range q.groups {
		if at, long := g.longEnough(rules); !long || now.Before(at) {
			continue
		}
		if n, oldest := q.backlog(g, now, len(g.items)); n > rules.From && !now.Before(oldest.Add(rules.After)) {
			due = append(due, candidate{group: g, n: n, oldest: oldest})
		}
	}
	slices.SortStableFunc(due, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.group.Priority, b.group.Priority), a.oldest.Compare(b.oldest))
	})
	return due
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

// gather is how many times After a backlog that still grows is let gather, so that jobs are as large as they can be; one that
// has not grown for After, or that the queue has no more room for, is not.
const gather = 8

// longEnough reports whether the group holds enough for a job, and when its items will have waited long enough. It is
// cheap, and what can really go now is for backlog to say.
func (g *group) longEnough(rules *JobRules) (at time.Time, long bool) {
	if len(g.items) <= rules.From || !g.fitsJob() {
		return at, false
	}
	first, last := g.items[0].Accepted, g.items[len(g.items)-1].Accepted
	at = first.Add(rules.After)
	if quiet := last.Add(rules.After); !rules.Full && quiet.After(at) {
		at = quiet
	}
	if end := first.Add(gather * rules.After); end.Before(at) {
		at = end
	}
	return at, true
}
