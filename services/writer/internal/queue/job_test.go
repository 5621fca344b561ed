package queue_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

func TestNextJob(t *testing.T) {
	t.Parallel()
	jobs := queue.JobRules{From: 5, After: time.Second, Records: 100, Bytes: 1 << 20}
	fill := func(n int, change ...func(*streamv1.Write)) (*queue.Queue, []*queue.Item) {
		q := queue.New(send)
		var items []*queue.Item
		for i := range n {
			it := upsert("k"+strconv.Itoa(i), int64(i+1), change...)
			items = append(items, it)
			q.Push(it)
		}
		return q, items
	}
	late := start.Add(time.Second)
	// nextJob is for where there is at most one.
	nextJob := func(q *queue.Queue, now time.Time, rules queue.JobRules) (*queue.Batch, []queue.Skipped) {
		batches, skipped := q.NextJobs(now, rules)
		if len(batches) == 0 {
			return nil, skipped
		}
		require.Len(t, batches, 1)
		return batches[0], skipped
	}

	t.Run("OneMoreThanTheBacklogAllowedMakesAJobOfAll", func(t *testing.T) {
		t.Parallel()
		q, _ := fill(6)
		b, skipped := nextJob(q, late, jobs)
		require.Len(t, b.Items, 6)
		require.True(t, b.Job)
		require.Empty(t, skipped)
		require.Zero(t, q.Len())
		q, _ = fill(5)
		b, _ = nextJob(q, late, jobs)
		require.Nil(t, b)
		require.Equal(t, 5, q.Len())
	})

	t.Run("OnlyWhatCollectionsHaveLetWait", func(t *testing.T) {
		t.Parallel()
		q, _ := fill(6)
		b, _ := nextJob(q, late.Add(-1), jobs)
		require.Nil(t, b)
		patient := rules(1)
		patient.Job = &jobs
		patient.Linger = func(queue.Group) time.Duration { return time.Hour }
		at, ok := q.Wake(late.Add(-1), patient)
		require.True(t, ok)
		require.Equal(t, late, at)
	})

	t.Run("WhatCannotGoNowOrNotInAJobDoesNotCount", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*queue.Item){
			"refused by a job": func(it *queue.Item) { it.NotInJob = true },
			"waits":            func(it *queue.Item) { it.NotBefore = late.Add(time.Hour) },
		} {
			q, items := fill(6)
			change(items[3])
			b, _ := nextJob(q, late, jobs)
			require.Nil(t, b, name)
			q.Push(upsert("more", 9))
			b, _ = nextJob(q, late, jobs)
			require.Len(t, b.Items, 6, name)
			require.NotContains(t, b.Items, items[3], name)
			require.Equal(t, 1, q.Len(), name)
		}
	})

	t.Run("AFurtherBacklogWaitsForTheNextJob", func(t *testing.T) {
		t.Parallel()
		hold := rules(3)
		hold.Hold = 5
		q, items := fill(6)
		b, _ := q.Next(late, hold)
		require.Nil(t, b, "six are a backlog")
		items[4].NotInJob = true
		b, _ = q.Next(late, hold)
		require.Len(t, b.Items, 3, "five are not")
		q.Done(b)

		q, items = fill(7)
		items[4].NotInJob = true
		b, _ = q.Next(late, hold)
		require.Equal(t, []*queue.Item{items[4]}, b.Items, "what no job takes goes on")
		q.Done(b)
		task := upsert("task", 99, func(w *streamv1.Write) { w.Operation, w.Object = streamv1.Operation_OPERATION_INSERT, "Task" })
		q.Push(task)
		b, _ = q.Next(late, hold)
		require.Equal(t, []*queue.Item{task}, b.Items, "and so do other groups")
		q.Done(b)
		hold.Hurry = true
		b, _ = q.Next(late, hold)
		require.Len(t, b.Items, 3, "a stop waits for nothing")
	})

	t.Run("InsertsPeopleAndDuplicatesMakeNone", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*streamv1.Write){
			"insert":      func(w *streamv1.Write) { w.Operation = streamv1.Operation_OPERATION_INSERT },
			"interactive": func(w *streamv1.Write) { w.Priority = streamv1.Priority_PRIORITY_INTERACTIVE },
			"save":        func(w *streamv1.Write) { w.Duplicates = streamv1.Duplicates_DUPLICATES_SAVE },
			"link":        func(w *streamv1.Write) { w.Duplicates = streamv1.Duplicates_DUPLICATES_LINK },
		} {
			q, _ := fill(9, change)
			b, _ := nextJob(q, late, jobs)
			require.Nil(t, b, name)
		}
	})

	t.Run("ItsRecordsAndParentsAreInFlightUntilDone", func(t *testing.T) {
		t.Parallel()
		q, _ := fill(6, func(w *streamv1.Write) { w.LockParent = "parent of " + w.GetWriteKey() })
		b, _ := nextJob(q, late, jobs)
		q.Push(upsert("k3", 10))
		q.Push(upsert("cousin", 11, func(w *streamv1.Write) { w.LockParent = "parent of k3" }))
		none, _ := q.Next(late, rules(9))
		require.Nil(t, none)
		q.Done(b)
		next, _ := q.Next(late, rules(9))
		require.Len(t, next.Items, 2)
	})

	t.Run("RecordsBytesAndTheLedgerBoundIt", func(t *testing.T) {
		t.Parallel()
		q, _ := fill(9)
		small := jobs
		small.Records = 7
		b, _ := nextJob(q, late, small)
		require.Len(t, b.Items, 7)
		require.Equal(t, 2, q.Len())
		q, _ = fill(9, func(w *streamv1.Write) { w.SealedFields = make([]byte, 1000) })
		small = jobs
		small.Bytes = 5500
		b, _ = nextJob(q, late, small)
		require.Len(t, b.Items, 5)
		q = queue.New(func(*streamv1.Write) (ledger.Verdict, error) { return ledger.Verdict{Step: ledger.Skip}, nil })
		for i := range 9 {
			q.Push(upsert("k"+strconv.Itoa(i), int64(i+1)))
		}
		b, skipped := nextJob(q, late, jobs)
		require.Nil(t, b)
		require.Len(t, skipped, 9)
	})

	t.Run("ALargeBacklogIsCutIntoSeveral", func(t *testing.T) {
		t.Parallel()
		several := jobs
		several.Jobs, several.Parts = 4, 4
		sizes := func(n int, rules queue.JobRules) (sizes []int) {
			q, _ := fill(n)
			batches, _ := q.NextJobs(late, rules)
			for _, b := range batches {
				require.True(t, b.Job)
				sizes = append(sizes, len(b.Items))
			}
			return sizes
		}
		require.Equal(t, []int{25, 25, 25, 25}, sizes(100, several))
		require.Equal(t, []int{26, 26, 26, 25}, sizes(103, func() queue.JobRules { r := several; r.Records = 200; return r }()))
		require.Equal(t, []int{6}, sizes(6, several), "no job for one")
		require.Equal(t, []int{6, 9}, sizes(15, several), "none with as few as go by collections")
		several.Jobs = 2
		require.Equal(t, []int{25, 25}, sizes(100, several), "the others' share is left for when they may begin")
		several.Most = 20
		require.Equal(t, []int{20, 20}, sizes(100, several))
		several.Parts = 50
		require.Equal(t, []int{6, 6}, sizes(100, several))
		several.Full = true
		require.Equal(t, []int{20, 20}, sizes(100, several), "more waits than the queue takes")
	})

	t.Run("NoParentIsInTwo", func(t *testing.T) {
		t.Parallel()
		several := jobs
		several.Jobs, several.Parts = 3, 3
		q := queue.New(send)
		for i := range 60 {
			q.Push(upsert("k"+strconv.Itoa(i), int64(i+1), func(w *streamv1.Write) {
				w.LockParent = []string{"a", "a", "b", "c", "d", ""}[i%6] // 20 of a, 10 of the others and of none
			}))
		}
		batches, _ := q.NextJobs(late, several)
		require.Len(t, batches, 3)
		in, total := map[string]int{}, 0
		for i, b := range batches {
			total += len(b.Items)
			for _, it := range b.Items {
				if parent := it.Write.GetLockParent(); parent != "" {
					in[parent] |= 1 << i
				}
			}
		}
		require.Equal(t, 60, total)
		require.Equal(t, map[string]int{"a": 1, "b": 2, "c": 2, "d": 4}, in)

		q = queue.New(send)
		for i := range 60 {
			q.Push(upsert("k"+strconv.Itoa(i), int64(i+1), func(w *streamv1.Write) { w.LockParent = "one" }))
		}
		batches, _ = q.NextJobs(late, several)
		require.Len(t, batches, 1, "one parent, one job")
	})

	t.Run("WhatStillGrowsIsLetGather", func(t *testing.T) {
		t.Parallel()
		growing := func(at time.Duration) *queue.Queue {
			q, items := fill(9)
			items[8].Accepted = start.Add(at)
			return q
		}
		b, _ := nextJob(growing(900*time.Millisecond), late, jobs)
		require.Nil(t, b)
		b, _ = nextJob(growing(900*time.Millisecond), late.Add(900*time.Millisecond), jobs)
		require.NotNil(t, b, "it has come to rest")
		b, _ = nextJob(growing(7900*time.Millisecond), start.Add(8*time.Second), jobs)
		require.NotNil(t, b, "not for ever")
		full := jobs
		full.Full = true
		b, _ = nextJob(growing(900*time.Millisecond), late, full)
		require.NotNil(t, b, "there is no room for more")
	})

	t.Run("TheGroupThatHasWaitedLongestIsFirst", func(t *testing.T) {
		t.Parallel()
		q := queue.New(send)
		add := func(object string, accepted time.Time) {
			for i := range 6 {
				it := upsert(object+strconv.Itoa(i), int64(i+1), func(w *streamv1.Write) { w.Object = object })
				it.Accepted = accepted
				q.Push(it)
			}
		}
		add("Younger__c", start.Add(time.Millisecond))
		add("Older__c", start)
		b, _ := nextJob(q, late.Add(time.Second), jobs)
		require.Equal(t, "Older__c", b.Group.Object)
	})
}
