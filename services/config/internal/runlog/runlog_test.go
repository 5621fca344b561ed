package runlog_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/runlog"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// recorder keeps what it is given, or fails.
type recorder struct {
	rows []store.Outcome
	err  error
}

func (r *recorder) RecordOutcomes(_ context.Context, batch []store.Outcome) error {
	if r.err == nil {
		r.rows = append(r.rows, batch...)
	}
	return r.err
}

func encode(tb testing.TB, change ...func(*streamv1.Outcome)) stage.Record {
	tb.Helper()
	o := &streamv1.Outcome{
		OutcomeId: "o1", Workspace: "acme", Status: streamv1.Status_STATUS_SKIPPED, Reason: streamv1.Reason_REASON_NO_MATCH,
		Stage: "mapping", EventId: "e1", VisitId: "v1", DecidedAt: timestamppb.New(epoch),
	}
	for _, c := range change {
		c(o)
	}
	value, err := proto.Marshal(o)
	require.NoError(tb, err)
	return stage.Record{Value: value}
}

func TestProcessorRecordsABatchAtOnce(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	rec := encode(t)
	out := stagetest.Run(t, runlog.NewProcessor(r), rec, encode(t, func(o *streamv1.Outcome) { o.OutcomeId = "o2" }))
	require.Empty(t, out.DeadLetters())
	require.Len(t, r.rows, 2)
	require.Equal(t, store.Outcome{
		Workspace: "acme", ID: "o1", DecidedAt: epoch, Stage: "mapping", Status: 2, Reason: 40, EventID: "e1", VisitID: "v1",
		Body: rec.Value,
	}, r.rows[0])
}

func TestProcessorGivesUpWhatIsNoOutcome(t *testing.T) {
	t.Parallel()
	for name, rec := range map[string]stage.Record{
		"garbage":      {Value: []byte("garbage")},
		"empty":        {},
		"no id":        encode(t, func(o *streamv1.Outcome) { o.OutcomeId = "" }),
		"no workspace": encode(t, func(o *streamv1.Outcome) { o.Workspace = "" }),
		"no status":    encode(t, func(o *streamv1.Outcome) { o.Status = 0 }),
		"no time":      encode(t, func(o *streamv1.Outcome) { o.DecidedAt = nil }),
		"bad time":     encode(t, func(o *streamv1.Outcome) { o.DecidedAt = &timestamppb.Timestamp{Nanos: -1} }),
	} {
		r := &recorder{}
		out := stagetest.Run(t, runlog.NewProcessor(r), rec, encode(t))
		require.Len(t, out.DeadLetters(), 1, name)
		require.Equal(t, "BAD_SCHEMA", out.DeadLetters()[0].Reason, name)
		require.Len(t, r.rows, 1, "the other one is recorded")
	}
}

func TestProcessorIsTriedAgainWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	r := &recorder{err: errors.New("the database is away")}
	driver := stagetest.NewDriver(t, runlog.NewProcessor(r))
	_, err := driver.TryProcess(encode(t))
	require.ErrorIs(t, err, r.err)
	_, permanent := stage.PermanentReason(err)
	require.False(t, permanent)
}

func TestCleanerForgetsInBatches(t *testing.T) {
	t.Parallel()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	clock := stagetest.NewClock(epoch)
	var rows []store.Outcome
	for hour := range 50 {
		id := string(rune('A' + hour))
		rows = append(rows, store.Outcome{
			Workspace: "acme", ID: id, DecidedAt: epoch.Add(time.Duration(hour) * time.Hour), Stage: "s", Status: 1, VisitID: "v",
			Body: []byte("body"),
		})
	}
	require.NoError(t, s.RecordOutcomes(t.Context(), rows))
	retention := runlog.Retention{Rows: 24 * time.Hour, Counts: 36 * time.Hour, Every: time.Second, Batch: 7}
	require.NoError(t, retention.Validate())
	cleaner := &runlog.Cleaner{Retention: retention, Purger: s, Clock: clock, Logger: slog.New(slog.DiscardHandler)}
	clock.Set(epoch.Add(48 * time.Hour))
	require.NoError(t, cleaner.Clean(t.Context()))
	left, err := s.Outcomes(t.Context(), store.OutcomeQuery{Workspace: "acme", VisitID: "v", Limit: 100})
	require.NoError(t, err)
	require.Len(t, left, 26, "hours 24 to 49")
	counts, err := s.CountOutcomes(t.Context(), "acme", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, int64(38), counts[0].N, "hours 12 to 49")
}

func FuzzProcessor(f *testing.F) {
	f.Add(encode(f).Value)
	f.Add([]byte{0x0a, 0x02, 0xff, 0xfe})
	f.Fuzz(func(t *testing.T, value []byte) {
		r := &recorder{}
		out := stagetest.Run(t, runlog.NewProcessor(r), stage.Record{Value: value})
		require.Equal(t, 1, len(out.DeadLetters())+len(r.rows), "recorded or given up, never dropped")
	})
}
