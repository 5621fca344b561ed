package privacy_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/privacy"
	"github.com/throughline-dev/throughline/services/config/internal/runlog"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const her = "person-key-of-mia"

// meanwhile is a store in which something happens after a sweep began and before it reads the next rows.
type meanwhile struct {
	*store.Store
	happens func()
}

// ScanOutcomes implements privacy.Eraser.
func (m meanwhile) ScanOutcomes(ctx context.Context, workspace string, after store.OutcomePosition, limit int) ([]store.OutcomeRow, error) {
	m.happens()
	return m.Store.ScanOutcomes(ctx, workspace, after, limit)
}

// tell records an outcome of what she did at a time.
func tell(t *testing.T, s *store.Store, at time.Time) {
	t.Helper()
	value, err := proto.Marshal(&streamv1.Outcome{
		OutcomeId: strconv.FormatInt(at.Unix(), 10), Workspace: "acme", Status: streamv1.Status_STATUS_WRITTEN, PersonKey: her,
		DecidedAt: timestamppb.New(at), OccurredAt: timestamppb.New(at),
	})
	require.NoError(t, err)
	row, _, err := runlog.Decode(value)
	require.NoError(t, err)
	require.NoError(t, s.RecordOutcomes(t.Context(), []store.Outcome{row}))
}

// TestWhoIsLetInDuringASweepIsSparedFromThenOn: a sweep of a long run log takes its time.
func TestWhoIsLetInDuringASweepIsSparedFromThenOn(t *testing.T) {
	t.Attr("requirement", "XC-31")
	t.Parallel()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	body, err := proto.Marshal(&configv1.Erasure{Workspace: "acme", Id: "e-1", RequestedAt: timestamppb.New(epoch)})
	require.NoError(t, err)
	act := store.Act{Actor: "saki", At: epoch.Add(time.Minute)}
	_, err = s.StartErasure(t.Context(), store.Erasure{Workspace: "acme", ID: "e-1", RequestedAt: epoch, PersonKeys: []string{her}, Body: body, Act: act}, 10)
	require.NoError(t, err)
	tell(t, s, epoch.Add(-time.Second))

	let := false
	eraser := meanwhile{s, func() {
		if let {
			return
		}
		let = true
		lifted, err := s.Lift(t.Context(), "acme", []string{her}, act)
		require.NoError(t, err)
		require.Equal(t, 1, lifted)
		tell(t, s, act.At.Add(time.Second))
	}}
	w := privacy.NewWorker(privacy.DefaultConfig(), privacy.WorkerDeps{
		Eraser: eraser, Answers: s, Suppressions: s, Clock: stagetest.NewClock(epoch), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, w.Work(t.Context()))
	left, err := s.ScanOutcomes(t.Context(), "acme", store.OutcomePosition{}, 10)
	require.NoError(t, err)
	require.Len(t, left, 1, "what she did before goes")
	require.True(t, left[0].DecidedAt.After(act.At), "what she did since stays")
}
