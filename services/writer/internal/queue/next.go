package queue

import (
	"cmp"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// Rules say when a request is worth sending.
type Rules struct {
	// Records is the most one request carries, Bytes the most of sealed fields.
	Records, Bytes int
	// Linger is how long the oldest item of a group waits for company.
	Linger func(Group) time.Duration
	// LookAfter is how long after a create was sent, and its answer lost, it may still take effect.
	LookAfter time.Duration
	// Hurry: wait for nothing.
	Hurry bool
	// Hold is for the time that a job runs: a group with more items than that which fit into a job waits for the next one,
	// instead of spending a call on every few of them. 0: none waits.
	Hold int
	// Job are the rules for bulk jobs, nil when none may begin. Wake heeds them, Next does not.
	Job *JobRules

	job bool // what is taken is for a job
}

// Next takes the next request out of the queue, nil when none is due. Items that get no request, because they
// need none or because the ledger cannot tell, come back in skipped; they are out of the queue. Call Done when the request is
// over and everything about it is saved.
func (q *Queue) Next(now time.Time, rules Rules) (batch *Batch, skipped []Skipped) {
	for {
		q.followed = false
		next, more := q.next(now, rules)
		skipped = append(skipped, more...)
		if next != nil || !q.followed { // what follows its record now waits in another group, each once
			return next, skipped
		}
	}
}

func (q *Queue) next(now time.Time, rules Rules) (batch *Batch, skipped []Skipped) {
	for _, g := range q.due(now, rules) {
		items, look, skips := q.take(g, now, rules)
		skipped = append(skipped, skips...)
		if len(items) == 0 {
			continue
		}
		batch = q.launch(g, items)
		batch.Look = look
		return batch, skipped
	}
	return nil, skipped
}

// launch puts items in flight, sorted by lock parent.
func (q *Queue) launch(g *group, items []*Item) *Batch {
	slices.SortStableFunc(items, func(a, b *Item) int {
		return cmp.Compare(a.Write.GetLockParent(), b.Write.GetLockParent())
	})
	for _, it := range items {
		q.records[it.key] = true
		if parent := it.Write.GetLockParent(); parent != "" {
			q.parents[parent] = true
		}
	}
	return &Batch{Group: g.Group, Items: items}
}

// due returns the groups that have a request to send, the urgent first and then the one that has waited longest: a group
// that always has a full request must not starve the others.
func (q *Queue) due(now time.Time, rules Rules) []*group {
	var due []*group
	for _, g := range q.groups {
		n, oldest := q.ready(g, now, rules, rules.Records)
		if n == 0 || (!rules.Hurry && n < rules.Records && now.Before(oldest.Add(rules.Linger(g.Group)))) {
			continue
		}
		g.oldest = oldest
		due = append(due, g)
	}
	slices.SortStableFunc(due, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.oldest.Compare(b.oldest))
	})
	return due
}

// ready counts the items that could go now, up to limit, and tells when the oldest of them was accepted.
func (q *Queue) ready(g *group, now time.Time, rules Rules, limit int) (n int, oldest time.Time) {
	held := q.held(g, now, rules)
	for _, it := range g.items {
		if q.waits(it, now) || held && !it.NotInJob {
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

func (q *Queue) waits(it *Item, now time.Time) bool {
	return now.Before(it.NotBefore) || q.records[it.key] || q.parents[it.Write.GetLockParent()]
}

// take collects the group's items that may go now, in order. An item stays when it must wait, when its record or its lock
// parent is in flight, and when an earlier item of the same record stays: nothing overtakes within a record.
func (q *Queue) take(g *group, now time.Time, rules Rules) ([]*Item, map[*Item]*ledger.Entry, []Skipped) {
	var (
		items   []*Item
		skipped []Skipped
		look    map[*Item]*ledger.Entry
		moved   []*Item
		blocked = map[string]bool{}
		held    = q.held(g, now, rules)
		bytes   int
	)
	keep := g.items[:0]
	for i, it := range g.items {
		if len(items) >= rules.Records || len(items) > 0 && bytes+len(it.Write.GetSealedFields()) > rules.Bytes {
			keep = append(keep, g.items[i:]...)
			break
		}
		if blocked[it.key] || q.waits(it, now) || rules.job && it.NotInJob || held && !it.NotInJob {
			blocked[it.key] = true
			keep = append(keep, it)
			continue
		}
		verdict, err := q.decide(it.Write)
		if err != nil {
			// Promise 6: one entry that cannot be read keeps nobody else's write waiting.
			q.removed(it)
			skipped = append(skipped, Skipped{Item: it, Err: err})
			continue
		}
		if visible := it.sentBy(verdict.Entry, now).Add(rules.LookAfter); verdict.Step == ledger.Look && now.Before(visible) {
			// Promise 5: a process that died or lost the partition may have sent it a moment ago, and the org may be at it still.
			it.NotBefore = visible
			blocked[it.key] = true
			keep = append(keep, it)
			continue
		}
		if verdict.Step == ledger.Note && it.Unsure {
			verdict.Step = ledger.Send // promise 4: what is in the org may be what the overtaken revision said
		}
		q.removed(it)
		if id := it.made(verdict); id != "" {
			it.Follow(id)
			moved = append(moved, it)
			continue
		}
		if verdict.Step != ledger.Send && verdict.Step != ledger.Look {
			skipped = append(skipped, Skipped{Item: it, Verdict: verdict})
			continue
		}
		if verdict.Step == ledger.Look {
			if look == nil {
				look = map[*Item]*ledger.Entry{}
			}
			look[it] = verdict.Entry
		}
		blocked[it.key] = true // once in a request
		bytes += len(it.Write.GetSealedFields())
		items = append(items, it)
	}
	clear(g.items[len(keep):])
	g.items = keep
	for _, it := range moved {
		q.append(it)
		q.followed = true
	}
	return items, look, skipped
}

// Done releases the records and parents of a batch. Call it before Return puts any of its items back.
func (q *Queue) Done(b *Batch) {
	for _, it := range b.Items {
		delete(q.records, it.key)
		if parent := it.Write.GetLockParent(); parent != "" {
			delete(q.parents, parent)
		}
	}
}

// Wake returns when Next could have something to do that it has not now, unless a batch finishes or an item is pushed
// earlier; false when there is nothing to wait for.
func (q *Queue) Wake(now time.Time, rules Rules) (time.Time, bool) {
	var at time.Time
	found := false
	consider := func(t time.Time) {
		if t.After(now) && (!found || t.Before(at)) {
			at, found = t, true
		}
	}
	for _, g := range q.groups {
		if rules.Job != nil {
			if due, long := g.longEnough(rules.Job); long {
				consider(due)
			}
		}
		if n, oldest := q.ready(g, now, rules, 8); n > 0 {
			consider(oldest.Add(rules.Linger(g.Group)))
		}
		for _, it := range g.items {
			consider(it.NotBefore)
		}
	}
	return at, found
}
