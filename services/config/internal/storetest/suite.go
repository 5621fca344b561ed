package storetest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Open returns a store of its own for one test, empty, and closes it when the test ends.
type Open func(t *testing.T) *store.Store

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// groups are the parts of the suite.
var groups = []struct {
	name string
	run  func(*testing.T, Open)
}{
	{"Documents", documents},
	{"Conflicts", conflicts},
	{"Isolation", isolation},
	{"Snapshot", snapshot},
	{"Changes", changes},
	{"Tokens", tokens},
	{"TokenSafety", tokenSafety},
	{"Leases", leases},
	{"States", states},
	{"StateSafety", stateSafety},
	{"Checks", checks},
	{"Networks", networks},
	{"Flows", flows},
	{"FlowSteps", flowSteps},
	{"Revocations", revocations},
	{"Sealed", sealed},
	{"Destruction", destruction},
	{"Deletion", deletion},
	{"Rotation", rotation},
	{"RunLog", runLog},
	{"Pages", pages},
	{"Retention", retention},
	{"Counts", counts},
	{"Days", days},
	{"Pushes", pushes},
	{"PushStops", pushStops},
	{"FailedDays", failedDays},
	{"Runs", runs},
	{"RunClaims", runClaims},
	{"RunLimits", runLimits},
	{"RunPages", runPages},
	{"RunDeliveries", runDeliveries},
	{"RunRecords", runRecords},
	{"RunEnds", runEnds},
	{"RunOutcomes", runOutcomes},
	{"FailedRuns", failedRuns},
	{"SeveralRecords", severalRecords},
	{"ConcurrentOutcomes", concurrentOutcomes},
	{"RunRetention", runRetention},
	{"ErasedRunRows", erasedRunRows},
	{"DayPages", dayPages},
	{"Ranges", ranges},
	{"Repeats", repeats},
	{"OddTexts", oddTexts},
	{"Members", members},
	{"OwnersLeaving", ownersLeaving},
	{"Operators", operators},
	{"Sessions", sessions},
	{"Links", links},
	{"Audit", audit},
	{"AuditAge", auditAge},
	{"Notices", notices},
	{"Tellings", tellings},
	{"LegalHolds", legalHolds},
	{"Describes", describes},
	{"Broken", broken},
	{"Suppressions", suppressions},
	{"Erasures", erasures},
	{"ErasedRows", erasedRows},
	{"Exports", exports},
	{"Drafts", drafts},
	{"Together", together},
	{"Proposals", proposals},
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			group.run(t, open)
		})
	}
}

func save(workspace string, kind store.Kind, id string, expected int64, body string) store.Save {
	return store.Save{
		Key: store.Key{Workspace: workspace, Kind: kind, ID: id}, Expected: expected, Body: []byte(body),
		Author: "tester", At: epoch,
	}
}

func documents(t *testing.T, open Open) {
	t.Run("KeepVersionsAndHistory", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Parallel()
		s, ctx := open(t), t.Context()
		first := save("acme", store.KindConnection, "main", 0, "one")
		first.Sealed = []byte("secret 1")
		require.NoError(t, s.Put(ctx, first))
		require.NoError(t, s.Put(ctx, save("acme", store.KindConnection, "main", 1, "two")))

		doc, err := s.Get(ctx, first.Key)
		require.NoError(t, err)
		require.Equal(t, store.Document{
			Key: first.Key, Version: 2, Body: []byte("two"), Sealed: []byte("secret 1"), Generation: 1,
			SavedAt: epoch, SavedBy: "tester",
		}, doc)

		third := save("acme", store.KindConnection, "main", 2, "three")
		third.Sealed = []byte("secret 2")
		require.NoError(t, s.Put(ctx, third))
		doc, err = s.Get(ctx, first.Key)
		require.NoError(t, err)
		require.Equal(t, "secret 2", string(doc.Sealed))
		require.Equal(t, int64(2), doc.Generation)

		old, err := s.GetVersion(ctx, first.Key, 1)
		require.NoError(t, err)
		require.Equal(t, "one", string(old.Body))
		require.Nil(t, old.Sealed, "history holds no secrets")
		history, err := s.History(ctx, first.Key)
		require.NoError(t, err)
		require.Len(t, history, 3)
		require.Equal(t, int64(3), history[2].Version)
	})
}

func conflicts(t *testing.T, open Open) {
	t.Run("RefuseAStaleVersion", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.Put(ctx, save("acme", store.KindIntegration, "a", 0, "one")))
		require.ErrorIs(t, s.Put(ctx, save("acme", store.KindIntegration, "a", 0, "again")), store.ErrStale)
		require.NoError(t, s.Put(ctx, save("acme", store.KindIntegration, "a", 1, "two")))
		before, err := s.Revision(ctx)
		require.NoError(t, err)
		require.ErrorIs(t, s.Put(ctx, save("acme", store.KindIntegration, "a", 1, "late")), store.ErrStale)
		require.ErrorIs(t, s.Put(ctx, save("acme", store.KindIntegration, "b", 4, "none")), store.ErrNotFound)
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, before, after, "what was refused changes nothing")
	})

	t.Run("LetOneOfManyWritersWin", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		require.NoError(t, s.Put(ctx, save("acme", store.KindContent, "v", 0, "start")))
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won, stale int
		for i := range 8 {
			wg.Go(func() {
				err := s.Put(ctx, save("acme", store.KindContent, "v", 1, fmt.Sprint("writer ", i)))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case isStale(err):
					stale++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, won)
		require.Equal(t, 7, stale)
	})
}

func isolation(t *testing.T, open Open) {
	t.Run("StayWithinTheWorkspace", func(t *testing.T) {
		t.Attr("requirement", "XC-19")
		t.Parallel()
		s, ctx := open(t), t.Context()
		for _, ws := range []string{"acme", "globex"} {
			require.NoError(t, s.Put(ctx, save(ws, store.KindWorkspace, ws, 0, ws)))
			require.NoError(t, s.Put(ctx, save(ws, store.KindConnection, "main", 0, "of "+ws)))
		}
		require.NoError(t, s.Put(ctx, save("acme", store.KindConnection, "other", 0, "only acme")))

		list, err := s.List(ctx, "globex", store.KindConnection)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "of globex", string(list[0].Body))
		_, err = s.Get(ctx, store.Key{Workspace: "globex", Kind: store.KindConnection, ID: "other"})
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.GetVersion(ctx, store.Key{Workspace: "globex", Kind: store.KindConnection, ID: "other"}, 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		all, err := s.Workspaces(ctx)
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, "acme", all[0].ID)
	})
}

func snapshot(t *testing.T, open Open) {
	t.Run("HoldsEverythingAtOneRevision", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		empty, err := s.Snapshot(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, int64(1), empty.Revision, "even a fresh store has something to tell")

		ws := save("acme", store.KindWorkspace, "acme", 0, "ws")
		ws.Sealed = []byte("keys")
		conn := save("acme", store.KindConnection, "main", 0, "conn")
		conn.Sealed = []byte("credentials")
		require.NoError(t, s.Put(ctx, ws))
		require.NoError(t, s.Put(ctx, conn))
		require.NoError(t, s.Put(ctx, save("acme", store.KindIntegration, "a", 0, "v1")))
		require.NoError(t, s.Put(ctx, save("acme", store.KindIntegration, "a", 1, "v2")))

		snap, err := s.Snapshot(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, int64(5), snap.Revision)
		require.Len(t, snap.Documents, 2)
		for _, d := range snap.Documents {
			switch d.Kind {
			case store.KindWorkspace:
				require.Equal(t, "keys", string(d.Sealed))
			default:
				require.Nil(t, d.Sealed, "credentials never leave with a snapshot")
			}
		}
		require.Len(t, snap.Integrations, 2)
		require.Equal(t, "v1", string(snap.Integrations[0].Body))
		require.Equal(t, int64(2), snap.Integrations[1].Version)
	})

	t.Run("ListenersHearOfEverySave", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Parallel()
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		heard, done := make(chan struct{}, 1), make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Listen(ctx, func() {
				select {
				case heard <- struct{}{}:
				default:
				}
			})
		}()
		defer func() { cancel(); <-done }()
		for i := range int64(3) {
			// The listener may not be there yet for the first save: save until it is.
			require.Eventually(t, func() bool {
				doc, _ := s.Get(t.Context(), store.Key{Workspace: "acme", Kind: store.KindContent, ID: "v"})
				if err := s.Put(t.Context(), save("acme", store.KindContent, "v", doc.Version, strconv.FormatInt(i, 10))); err != nil {
					t.Error(err)
				}
				select {
				case <-heard:
					return true
				case <-time.After(100 * time.Millisecond):
					return false
				}
			}, time.Minute, time.Millisecond)
		}
	})
}
