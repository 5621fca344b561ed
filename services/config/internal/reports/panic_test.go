package reports

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// brittle is a store that panics when it is asked for anything of the workspace odd. What is not here is not asked for.
type brittle struct {
	Schedules
	Starter
	Claims
	Ends
	Pauses
	due              []store.PushSchedule
	claimable, ended []store.ReportRun
	started, saved   []string
	reasons          []string
}

const odd, well = "odd", "well"

func (b *brittle) check(workspace string) {
	if workspace == odd {
		panic("a defect that quotes key-1")
	}
}

func (b *brittle) Get(_ context.Context, key store.Key) (store.Document, error) {
	b.check(key.Workspace)
	body, err := proto.Marshal(&configv1.ReportPush{Workspace: key.Workspace, Id: key.ID})
	return store.Document{Key: key, Body: body}, err
}

func (b *brittle) GetVersion(ctx context.Context, key store.Key, _ int64) (store.Document, error) {
	return b.Get(ctx, key)
}

func (b *brittle) ConnectionStatus(_ context.Context, workspace, _ string) (connstate.Status, error) {
	b.check(workspace)
	return connstate.Status{State: configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED}, nil
}

func (b *brittle) JudgePush(context.Context, *configv1.ReportPush) error { return nil }

func (b *brittle) DuePushes(context.Context, int64) ([]store.PushSchedule, error) { return b.due, nil }
func (b *brittle) EnabledPushes(context.Context) (int64, error)                   { return 0, nil }

func (b *brittle) StartRun(_ context.Context, run store.ReportRun, _ *store.ByHand) (store.ReportRun, error) {
	b.started = append(b.started, run.Workspace)
	return run, nil
}

func (b *brittle) ClaimRun(context.Context, string, time.Time, time.Time) (store.ReportRun, error) {
	if len(b.claimable) == 0 {
		return store.ReportRun{}, store.ErrNotFound
	}
	run := b.claimable[0]
	b.claimable = b.claimable[1:]
	return run, nil
}

func (b *brittle) EndRun(_ context.Context, workspace, id string, end store.RunEnd) (bool, error) {
	b.ended = append(b.ended, store.ReportRun{Workspace: workspace, ID: id, Status: end.Status})
	b.reasons = append(b.reasons, end.Detail)
	return true, nil
}

func (b *brittle) OverdueRuns(context.Context, time.Time, time.Time) ([]store.ReportRun, error) {
	panic("a defect that quotes key-1")
}

func (b *brittle) WaitingRuns(context.Context) ([]store.ReportRun, error) {
	return []store.ReportRun{{Workspace: odd, ID: "waits"}, {Workspace: well, ID: "waits"}}, nil
}

func (b *brittle) FailingPushes(context.Context, int64) ([]store.PushSchedule, error) {
	return b.due, nil
}

func (b *brittle) PutPush(_ context.Context, save store.Save, _ store.PushChange) error {
	b.saved = append(b.saved, save.Workspace)
	return nil
}

type noon struct{}

func (noon) Now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func setupBrittle() (*Runner, *brittle) {
	yesterday := dayOf(noon{}.Now()) - 1
	b := &brittle{due: []store.PushSchedule{{Workspace: odd, Push: "push", Day: yesterday}, {Workspace: well, Push: "push", Day: yesterday}}}
	return New(DefaultConfig(), Deps{
		Documents: b, Schedules: b, Starter: b, Claims: b, Ends: b, Pauses: b, Judge: b, Connections: b,
		Clock: noon{}, Logger: slog.New(slog.DiscardHandler),
	}), b
}

// Promise 6: what the program cannot take of one workspace's push keeps no other's from its schedule, nor from a worker.
func TestAPanicOverOnePushStopsNoOther(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-21")
	r, b := setupBrittle()
	body, err := proto.Marshal(&configv1.ClaimReportRunResponse{})
	require.NoError(t, err)
	b.claimable = []store.ReportRun{{Workspace: odd, ID: "poison"}, {Workspace: well, ID: "run", Body: body}}
	work, err := r.Claim(t.Context(), "worker")
	require.NoError(t, err)
	require.Equal(t, []string{well}, b.started)
	require.Equal(t, "run", work.GetRun().GetId(), "the worker gets what is behind it")
	require.Equal(t, []store.ReportRun{{Workspace: odd, ID: "poison", Status: store.RunFailed}}, b.ended)
	require.Contains(t, b.reasons[0], "failed by a defect at ")
	require.Contains(t, b.reasons[0], "panic_test.go")
	require.NotContains(t, b.reasons[0], "key-1", "promise 8")
}

func TestAPanicWhileOrderIsKeptIsOnePushsOwn(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-36")
	r, b := setupBrittle()
	err := r.Keep(t.Context())
	require.ErrorContains(t, err, "push push of workspace odd: failed by a defect at ")
	require.NotContains(t, err.Error(), "key-1", "promise 8")
	require.Equal(t, []store.ReportRun{{Workspace: well, ID: "waits", Status: store.RunFailed}}, b.ended)
	require.Equal(t, []string{well}, b.saved, "it is paused")
}
