package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// working starts a run of so many rows that a worker has.
func working(t *testing.T, s *store.Store, rows int64) {
	t.Helper()
	on(t, s)
	start(t, s, "one", today)
	claimed, err := s.ClaimRun(t.Context(), "w", epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	claimed.Body, claimed.Counts.Rows = []byte("work"), rows
	require.NoError(t, s.PrepareRun(t.Context(), claimed))
}

func chunk(number, first, rows int64, counts store.RunCounts) store.RunRecord {
	return store.RunRecord{
		Workspace: "acme", Run: "one", Worker: "w", Now: epoch.Add(time.Minute), Until: epoch.Add(time.Hour),
		Chunk: &store.RunChunk{Number: number, FirstRow: first, Rows: rows, Counts: counts, Body: []byte(fmt.Sprint("chunk ", number))},
	}
}

func record(t *testing.T, s *store.Store, rec store.RunRecord) (stop bool) {
	t.Helper()
	stop, err := s.RecordRun(t.Context(), rec)
	require.NoError(t, err)
	return stop
}

func current(t *testing.T, s *store.Store) store.ReportRun {
	t.Helper()
	got, err := s.Run(t.Context(), "acme", "one")
	require.NoError(t, err)
	return got
}

func runRecords(t *testing.T, open Open) {
	t.Run("CountAChunkOnce", func(t *testing.T) {
		t.Attr("requirement", "WALK-33")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 20)
		rec := chunk(0, 1, 10, store.RunCounts{Handed: 4, Unchanged: 2, Unmatched: 1, Ambiguous: 1, BlankKeys: 1, Failed: 1})
		rec.Rows = []store.RunRow{{Number: 7, Body: []byte("blank")}, {Number: 3, Body: []byte("none")}}
		for range 3 { // promise 5
			require.False(t, record(t, s, rec))
		}
		got := current(t, s)
		require.Equal(t, int64(1), got.NextChunk)
		require.Equal(t, int64(11), got.NextRow)
		require.Equal(t, int64(4), got.Counts.Pending())
		require.Equal(t, int64(2), got.Counts.Unchanged)
		chunks, err := s.RunChunks(ctx, "acme", "one")
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("chunk 0")}, chunks)
		rows, err := s.RunRows(ctx, "acme", "one", store.RunRow{}, 10)
		require.NoError(t, err)
		require.Equal(t, []store.RunRow{{Number: 3, Body: []byte("none")}, {Number: 7, Body: []byte("blank")}}, rows)
		rows, err = s.RunRows(ctx, "acme", "one", rows[0], 10)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		other, err := s.RunRows(ctx, "globex", "one", store.RunRow{}, 10)
		require.NoError(t, err)
		require.Empty(t, other)

		_, err = s.RecordRun(ctx, chunk(2, 21, 10, store.RunCounts{}))
		require.ErrorIs(t, err, store.ErrGap)
		rec = chunk(1, 11, 10, store.RunCounts{})
		rec.Worker = "another"
		_, err = s.RecordRun(ctx, rec)
		require.ErrorIs(t, err, store.ErrStale)
		rec.Workspace = "globex"
		_, err = s.RecordRun(ctx, rec)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func runEnds(t *testing.T, open Open) {
	t.Run("EndARunThatIsStopped", func(t *testing.T) {
		t.Attr("requirement", "WALK-35")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 20)
		require.NoError(t, s.StopRun(ctx, "acme", "one", "stopped by user", stopping))
		require.Equal(t, int32(store.RunRunning), current(t, s).Status)
		require.True(t, record(t, s, chunk(0, 1, 10, store.RunCounts{Handed: 10})))
		got := current(t, s)
		require.Equal(t, int32(store.RunFailed), got.Status)
		require.Equal(t, "stopped by user", got.Detail)
		require.Equal(t, int64(10), got.Counts.Pending(), "the chunk that was under way counts")
		require.True(t, record(t, s, chunk(1, 11, 10, store.RunCounts{Handed: 10})), "it has ended")
		require.Equal(t, int64(1), current(t, s).NextChunk)
	})

	t.Run("FindRunsThatTakeTooLong", func(t *testing.T) {
		t.Attr("requirement", "WALK-22")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 20)
		over, err := s.OverdueRuns(ctx, epoch, epoch)
		require.NoError(t, err)
		require.Empty(t, over)
		over, err = s.OverdueRuns(ctx, epoch.Add(time.Second), epoch)
		require.NoError(t, err)
		require.Len(t, over, 1)
		require.NoError(t, s.StopRun(ctx, "acme", "one", "stopped by user", stopping))
		over, err = s.OverdueRuns(ctx, epoch, epoch.Add(2*time.Hour))
		require.NoError(t, err)
		require.Len(t, over, 1, "its worker never heard of it")
	})

	t.Run("EndARunThatCannotBeCarriedOut", func(t *testing.T) {
		t.Attr("requirement", "WALK-30")
		t.Parallel()
		s := open(t)
		working(t, s, 20)
		rec := chunk(0, 1, 10, store.RunCounts{})
		rec.Chunk, rec.Reason, rec.Detail = nil, 80, "the grant was revoked"
		require.True(t, record(t, s, rec))
		got := current(t, s)
		require.Equal(t, int32(store.RunFailed), got.Status)
		require.Equal(t, int32(80), got.Reason)
		require.Equal(t, "the grant was revoked", got.Detail)
	})
}

// answer is what the writer says of a row.
func answer(id string, minute int, number int64, status int32) store.Outcome {
	o := outcome("acme", id, minute)
	o.Status, o.Row = status, &store.RowOf{Run: "one", Number: number}
	if status == failed {
		o.Row.Body = []byte("refused " + id)
	}
	return o
}

const parked = 3

func runOutcomes(t *testing.T, open Open) {
	t.Run("CountOnceAndEndTheRun", func(t *testing.T) {
		t.Attr("requirement", "WALK-30")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 4)
		rec := chunk(0, 1, 4, store.RunCounts{Handed: 3, Unmatched: 1})
		rec.Last = true
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{answer("a", 1, 1, written)}), "the answer is faster than the chunk")
		require.True(t, record(t, s, rec))
		require.Equal(t, int32(store.RunRunning), current(t, s).Status)
		batch := []store.Outcome{answer("a", 1, 1, written), answer("b", 2, 2, parked), answer("c", 2, 3, written)}
		for range 2 { // after a crash the batch comes again
			require.NoError(t, s.RecordOutcomes(ctx, batch))
		}
		got := current(t, s)
		require.Equal(t, int64(1), got.Counts.Pending(), "what is parked waits")
		require.Equal(t, int32(store.RunRunning), got.Status)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{answer("b", 9, 2, written)}))
		got = current(t, s)
		require.Equal(t, int32(store.RunCompleted), got.Status)
		require.Equal(t, int64(3), got.Counts.WroteDone)
		require.Equal(t, epoch.Add(9*time.Minute), got.EndedAt)
	})
}

func failedRuns(t *testing.T, open Open) {
	t.Run("FailARunWithMoreFailedRowsThanAreTolerated", func(t *testing.T) {
		t.Attr("requirement", "WALK-30")
		t.Parallel()
		for name, tc := range map[string]struct {
			tolerated float64
			want      int32
		}{"none": {0, store.RunFailed}, "a few": {50, store.RunCompleted}, "fewer": {49.9, store.RunFailed}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s, ctx := open(t), t.Context()
				working(t, s, 4)
				claimed := current(t, s)
				claimed.Tolerated = tc.tolerated
				require.NoError(t, s.PrepareRun(ctx, claimed))
				rec := chunk(0, 1, 4, store.RunCounts{Handed: 3, Failed: 1})
				rec.Last = true
				record(t, s, rec)
				require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{
					answer("a", 1, 1, written), answer("b", 1, 2, failed), answer("c", 1, 3, skipped),
				}))
				got := current(t, s)
				require.Equal(t, tc.want, got.Status)
				require.Equal(t, int64(1), got.Counts.WroteSkipped)
				rows, err := s.RunRows(ctx, "acme", "one", store.RunRow{}, 10)
				require.NoError(t, err)
				require.Equal(t, []store.RunRow{{Number: 2, Outcome: "b", Body: []byte("refused b")}}, rows)

				require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{answer("b", 5, 2, written)}), "somebody replayed it")
				rows, err = s.RunRows(ctx, "acme", "one", store.RunRow{}, 10)
				require.NoError(t, err)
				require.Empty(t, rows)
				require.Equal(t, int64(2), current(t, s).Counts.WroteDone)
			})
		}
	})
}

func severalRecords(t *testing.T, open Open) {
	t.Run("OfARowWithSeveralRecordsCountWhenAllAreAnswered", func(t *testing.T) {
		t.Attr("requirement", "WALK-30")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 2)
		rec := chunk(0, 1, 2, store.RunCounts{Handed: 2})
		rec.Last = true
		record(t, s, rec)
		several := func(id string, minute int, number int64, status int32) store.Outcome {
			o := answer(id, minute, number, status)
			o.Row.Records = 2
			return o
		}
		for range 2 {
			require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{several("a", 1, 1, written), several("c", 1, 2, parked)}))
		}
		require.Equal(t, int64(2), current(t, s).Counts.Pending())
		for range 2 {
			require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{several("b", 1, 1, failed), several("d", 1, 2, written)}))
		}
		got := current(t, s)
		require.Equal(t, int64(1), got.Counts.Pending())
		require.Equal(t, int64(1), got.Counts.WroteFailed, "one of its records failed")
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{several("c", 3, 2, written)}))
		got = current(t, s)
		require.Equal(t, int32(store.RunFailed), got.Status)
		require.Equal(t, int64(1), got.Counts.WroteDone)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{several("b", 7, 1, written)}))
		got = current(t, s)
		require.Equal(t, int64(2), got.Counts.WroteDone)
		require.Equal(t, int32(store.RunCompleted), got.Status, "what was replayed makes good")
		require.Equal(t, epoch.Add(3*time.Minute), got.EndedAt)
	})
}

func concurrentOutcomes(t *testing.T, open Open) {
	t.Run("OfConcurrentBatchesCountOnce", func(t *testing.T) {
		t.Attr("requirement", "WALK-30")
		t.Parallel()
		s, ctx := open(t), t.Context()
		const rows = 40
		working(t, s, rows)
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for n := worker * 10; n < rows; n += 5 { // they overlap
					if err := s.RecordOutcomes(ctx, []store.Outcome{answer(fmt.Sprint("o", n%rows), 1, int64(n%rows+1), written)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		rec := chunk(0, 1, rows, store.RunCounts{Handed: rows})
		rec.Last = true
		wg.Go(func() {
			if _, err := s.RecordRun(ctx, rec); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for n := range rows {
			require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{answer(fmt.Sprint("o", n), 1, int64(n+1), written)}))
		}
		got := current(t, s)
		require.Equal(t, int64(rows), got.Counts.WroteDone)
		require.Equal(t, int32(store.RunCompleted), got.Status)
	})

	t.Run("OfUnknownRunsAreLeftAlone", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{answer("a", 1, 1, written)}))
		got, err := s.Outcomes(ctx, store.OutcomeQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, got, 1)
	})
}

func erasedRunRows(t *testing.T, open Open) {
	t.Run("GoWithThePerson", func(t *testing.T) {
		t.Attr("requirement", "XC-31")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 20)
		rec := chunk(0, 1, 10, store.RunCounts{Handed: 7, Unmatched: 3})
		rec.Rows = []store.RunRow{
			{Number: 1, PersonKey: "a", Body: []byte("erased")},
			{Number: 2, PersonKey: "b", Body: []byte("another")},
			{Number: 3, Body: []byte("nobody knows")},
		}
		require.False(t, record(t, s, rec))
		started, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "a"), plenty)
		require.NoError(t, err)
		var deleted int64
		require.NoError(t, s.EraseOutcomes(ctx, started, nil, func(body []byte, n int64) ([]byte, bool, error) {
			deleted = n
			return body, false, nil
		}))
		require.EqualValues(t, 1, deleted, "it is told")
		rows, err := s.RunRows(ctx, "acme", "one", store.RunRow{}, 10)
		require.NoError(t, err)
		require.Equal(t, []store.RunRow{{Number: 2, Body: []byte("another")}, {Number: 3, Body: []byte("nobody knows")}}, rows)
		require.EqualValues(t, 3, current(t, s).Counts.Unmatched, "what the run counts names nobody")
	})
}

func runRetention(t *testing.T, open Open) {
	t.Run("KeepsRunsLongerThanTheirRows", func(t *testing.T) {
		t.Attr("requirement", "WALK-33")
		t.Attr("requirement", "WALK-32")
		t.Parallel()
		s, ctx := open(t), t.Context()
		working(t, s, 2)
		rec := chunk(0, 1, 2, store.RunCounts{Unmatched: 2})
		rec.Rows, rec.Last = []store.RunRow{{Number: 1, Body: []byte("x")}}, true
		record(t, s, rec)
		start(t, s, "active", today+1)
		before := func(at time.Time) store.Cutoff { return func(string) time.Time { return at } }
		never := func(string) time.Time { return time.Time{} }
		for _, cutoff := range []store.Cutoff{before(epoch), never} {
			n, err := s.PurgeRuns(ctx, cutoff, cutoff, 10)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		n, err := s.PurgeRuns(ctx, before(epoch.Add(time.Hour)), never, 10)
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
		rows, err := s.RunRows(ctx, "acme", "one", store.RunRow{}, 10)
		require.NoError(t, err)
		require.Empty(t, rows)
		chunks, err := s.RunChunks(ctx, "acme", "one")
		require.NoError(t, err)
		require.Empty(t, chunks)
		require.Equal(t, int64(2), current(t, s).Counts.Unmatched, "the run itself stays")
		_, err = s.PurgeRuns(ctx, never, before(epoch.Add(time.Hour)), 10)
		require.NoError(t, err)
		_, err = s.Run(ctx, "acme", "one")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Run(ctx, "acme", "active")
		require.NoError(t, err, "what is under way is not old")
	})
}
