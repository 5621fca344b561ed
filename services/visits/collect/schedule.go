package collect

import (
	"container/heap"
	"time"
)

// schedule remembers when each visit must be looked at, at the latest. It may name a visit too early or one that is
// gone; who pops an entry asks the state what is true.
type schedule struct {
	queue dueQueue
	at    map[string]int64
}

func newSchedule() *schedule { return &schedule{at: map[string]int64{}} }

// set makes sure that id is popped at due or before.
func (s *schedule) set(id string, due time.Time) {
	nanos := due.UnixNano()
	if at, ok := s.at[id]; ok && at <= nanos {
		return
	}
	s.at[id] = nanos
	heap.Push(&s.queue, dueEntry{at: nanos, id: id})
}

// pop takes out one visit that is due.
func (s *schedule) pop(now time.Time) (id string, ok bool) {
	nanos := now.UnixNano()
	for len(s.queue) > 0 && s.queue[0].at <= nanos {
		e := heap.Pop(&s.queue).(dueEntry)
		if at, ok := s.at[e.id]; ok && at == e.at {
			delete(s.at, e.id)
			return e.id, true
		}
	}
	return "", false
}

type dueEntry struct {
	at int64
	id string
}

type dueQueue []dueEntry

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(e any)        { *q = append(*q, e.(dueEntry)) }
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = dueEntry{}
	*q = (*q)[:last]
	return e
}
