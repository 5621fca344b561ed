package lapse_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/lapse"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// world is workspaces with connections, and remembers which were ended.
type world struct {
	workspaces  []store.Document
	connections map[string][]store.Document
	ended       []lifecycle.Key
	// fails are connections that cannot be ended.
	fails map[lifecycle.Key]error
}

// Workspaces implements lapse.Documents.
func (w *world) Workspaces(context.Context) ([]store.Document, error) { return w.workspaces, nil }

// List implements lapse.Documents.
func (w *world) List(_ context.Context, workspace string, _ store.Kind) ([]store.Document, error) {
	return w.connections[workspace], nil
}

// Disconnect implements lapse.Disconnector.
func (w *world) Disconnect(_ context.Context, key lifecycle.Key, by store.Act, forgetApp bool) (bool, error) {
	if by.Actor != lapse.Actor || !forgetApp {
		return false, errors.New("not like that")
	}
	if err := w.fails[key]; err != nil {
		return false, err
	}
	w.ended = append(w.ended, key)
	return true, nil
}

// add puts a workspace there that had the plan enterprise of videos until a day.
func (w *world) add(t *testing.T, id string, until int, connections ...*configv1.Connection) {
	t.Helper()
	ws := &configv1.Workspace{Id: id, Plans: []*configv1.Plan{
		{Source: plan.Video, Name: "enterprise", EffectiveFrom: timestamppb.New(epoch)},
		{Source: plan.Video, EffectiveFrom: timestamppb.New(epoch.AddDate(0, 0, until))},
	}}
	body, err := proto.Marshal(ws)
	require.NoError(t, err)
	w.workspaces = append(w.workspaces, store.Document{Key: store.Key{Workspace: id, Kind: store.KindWorkspace, ID: id}, Body: body})
	for _, c := range connections {
		body, err := proto.Marshal(c)
		require.NoError(t, err)
		w.connections[id] = append(w.connections[id], store.Document{Key: store.Key{Workspace: id, Kind: store.KindConnection, ID: c.GetId()}, Body: body})
	}
}

func of(id, source string) *configv1.Connection {
	return &configv1.Connection{
		Id: id, Settings: &configv1.ConnectSettings{Source: source}, Grant: &configv1.Connection_RefreshToken{RefreshToken: &configv1.RefreshToken{ClientId: "key"}},
	}
}

func setup(t *testing.T) (*world, *lapse.Ender) {
	t.Helper()
	w := &world{connections: map[string][]store.Document{}, fails: map[lifecycle.Key]error{}}
	rules := plan.DefaultRules()
	rules.EnforceFrom = epoch
	return w, &lapse.Ender{Rules: rules, Documents: w, Disconnector: w, Logger: slog.New(slog.DiscardHandler)}
}

func TestOnlyWhatHasNotBeenIncludedForLongEnds(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Parallel()
	w, e := setup(t)
	empty := of("empty", "loom")
	empty.Grant = nil
	w.add(t, "acme", 10, of("videos", "loom"), of("documents", "immedio"), of("any", ""), empty)
	w.add(t, "globex", 11, of("videos", "loom"))
	ends := func(at time.Time) []lifecycle.Key {
		w.ended = nil
		require.NoError(t, e.End(t.Context(), at))
		return w.ended
	}
	require.Empty(t, ends(epoch.AddDate(0, 0, 10)))
	require.Empty(t, ends(epoch.AddDate(0, 0, 100).Add(-time.Nanosecond)))
	require.Equal(t, []lifecycle.Key{{Workspace: "acme", Connection: "videos"}}, ends(epoch.AddDate(0, 0, 100)))
	require.Len(t, ends(epoch.AddDate(0, 0, 101)), 2)
	e.Rules.EnforceFrom = epoch.AddDate(0, 0, 50)
	require.Empty(t, ends(epoch.AddDate(0, 0, 101)), "the time counts from when the rules hold")
	e.Rules.EnforceFrom = time.Time{}
	require.Empty(t, ends(epoch.AddDate(1, 0, 0)), "without rules nothing ends")
}

func TestOneWorkspacesTroubleKeepsNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	w, e := setup(t)
	w.add(t, "acme", 10, of("stuck", "loom"), of("videos", "loom"))
	w.add(t, "globex", 10, of("videos", "loom"))
	w.fails[lifecycle.Key{Workspace: "acme", Connection: "stuck"}] = errors.New("the database is away")
	err := e.End(t.Context(), epoch.AddDate(0, 0, 100))
	require.ErrorContains(t, err, "workspace acme does not include: connection stuck: the database is away")
	require.Equal(t, []lifecycle.Key{{Workspace: "acme", Connection: "videos"}, {Workspace: "globex", Connection: "videos"}}, w.ended)
}
