package ledger_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

var now = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

func write(revision int64, op streamv1.Operation, hash string) *streamv1.Write {
	return &streamv1.Write{
		Workspace: "acme", Connection: "main", WriteKey: "k", Revision: revision, Operation: op, ContentHash: []byte(hash),
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-3")
	const upsert, insert = streamv1.Operation_OPERATION_UPSERT, streamv1.Operation_OPERATION_INSERT
	intended := func(revision int64, op streamv1.Operation) func(*stage.Table) {
		return func(table *stage.Table) {
			e, err := ledger.Intend(write(revision, op, "x"), nil, now)
			require.NoError(t, err)
			table.Apply(e)
		}
	}
	confirmed := func(revision int64, op streamv1.Operation) func(*stage.Table) {
		return func(table *stage.Table) {
			e, err := ledger.Confirm(write(revision, op, "x"), "00T1", now)
			require.NoError(t, err)
			table.Apply(e)
		}
	}
	for name, c := range map[string]struct {
		known  func(*stage.Table)
		write  *streamv1.Write
		step   ledger.Step
		reason streamv1.Reason
	}{
		"nothing known":               {func(*stage.Table) {}, write(5, upsert, "x"), ledger.Send, 0},
		"insert intended":             {intended(5, insert), write(5, insert, "x"), ledger.Look, 0},
		"insert intended, later":      {intended(5, insert), write(7, insert, "y"), ledger.Look, 0},
		"upsert intended is harmless": {intended(5, upsert), write(5, upsert, "x"), ledger.Send, 0},
		"same revision":               {confirmed(5, upsert), write(5, upsert, "x"), ledger.Repeat, 0},
		"older":                       {confirmed(5, upsert), write(4, upsert, "y"), ledger.Skip, streamv1.Reason_REASON_SUPERSEDED},
		"newer, other content":        {confirmed(5, upsert), write(6, upsert, "y"), ledger.Send, 0},
		"newer, same content":         {confirmed(5, upsert), write(6, upsert, "x"), ledger.Note, streamv1.Reason_REASON_UNCHANGED},
		"insert confirmed, later":     {confirmed(5, insert), write(6, insert, "y"), ledger.Skip, streamv1.Reason_REASON_DUPLICATE_EVENT},
		"insert confirmed, older":     {confirmed(5, insert), write(4, insert, "y"), ledger.Skip, streamv1.Reason_REASON_DUPLICATE_EVENT},
		"no hash is no proof of sameness": {func(table *stage.Table) {
			e, err := ledger.Confirm(write(5, upsert, ""), "00T1", now)
			require.NoError(t, err)
			table.Apply(e)
		}, write(6, upsert, ""), ledger.Send, 0},
	} {
		table := stage.NewTable()
		c.known(table)
		v, err := ledger.Decide(table, c.write)
		require.NoError(t, err, name)
		require.Equal(t, c.step, v.Step, name)
		require.Equal(t, c.reason, v.Reason, name)
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	w := write(5, streamv1.Operation_OPERATION_INSERT, "x")

	t.Run("AnEarlierIntentKeepsItsTime", func(t *testing.T) {
		t.Parallel()
		first, err := ledger.Intend(w, nil, now)
		require.NoError(t, err)
		known, err := ledger.Decode(first.Value)
		require.NoError(t, err)
		second, err := ledger.Intend(w, known, now.Add(time.Hour))
		require.NoError(t, err)
		e, err := ledger.Decode(second.Value)
		require.NoError(t, err)
		require.Equal(t, now, e.GetIntendedAt().AsTime())
	})

	t.Run("AnIntentTakenBackLeavesNothing", func(t *testing.T) {
		t.Parallel()
		table := stage.NewTable()
		e, err := ledger.Intend(w, nil, now)
		require.NoError(t, err)
		table.Apply(e)
		table.Apply(ledger.Withdraw(w))
		require.Zero(t, table.Len())
	})

	t.Run("AnUnchangedRevisionMovesOnAndRemembersWhy", func(t *testing.T) {
		t.Parallel()
		table := stage.NewTable()
		u := write(5, streamv1.Operation_OPERATION_UPSERT, "x")
		e, err := ledger.Confirm(u, "00T1", now)
		require.NoError(t, err)
		table.Apply(e)
		u = write(9, streamv1.Operation_OPERATION_UPSERT, "x")
		v, err := ledger.Decide(table, u)
		require.NoError(t, err)
		e, err = ledger.Advance(u, v.Entry, v.Reason, now)
		require.NoError(t, err)
		table.Apply(e)
		v, err = ledger.Decide(table, u)
		require.NoError(t, err)
		require.Equal(t, ledger.Repeat, v.Step)
		require.Equal(t, streamv1.Reason_REASON_UNCHANGED, v.Entry.GetSettledReason())
		require.Equal(t, "00T1", v.Entry.GetRecordId())
	})

	t.Run("ConnectionsDoNotShareKeys", func(t *testing.T) {
		t.Parallel()
		other := write(5, streamv1.Operation_OPERATION_INSERT, "x")
		other.Connection = "other"
		require.NotEqual(t, ledger.Key(w), ledger.Key(other))
	})

	t.Run("ANewerFormatIsNotGuessedAt", func(t *testing.T) {
		t.Parallel()
		value, err := proto.Marshal(&ledger.Entry{Version: 99})
		require.NoError(t, err)
		table := stage.NewTable()
		table.Apply(stage.Entry{Key: ledger.Key(w), Value: value})
		_, err = ledger.Decide(table, w)
		require.ErrorIs(t, err, ledger.ErrNewerFormat)
		require.False(t, ledger.Expired(value, now.Add(time.Hour)), "nor forgotten")
	})

	t.Run("OldEntriesAreSwept", func(t *testing.T) {
		t.Parallel()
		table := stage.NewTable()
		e, err := ledger.Confirm(w, "00T1", now)
		require.NoError(t, err)
		table.Apply(e)
		require.Empty(t, ledger.Sweep(table, now.Add(-time.Second), 10))
		require.Equal(t, []stage.Entry{{Key: e.Key}}, ledger.Sweep(table, now.Add(time.Second), 10))
	})
}

func FuzzDecode(f *testing.F) {
	e, _ := ledger.Confirm(write(5, streamv1.Operation_OPERATION_UPSERT, "x"), "00T1", now)
	f.Add(e.Value)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, value []byte) {
		table := stage.NewTable()
		w := write(5, streamv1.Operation_OPERATION_UPSERT, "x")
		table.Apply(stage.Entry{Key: ledger.Key(w), Value: append([]byte{}, value...)})
		_, err := ledger.Decide(table, w)
		_, decodeErr := ledger.Decode(value)
		require.Equal(t, decodeErr == nil, err == nil)
		ledger.Expired(value, now)
	})
}

func TestAnEntryIsKeptAsLongAsItsNewestNews(t *testing.T) {
	t.Parallel()
	table := stage.NewTable()
	w := write(4, streamv1.Operation_OPERATION_UPSERT, "a")
	confirmed, err := ledger.Confirm(w, "a01", now)
	require.NoError(t, err)
	table.Apply(confirmed)
	w.Revision = 9
	intent, err := ledger.IntendOver(table, w, now.Add(time.Hour))
	require.NoError(t, err)
	require.False(t, ledger.Expired(intent.Value, now.Add(time.Minute)), "the intent is younger")
	require.True(t, ledger.Expired(intent.Value, now.Add(2*time.Hour)))
}

func TestAnIntentKeepsOlderRevisionsOut(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-3")
	const upsert = streamv1.Operation_OPERATION_UPSERT
	table := stage.NewTable()
	confirmed, err := ledger.Confirm(write(4, upsert, "a"), "a01", now)
	require.NoError(t, err)
	table.Apply(confirmed)
	intent, err := ledger.IntendOver(table, write(9, upsert, "b"), now)
	require.NoError(t, err)
	table.Apply(intent)
	for revision, want := range map[int64]ledger.Step{4: ledger.Repeat, 5: ledger.Skip, 9: ledger.Send, 10: ledger.Send} {
		v, err := ledger.Decide(table, write(revision, upsert, "a"))
		require.NoError(t, err)
		require.Equal(t, want, v.Step, "revision %d", revision)
		require.Equal(t, "a01", v.Entry.GetRecordId())
	}
}

func TestARowOfAReportIsRememberedByLittle(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	row := func(revision int64) *streamv1.Write {
		w := write(revision, streamv1.Operation_OPERATION_UPDATE, "")
		w.RecordId, w.RunRow = "003000000000001AAA", &streamv1.RunRow{Run: "run", Number: 1}
		return w
	}
	e, err := ledger.Confirm(row(5), "003000000000001AAA", now)
	require.NoError(t, err)
	require.LessOrEqual(t, len(e.Value), 16, "a million rows are in memory")
	table := stage.NewTable()
	table.Apply(e)
	for revision, want := range map[int64]ledger.Verdict{
		4: {Step: ledger.Skip, Reason: streamv1.Reason_REASON_SUPERSEDED}, 5: {Step: ledger.Repeat}, 6: {Step: ledger.Send},
	} {
		v, err := ledger.Decide(table, row(revision))
		require.NoError(t, err)
		v.Entry = nil
		require.Equal(t, want, v, "revision %d; the same values are no reason to skip: the record may have been changed", revision)
	}
	again, err := ledger.Confirm(row(6), "003000000000001AAA", now)
	require.NoError(t, err)
	table.Apply(again)
	require.Equal(t, 1, table.Len(), "it grows with records, not with runs")
	require.True(t, ledger.Expired(again.Value, now.Add(time.Second)))
}

// BenchmarkLedgerOfReportRows tells what a million rows of a report take in memory.
func BenchmarkLedgerOfReportRows(b *testing.B) {
	const rows = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		table := stage.NewTable()
		for i := range rows {
			w := &streamv1.Write{
				Workspace: "acme", Connection: "main", WriteKey: fmt.Sprintf("%024d", i), Revision: 300,
				Operation: streamv1.Operation_OPERATION_UPDATE, RunRow: &streamv1.RunRow{Run: "run", Number: int64(i)},
			}
			e, err := ledger.Confirm(w, "003000000000001AAA", now)
			if err != nil {
				b.Fatal(err)
			}
			table.Apply(e)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/rows, "bytes/row")
		runtime.KeepAlive(table)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	table := stage.NewTable()
	under := func() []string {
		ids, err := ledger.Jobs(table, "acme", "main")
		require.NoError(t, err)
		return ids
	}
	note := func(ids ...string) stage.Entry {
		e, err := ledger.JobsUnderWay("acme", "main", ids, now)
		require.NoError(t, err)
		table.Apply(e)
		return e
	}
	require.Empty(t, under())
	one := note("750A")
	require.Equal(t, []string{"750A"}, under())
	_, err := ledger.Decode(one.Value)
	require.NoError(t, err, "an older program reads it")
	several := note("750A", "750B", "750C")
	require.Equal(t, []string{"750A", "750B", "750C"}, under())
	_, err = ledger.Decode(several.Value)
	require.ErrorIs(t, err, ledger.ErrNewerFormat, "one that knows of one job only must not go on")
	require.Equal(t, one.Key, several.Key)
	require.Empty(t, ledger.Sweep(table, now.Add(time.Hour), 9), "nor forget them")
	note()
	require.Empty(t, under())
	table.Apply(stage.Entry{Key: one.Key, Value: []byte{0x08, 0x03}})
	_, err = ledger.Jobs(table, "acme", "main")
	require.ErrorIs(t, err, ledger.ErrNewerFormat)
}
