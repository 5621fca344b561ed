package queue

import (
	"cmp"
	"slices"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// Queue holds the pending writes of one org.
type Queue struct {
	decide  func(*streamv1.Write) (ledger.Verdict, error)
	groups  []*group
	pending map[string]*Item // by write key, those that a newer revision replaces
	records map[string]bool  // in flight
	parents map[string]bool  // in flight
	size    int
	// followed: take moved items to the group of those that change their records.
	followed bool
}

// group is the pending items of one Group, oldest first.
type group struct {
	Group
	items []*Item
	// oldest is scratch space of Queue.due.
	oldest time.Time
}

// New returns an empty queue. decide asks the ledger about a write; it is called when the write would be sent.
func New(decide func(*streamv1.Write) (ledger.Verdict, error)) *Queue {
	return &Queue{
		decide: decide, pending: map[string]*Item{}, records: map[string]bool{}, parents: map[string]bool{},
	}
}

// pendingKey tells writes apart that may take each other's place: of the same key, and for the same org (LOOM-14).
func pendingKey(w *streamv1.Write) string {
	if org := w.GetOrg(); org != "" {
		return org + "|" + w.GetWriteKey()
	}
	return w.GetWriteKey()
}

// Len is the number of pending items. Those in flight do not count.
func (q *Queue) Len() int { return q.size }

// Push adds an item. It returns the item that is overtaken, which may be the one pushed, or nil. A repetition of a
// pending revision joins that one and returns nil.
func (q *Queue) Push(it *Item) (overtaken *Item) {
	if ledger.Once(it.Write) {
		q.append(it)
		return nil
	}
	known := q.pending[pendingKey(it.Write)]
	if known == nil {
		q.append(it)
		return nil
	}
	switch {
	case it.Write.GetRevision() == known.Write.GetRevision():
		known.Unsure, known.Overtook = known.Unsure || it.Unsure, known.Overtook || it.Overtook
		known.Twins = append(known.Twins, it.Offsets()...)
		return nil
	case it.Write.GetRevision() < known.Write.GetRevision():
		known.overtake(it)
		return it
	}
	// Promise 4 and thrift: only the newest revision is sent. It takes over the place in the queue and the wait.
	it.Accepted, it.NotBefore, it.Attempts, it.Unknowns = known.Accepted, known.NotBefore, known.Attempts, known.Unknowns
	it.overtake(known)
	q.replace(known, it)
	return known
}

// Return puts an item of a finished batch back, at the front. It returns it when a newer revision is pending.
func (q *Queue) Return(it *Item) (overtaken *Item) {
	if newer := q.pending[pendingKey(it.Write)]; newer != nil && !ledger.Once(it.Write) {
		newer.overtake(it)
		return q.Push(it)
	}
	g := q.group(groupOf(it.Write))
	g.items = slices.Insert(g.items, 0, it)
	q.added(it)
	return nil
}

func (q *Queue) append(it *Item) {
	g := q.group(groupOf(it.Write))
	g.items = append(g.items, it)
	q.added(it)
}

func (q *Queue) added(it *Item) {
	it.key = it.recordKey()
	q.size++
	if !ledger.Once(it.Write) {
		q.pending[pendingKey(it.Write)] = it
	}
}

func (q *Queue) replace(old, it *Item) {
	from, to := groupOf(old.Write), groupOf(it.Write)
	if from == to {
		g := q.group(from)
		g.items[slices.Index(g.items, old)] = it
		it.key = it.recordKey()
		q.pending[pendingKey(it.Write)] = it
		return
	}
	g := q.group(from)
	g.items = slices.Delete(g.items, slices.Index(g.items, old), slices.Index(g.items, old)+1)
	q.removed(old)
	q.append(it)
}

func (q *Queue) removed(it *Item) {
	q.size--
	if q.pending[pendingKey(it.Write)] == it {
		delete(q.pending, pendingKey(it.Write))
	}
}

func (q *Queue) group(key Group) *group {
	for _, g := range q.groups {
		if g.Group == key {
			return g
		}
	}
	g := &group{Group: key}
	q.groups = append(q.groups, g)
	slices.SortStableFunc(q.groups, func(a, b *group) int { return cmp.Compare(a.Priority, b.Priority) })
	return g
}

// TakeClass takes all items of a budget class out of the queue, oldest first within each group.
func (q *Queue) TakeClass(class streamv1.Priority) []*Item {
	var taken []*Item
	for _, g := range q.groups {
		if g.Priority != class {
			continue
		}
		for _, it := range g.items {
			q.removed(it)
		}
		taken = append(taken, g.items...)
		g.items = nil
	}
	return taken
}

// Classes returns the budget classes that have items, the urgent first.
func (q *Queue) Classes() []streamv1.Priority {
	var classes []streamv1.Priority
	for _, g := range q.groups {
		if len(g.items) > 0 && !slices.Contains(classes, g.Priority) {
			classes = append(classes, g.Priority)
		}
	}
	return classes
}

// TakeAll empties the queue and returns what was pending, oldest first within each group.
func (q *Queue) TakeAll() []*Item {
	var all []*Item
	for _, g := range q.groups {
		all = append(all, g.items...)
	}
	q.groups, q.size = nil, 0
	clear(q.pending)
	return all
}
