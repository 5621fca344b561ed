package settings_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func TestViewFindsWhatIsThere(t *testing.T) {
	t.Parallel()

	view := settingstest.New(t).Revision(7).
		Workspace("acme").Connection("main").Content("v1", false).APIKey("web", "s3cret").
		Workspace("globex").Connection("main").
		View()

	require.Equal(t, int64(7), view.Revision())
	require.Len(t, view.Workspaces(), 2)
	acme, ok := view.Workspace("acme")
	require.True(t, ok)
	require.Equal(t, "acme", acme.ID())
	require.Len(t, acme.Keys().PersonKey("aoi@example.jp"), 22)
	conn, ok := acme.Connection("main")
	require.True(t, ok)
	require.Equal(t, "acme", conn.GetWorkspace())
	key, ok := acme.APIKey("web")
	require.True(t, ok)
	require.Len(t, key.GetSecretHash(), 32)

	globex, _ := view.Workspace("globex")
	_, ok = globex.APIKey("web")
	require.False(t, ok, "another workspace's key")
	_, ok = view.Workspace("initech")
	require.False(t, ok)
}

func TestWorkspaceAppliesDefaults(t *testing.T) {
	t.Parallel()

	view := settingstest.New(t).
		Workspace("plain").
		Workspace("tuned", func(ws *configv1.Workspace) {
			zero := 0.0
			ws.Visits = &configv1.VisitSettings{
				Silence: durationpb.New(time.Minute), Settle: durationpb.New(0), Cadence: durationpb.New(time.Second),
				ViewSeconds: &zero, ViewPercent: &zero,
			}
			ws.Lateness = durationpb.New(time.Hour)
		}).View()

	plain, _ := view.Workspace("plain")
	require.Equal(t, 30*time.Minute, plain.Silence())
	require.Equal(t, 2*time.Minute, plain.Settle())
	require.Equal(t, time.Minute, plain.Cadence())
	require.InDelta(t, 5, plain.ViewSeconds(), 0)
	require.InDelta(t, 75, plain.ViewPercent(), 0)
	require.Equal(t, 7*24*time.Hour, plain.Lateness())

	tuned, _ := view.Workspace("tuned")
	require.Equal(t, time.Minute, tuned.Silence())
	require.Zero(t, tuned.Settle(), "0 is a setting, not an absence")
	require.Equal(t, time.Second, tuned.Cadence())
	require.Zero(t, tuned.ViewSeconds())
	require.Zero(t, tuned.ViewPercent())
	require.Equal(t, time.Hour, tuned.Lateness())
}

func TestTrackingFollowsTheContentThenTheWorkspace(t *testing.T) {
	t.Parallel()

	off := false
	view := settingstest.New(t).
		Workspace("on").Content("secret", false).
		Workspace("off", func(ws *configv1.Workspace) { ws.TrackByDefault = &off }).Content("public", true).
		View()
	on, _ := view.Workspace("on")
	require.True(t, on.Tracking("anything"))
	require.False(t, on.Tracking("secret"))
	closed, _ := view.Workspace("off")
	require.False(t, closed.Tracking("anything"))
	require.True(t, closed.Tracking("public"))
}

func TestNewViewRefusesKeysOfAnotherInstallation(t *testing.T) {
	t.Parallel()

	other, err := seal.NewInstallation()
	require.NoError(t, err)
	_, err = settings.NewView(settingstest.New(t).Workspace("acme").Snapshot(), other)
	require.ErrorIs(t, err, seal.ErrOpen)
	require.ErrorContains(t, err, "acme")
}

func version(id string, n int64, at time.Time, enabled bool) *configv1.Integration {
	return &configv1.Integration{Id: id, Version: n, EffectiveFrom: timestamppb.New(at), Enabled: enabled}
}

func TestIntegrationsAt(t *testing.T) {
	t.Attr("requirement", "IMM-17")
	t.Parallel()

	view := settingstest.New(t).Workspace("acme").Connection("main").
		Integration(version("a", 1, epoch, true)).
		Integration(version("a", 2, epoch.Add(time.Hour), true)).
		Integration(version("a", 3, epoch.Add(2*time.Hour), false)).
		Integration(version("b", 1, epoch.Add(time.Hour), true)).
		View()
	ws, _ := view.Workspace("acme")

	for _, tc := range []struct {
		name  string
		after time.Duration
		want  map[string]int64
	}{
		{"BeforeAnythingWasCreated", -time.Second, map[string]int64{}},
		{"FirstVersion", 0, map[string]int64{"a": 1}},
		{"JustBeforeTheEdit", time.Hour - 1, map[string]int64{"a": 1}},
		{"AtTheEdit", time.Hour, map[string]int64{"a": 2, "b": 1}},
		{"SwitchedOff", 3 * time.Hour, map[string]int64{"b": 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // worked out, then remembered
				got := map[string]int64{}
				for _, i := range ws.IntegrationsAt(epoch.Add(tc.after)) {
					got[i.GetId()] = i.GetVersion()
				}
				require.Equal(t, tc.want, got)
			}
		})
	}
}

// TestIntegrationsAtAgreesWithTheDefinition compares with the plain reading of the rule, for versions in any order and
// effective times that may even go backwards.
func TestIntegrationsAtAgreesWithTheDefinition(t *testing.T) {
	t.Attr("requirement", "IMM-17")
	t.Parallel()

	rapid.Check(t, func(rt *rapid.T) {
		b := settingstest.New(t).Workspace("acme")
		var all []*configv1.Integration
		for _, id := range []string{"a", "b", "c"} {
			for n := range rapid.Int64Range(0, 5).Draw(rt, id) {
				at := epoch.Add(time.Duration(rapid.IntRange(0, 9).Draw(rt, "minute")) * time.Minute)
				all = append(all, version(id, n+1, at, rapid.Bool().Draw(rt, "enabled")))
			}
		}
		all = rapid.Permutation(all).Draw(rt, "order")
		for _, i := range all {
			b.Integration(i)
		}
		ws, _ := b.View().Workspace("acme")
		for minute := -1; minute < 11; minute++ {
			at := epoch.Add(time.Duration(minute) * time.Minute)
			got := map[string]int64{}
			for _, i := range ws.IntegrationsAt(at) {
				got[i.GetId()] = i.GetVersion()
			}
			require.Equal(rt, inForce(all, at), got)
		}
	})
}

func inForce(all []*configv1.Integration, at time.Time) map[string]int64 {
	newest := map[string]*configv1.Integration{}
	for _, i := range all {
		if !i.GetEffectiveFrom().AsTime().After(at) && i.GetVersion() > newest[i.GetId()].GetVersion() {
			newest[i.GetId()] = i
		}
	}
	want := map[string]int64{}
	for id, i := range newest {
		if i.GetEnabled() {
			want[id] = i.GetVersion()
		}
	}
	return want
}

func BenchmarkIntegrationsAt(b *testing.B) {
	builder := settingstest.New(b).Workspace("acme")
	for n := range int64(50) {
		builder.Integration(version("a", n+1, epoch.Add(time.Duration(n)*time.Hour), true))
	}
	ws, _ := builder.View().Workspace("acme")
	at := epoch.Add(25 * time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		_ = ws.IntegrationsAt(at)
	}
}

func FuzzNewView(f *testing.F) {
	builder := settingstest.New(f).Workspace("acme").Connection("main").Integration(version("a", 1, epoch, true))
	encoded, err := proto.Marshal(builder.Snapshot())
	require.NoError(f, err)
	f.Add(encoded)
	f.Fuzz(func(_ *testing.T, data []byte) {
		snapshot := &configv1.Snapshot{}
		if proto.Unmarshal(data, snapshot) != nil {
			return
		}
		view, err := settings.NewView(snapshot, builder.Installation())
		if err != nil {
			return
		}
		for _, ws := range view.Workspaces() {
			_ = ws.IntegrationsAt(epoch)
			_ = ws.Silence()
		}
	})
}
