package queue_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

var start = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

func send(*streamv1.Write) (ledger.Verdict, error) { return ledger.Verdict{}, nil }

func rules(records int) queue.Rules {
	return queue.Rules{
		Records: records, Bytes: 1 << 20, Linger: func(g queue.Group) time.Duration {
			if g.Bulk() {
				return time.Minute
			}
			return time.Second
		},
	}
}

func upsert(key string, revision int64, change ...func(*streamv1.Write)) *queue.Item {
	w := &streamv1.Write{
		WriteKey: key, Revision: revision, Object: "Engagement__c", Operation: streamv1.Operation_OPERATION_UPSERT,
		ExternalIdField: "External_Id__c", ExternalId: key,
	}
	for _, f := range change {
		f(w)
	}
	it := &queue.Item{Write: w, Accepted: start}
	it.Record.Offset = revision
	return it
}

func TestQueue(t *testing.T) {
	t.Parallel()

	t.Run("ARequestWaitsForCompanyOrTime", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		q := queue.New(send)
		q.Push(upsert("a", 1))
		b, _ := q.Next(start, rules(2))
		require.Nil(t, b)
		at, ok := q.Wake(start, rules(2))
		require.True(t, ok)
		require.Equal(t, start.Add(time.Second), at)
		q.Push(upsert("b", 2))
		b, _ = q.Next(start, rules(2))
		require.Len(t, b.Items, 2)
		q.Push(upsert("c", 3))
		b, _ = q.Next(start.Add(time.Second), rules(2))
		require.Len(t, b.Items, 1)
		require.Zero(t, q.Len())
	})

	t.Run("ObjectsOperationsAndPrioritiesDoNotMixAndTheUrgentGoFirst", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		q := queue.New(send)
		q.Push(upsert("bulk", 1, func(w *streamv1.Write) { w.Priority = streamv1.Priority_PRIORITY_BULK }))
		q.Push(upsert("task", 2, func(w *streamv1.Write) { w.Object = "Task" }))
		q.Push(upsert("plain", 3))
		q.Push(upsert("person waits", 4, func(w *streamv1.Write) { w.Priority = streamv1.Priority_PRIORITY_INTERACTIVE }))
		var order []string
		for {
			b, _ := q.Next(start.Add(time.Second), rules(9))
			if b == nil {
				break
			}
			require.Len(t, b.Items, 1)
			order = append(order, b.Items[0].Write.GetWriteKey())
		}
		require.Equal(t, []string{"person waits", "task", "plain"}, order, "bulk lingers longer")
	})

	t.Run("ARepetitionOfAPendingRevisionIsSettledWithIt", func(t *testing.T) {
		t.Parallel()
		q := queue.New(send)
		first, twin := upsert("a", 1), upsert("a", 1)
		twin.Record.Offset = 9
		require.Nil(t, q.Push(first))
		require.Nil(t, q.Push(twin))
		require.Equal(t, 1, q.Len())
		require.Equal(t, []int64{1, 9}, first.Offsets())
	})

	t.Run("AReturnedItemIsOvertakenByANewerPendingOne", func(t *testing.T) {
		t.Parallel()
		q := queue.New(send)
		old := upsert("a", 1)
		q.Push(old)
		b, _ := q.Next(start.Add(time.Second), rules(1))
		q.Push(upsert("a", 2))
		next, _ := q.Next(start.Add(time.Second), rules(1))
		require.Nil(t, next, "the record is in flight")
		q.Done(b)
		require.Same(t, old, q.Return(old))
		next, _ = q.Next(start.Add(time.Second), rules(1))
		require.EqualValues(t, 2, next.Items[0].Write.GetRevision())
	})

	t.Run("AnItemThatWaitsHoldsBackItsRecordAndNothingElse", func(t *testing.T) {
		t.Parallel()
		q := queue.New(send)
		once := func(w *streamv1.Write) { w.Once = true }
		waiting := upsert("a", 1, once)
		waiting.NotBefore = start.Add(time.Hour)
		q.Push(waiting)
		q.Push(upsert("a", 2, once))
		q.Push(upsert("b", 3, once))
		b, _ := q.Next(start.Add(time.Second), rules(10))
		require.Len(t, b.Items, 1)
		require.Equal(t, "b", b.Items[0].Write.GetWriteKey())
	})

	t.Run("WhatTheLedgerKnowsNeedsNoRequest", func(t *testing.T) {
		t.Parallel()
		q := queue.New(func(w *streamv1.Write) (ledger.Verdict, error) {
			switch w.GetWriteKey() {
			case "known":
				return ledger.Verdict{Step: ledger.Skip, Reason: streamv1.Reason_REASON_SUPERSEDED}, nil
			case "doubtful":
				return ledger.Verdict{Step: ledger.Look, Entry: &ledger.Entry{}}, nil
			}
			return ledger.Verdict{}, nil
		})
		doubtful := upsert("doubtful", 2)
		q.Push(upsert("known", 1))
		q.Push(doubtful)
		q.Push(upsert("new", 3))
		b, skipped := q.Next(start.Add(time.Second), rules(10))
		require.Len(t, b.Items, 2)
		require.Contains(t, b.Look, doubtful)
		require.Len(t, skipped, 1)
		require.Zero(t, q.Len())
	})

	t.Run("WritesForDifferentOrgsOfAConnectionDoNotTakeEachOthersPlace", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "LOOM-14")
		q := queue.New(send)
		of := func(org string) func(*streamv1.Write) { return func(w *streamv1.Write) { w.Org = org } }
		require.Nil(t, q.Push(upsert("a", 5)))
		require.Nil(t, q.Push(upsert("a", 5, of("00D2"))))
		require.Equal(t, 2, q.Len(), "it is no repetition")
		require.Nil(t, q.Push(upsert("a", 3, of("00D3"))))
		old := q.Push(upsert("a", 6, of("00D2")))
		require.EqualValues(t, 5, old.Write.GetRevision())
		require.Equal(t, "00D2", old.Write.GetOrg())
		b, _ := q.Next(start.Add(time.Second), rules(10))
		require.Len(t, b.Items, 3)
		require.Nil(t, q.Push(upsert("a", 7, of("00D2"))))
		require.Equal(t, 1, q.Len(), "what was sent takes nobody's place any more")
		q.Done(b)
		b, _ = q.Next(start.Add(2*time.Second), rules(10))
		require.EqualValues(t, 7, b.Items[0].Write.GetRevision())
	})

	t.Run("BytesBoundARequest", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-12")
		q := queue.New(send)
		for i := range 10 {
			q.Push(upsert(strconv.Itoa(i), int64(i+1), func(w *streamv1.Write) { w.SealedFields = make([]byte, 1000) }))
		}
		r := rules(10)
		r.Bytes = 2500
		b, _ := q.Next(start.Add(time.Second), r)
		require.Len(t, b.Items, 2)
		require.Equal(t, 8, q.Len())
		q.Done(b)
		r.Bytes = 10
		b, _ = q.Next(start.Add(time.Second), r)
		require.Len(t, b.Items, 1, "what is too large alone goes alone, for Salesforce to judge")
	})
}

// model is what the queue must never break, whatever comes in whatever order.
type model struct {
	q       *queue.Queue
	now     time.Time
	flying  []*queue.Batch
	confirm map[string]int64 // newest confirmed revision per write key
	in, out int
	next    int64
}

func TestQueueProperties(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-5")
	t.Attr("requirement", "XC-12")
	rapid.Check(t, func(t *rapid.T) {
		m := &model{now: start, confirm: map[string]int64{}}
		m.q = queue.New(func(w *streamv1.Write) (ledger.Verdict, error) {
			if c := m.confirm[w.GetWriteKey()]; c > 0 && (ledger.Once(w) || w.GetRevision() < c) {
				return ledger.Verdict{Step: ledger.Skip}, nil
			}
			return ledger.Verdict{}, nil
		})
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) { m.push(t) },
			"next": func(t *rapid.T) { m.take(t) },
			"finish": func(t *rapid.T) {
				if len(m.flying) > 0 {
					m.finish(t)
				}
			},
			"wait": func(*rapid.T) { m.now = m.now.Add(300 * time.Millisecond) },
			"": func(t *rapid.T) {
				flying := 0
				for _, b := range m.flying {
					flying += len(b.Items)
				}
				require.Equal(t, m.in, m.out+flying+m.q.Len(), "an item was lost or doubled")
			},
		})
	})
}

func (m *model) push(t *rapid.T) {
	m.next++
	revision := m.next
	if rapid.Bool().Draw(t, "older") {
		revision = rapid.Int64Range(1, m.next).Draw(t, "revision")
	}
	it := upsert(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key"), revision, func(w *streamv1.Write) {
		w.LockParent = rapid.SampledFrom([]string{"", "", "p", "q"}).Draw(t, "parent")
		w.Once = w.GetWriteKey() == "e"
	})
	it.Accepted = m.now
	before := m.q.Len()
	m.in++
	switch overtaken := m.q.Push(it); {
	case overtaken != nil:
		m.out++
		require.Equal(t, before, m.q.Len())
	case m.q.Len() == before:
		m.out++ // joined a twin
	}
}

func (m *model) take(t *rapid.T) {
	records := rapid.IntRange(1, 4).Draw(t, "records")
	b, skipped := m.q.Next(m.now, rules(records))
	batches := []*queue.Batch{b}
	if b == nil {
		batches = nil
	}
	if b == nil && rapid.Bool().Draw(t, "job") {
		var more []queue.Skipped
		jobs := rapid.IntRange(1, 3).Draw(t, "jobs")
		batches, more = m.q.NextJobs(m.now, queue.JobRules{
			From: 1, Jobs: jobs, Parts: rapid.IntRange(1, 3).Draw(t, "parts"), Most: rapid.IntRange(0, 2).Draw(t, "most"),
			Full: rapid.Bool().Draw(t, "full"), Records: 1 + records, Bytes: 1 << 20,
		})
		require.LessOrEqual(t, len(batches), jobs)
		skipped = append(skipped, more...)
	}
	m.out += len(skipped)
	for _, b := range batches {
		m.fly(t, b)
	}
}

// fly checks a batch that was taken beside those that are in flight.
func (m *model) fly(t *rapid.T, b *queue.Batch) {
	for _, it := range b.Items {
		for _, other := range m.flying {
			for _, o := range other.Items {
				require.NotEqual(t, o.Write.GetExternalId(), it.Write.GetExternalId(), "a record in two requests")
				if p := it.Write.GetLockParent(); p != "" {
					require.NotEqual(t, o.Write.GetLockParent(), p, "a lock parent in two requests")
				}
			}
		}
		require.GreaterOrEqual(t, it.Write.GetRevision(), m.confirm[it.Write.GetWriteKey()], "older after newer")
	}
	seen := map[string]bool{}
	for i, it := range b.Items {
		require.False(t, seen[it.Write.GetExternalId()], "a record twice in a request")
		seen[it.Write.GetExternalId()] = true
		if i > 0 {
			require.GreaterOrEqual(t, it.Write.GetLockParent(), b.Items[i-1].Write.GetLockParent(), "not sorted by parent")
		}
	}
	m.flying = append(m.flying, b)
}

func (m *model) finish(t *rapid.T) {
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "batch")
	b := m.flying[i]
	m.flying = append(m.flying[:i:i], m.flying[i+1:]...)
	var again []*queue.Item
	for _, it := range b.Items {
		if rapid.Bool().Draw(t, "failed") {
			it.NotBefore = m.now.Add(time.Second)
			again = append(again, it)
			continue
		}
		m.confirm[it.Write.GetWriteKey()] = it.Write.GetRevision()
		m.out++
	}
	m.q.Done(b)
	for _, it := range again {
		before := m.q.Len()
		if overtaken := m.q.Return(it); overtaken != nil || m.q.Len() == before {
			m.out++
		}
	}
}

func TestQueueKeepsItsHead(t *testing.T) {
	t.Parallel()

	t.Run("AnEntryThatCannotBeReadConcernsItsOwnWriteOnly", func(t *testing.T) {
		t.Parallel()
		unreadable := errors.New("newer format")
		q := queue.New(func(w *streamv1.Write) (ledger.Verdict, error) {
			if w.GetWriteKey() == "bad" {
				return ledger.Verdict{}, unreadable
			}
			return ledger.Verdict{}, nil
		})
		q.Push(upsert("good", 1))
		bad := upsert("bad", 2)
		q.Push(bad)
		q.Push(upsert("fine", 3))
		b, skipped := q.Next(start.Add(time.Second), rules(9))
		require.Len(t, b.Items, 2)
		require.Equal(t, []queue.Skipped{{Item: bad, Err: unreadable}}, skipped)
		require.Zero(t, q.Len())
	})

	t.Run("AGroupThatIsAlwaysFullDoesNotStarveAnother", func(t *testing.T) {
		t.Parallel()
		q := queue.New(send)
		for i := range 4 {
			it := upsert("row"+strconv.Itoa(i), int64(i+1))
			it.Accepted = start.Add(time.Duration(i) * time.Second)
			q.Push(it)
		}
		task := upsert("task", 9, func(w *streamv1.Write) { w.Object = "Task" })
		task.Accepted = start.Add(time.Second)
		q.Push(task)
		var order []string
		for range 2 {
			b, _ := q.Next(start.Add(9*time.Second), rules(2))
			order = append(order, b.Group.Object)
		}
		require.Equal(t, []string{"Engagement__c", "Task"}, order)
	})

	t.Run("ACreateThatMayBeUnderWayIsNotLookedForAtOnce", func(t *testing.T) {
		t.Parallel()
		entry := &ledger.Entry{IntendedRevision: 1, IntendedAt: timestamppb.New(start)}
		q := queue.New(func(*streamv1.Write) (ledger.Verdict, error) {
			return ledger.Verdict{Step: ledger.Look, Entry: entry}, nil
		})
		patient := rules(1)
		patient.LookAfter = 10 * time.Second
		q.Push(upsert("k", 1, func(w *streamv1.Write) { w.Operation = streamv1.Operation_OPERATION_INSERT }))
		b, _ := q.Next(start.Add(9*time.Second), patient)
		require.Nil(t, b)
		at, ok := q.Wake(start.Add(9*time.Second), patient)
		require.True(t, ok)
		require.Equal(t, start.Add(10*time.Second), at)
		b, _ = q.Next(at, patient)
		require.Len(t, b.Look, 1)
	})

	t.Run("AnIntentByAClockThatWasAheadIsNotWaitedFor", func(t *testing.T) {
		t.Parallel()
		entry := &ledger.Entry{IntendedRevision: 1, IntendedAt: timestamppb.New(start.Add(30 * 24 * time.Hour))}
		q := queue.New(func(*streamv1.Write) (ledger.Verdict, error) {
			return ledger.Verdict{Step: ledger.Look, Entry: entry}, nil
		})
		patient := rules(1)
		patient.LookAfter = 10 * time.Second
		q.Push(upsert("k", 1, func(w *streamv1.Write) { w.Operation = streamv1.Operation_OPERATION_INSERT }))
		b, _ := q.Next(start.Add(time.Second), patient)
		require.Nil(t, b)
		at, ok := q.Wake(start.Add(time.Second), patient)
		require.True(t, ok)
		require.Equal(t, start.Add(11*time.Second), at)
		b, _ = q.Next(at, patient)
		require.Len(t, b.Look, 1)
	})

	t.Run("NothingIsUnchangedAfterARevisionThatMayHaveBeenSent", func(t *testing.T) {
		t.Parallel()
		content := func(hash string) func(*streamv1.Write) {
			return func(w *streamv1.Write) { w.ContentHash = []byte(hash) }
		}
		unchanged := func(*streamv1.Write) (ledger.Verdict, error) { return ledger.Verdict{Step: ledger.Note}, nil }
		q := queue.New(unchanged)
		q.Push(upsert("back and forth", 5, content("b")))
		q.Push(upsert("back and forth", 6, content("a")))
		q.Push(upsert("same", 5, content("a")))
		q.Push(upsert("same", 6, content("a")))
		b, skipped := q.Next(start.Add(time.Second), rules(9))
		require.Len(t, b.Items, 1)
		require.Equal(t, "back and forth", b.Items[0].Write.GetWriteKey())
		require.Len(t, skipped, 1)

		q = queue.New(send)
		sent := upsert("in flight", 5, content("b"))
		q.Push(sent)
		b, _ = q.Next(start.Add(time.Second), rules(9))
		newer := upsert("in flight", 6, content("a"))
		q.Push(newer)
		q.Done(b)
		require.Same(t, sent, q.Return(sent))
		require.True(t, newer.Unsure)
	})
}
