package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func erasure(workspace, id string, minute int, keys ...string) store.Erasure {
	return store.Erasure{
		Workspace: workspace, ID: id, RequestedAt: epoch.Add(time.Duration(minute) * time.Minute), PersonKeys: keys, Body: []byte("body of " + id),
	}
}

const plenty = 100

// suppressed returns person key → "since/lifted" in minutes after the epoch, of one workspace.
func suppressed(t *testing.T, s *store.Store, workspace string) map[string][2]time.Time {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context(), 0)
	require.NoError(t, err)
	out := map[string][2]time.Time{}
	for _, one := range snapshot.Suppressions {
		if one.Workspace == workspace {
			out[one.PersonKey] = [2]time.Time{one.Since, one.LiftedAt}
		}
	}
	return out
}

func suppressions(t *testing.T, open Open) {
	t.Run("AreInTheSnapshotAtOnceAndRaiseTheRevision", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		before, err := s.Revision(ctx)
		require.NoError(t, err)
		_, err = s.StartErasure(ctx, erasure("acme", "e1", 1, "a", "b"), plenty)
		require.NoError(t, err)
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Greater(t, after, before)
		require.Equal(t, map[string][2]time.Time{"a": {epoch.Add(time.Minute)}, "b": {epoch.Add(time.Minute)}}, suppressed(t, s, "acme"))
		require.Empty(t, suppressed(t, s, "globex"))
	})
	t.Run("AreLiftedOnceAndComeBackWithANewErasure", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "a", "b"), plenty)
		require.NoError(t, err)
		n, err := s.Lift(ctx, "globex", []string{"a"}, store.Act{Actor: "aoi", Role: "privacy_officer", Action: "LiftSuppression", At: epoch})
		require.NoError(t, err)
		require.Zero(t, n, "another workspace's person: promise 9")
		n, err = s.Lift(ctx, "acme", []string{"a", "c"}, store.Act{Actor: "aoi", Role: "privacy_officer", Action: "LiftSuppression", At: epoch.Add(time.Hour)})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, epoch.Add(time.Hour), suppressed(t, s, "acme")["a"][1])
		at, err := s.LiftedSince(ctx, "acme", "e1")
		require.NoError(t, err)
		require.Zero(t, at, "b is still out")
		n, err = s.Lift(ctx, "acme", []string{"a", "b"}, store.Act{Actor: "aoi", Role: "privacy_officer", Action: "LiftSuppression", At: epoch.Add(2 * time.Hour)})
		require.NoError(t, err)
		require.Equal(t, 1, n, "a was lifted before, at another time")
		at, err = s.LiftedSince(ctx, "acme", "e1")
		require.NoError(t, err)
		require.Equal(t, epoch.Add(2*time.Hour), at)

		again, err := s.StartErasure(ctx, erasure("acme", "e2", 200, "a", "b"), plenty)
		require.NoError(t, err)
		require.Equal(t, "e2", again.ID)
		require.Equal(t, [2]time.Time{epoch.Add(200 * time.Minute)}, suppressed(t, s, "acme")["a"])
		some, err := s.Suppressions(ctx, "acme", []string{"b", "x"})
		require.NoError(t, err)
		require.Equal(t, []store.Suppression{{Workspace: "acme", PersonKey: "b", Since: epoch.Add(200 * time.Minute)}}, some)
	})
	t.Run("AreLimited", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "a", "b"), 2)
		require.NoError(t, err)
		_, err = s.StartErasure(ctx, erasure("acme", "e2", 1, "c"), 2)
		require.ErrorIs(t, err, store.ErrTooMany)
		require.Len(t, suppressed(t, s, "acme"), 2)
		_, err = s.StartErasure(ctx, erasure("globex", "e2", 1, "c"), 2)
		require.NoError(t, err, "every workspace has its own limit")
	})
}

func erasures(t *testing.T, open Open) {
	t.Run("AreFoundByWorkspaceAndInPages", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for _, e := range []store.Erasure{
			erasure("acme", "e1", 1, "a"), erasure("acme", "e2", 2, "b"), erasure("acme", "e3", 2, "c"), erasure("globex", "e4", 3, "a"),
		} {
			_, err := s.StartErasure(ctx, e, plenty)
			require.NoError(t, err)
		}
		got, err := s.Erasure(ctx, "acme", "e1")
		require.NoError(t, err)
		require.Equal(t, erasure("acme", "e1", 1, "a"), got)
		_, err = s.Erasure(ctx, "acme", "e4")
		require.ErrorIs(t, err, store.ErrNotFound)
		first, err := s.Erasures(ctx, "acme", store.ErasurePosition{}, 2)
		require.NoError(t, err)
		require.Equal(t, []store.Erasure{erasure("acme", "e3", 2, "c"), erasure("acme", "e2", 2, "b")}, first)
		rest, err := s.Erasures(ctx, "acme", store.ErasurePosition{RequestedAt: first[1].RequestedAt, ID: "e2"}, 2)
		require.NoError(t, err)
		require.Equal(t, []store.Erasure{erasure("acme", "e1", 1, "a")}, rest)
	})
	t.Run("AreNotStartedTwice", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "a", "b"), plenty)
		require.NoError(t, err)
		again, err := s.StartErasure(ctx, erasure("acme", "e2", 2, "a", "b"), plenty)
		require.NoError(t, err)
		require.Equal(t, "e1", again.ID)
		other, err := s.StartErasure(ctx, erasure("acme", "e3", 2, "a"), plenty)
		require.NoError(t, err)
		require.Equal(t, "e3", other.ID, "not the very same people")
	})
}

func erasedRows(t *testing.T, open Open) {
	t.Run("DeleteRowsAndTellItAtOnce", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		_, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "a"), plenty)
		require.NoError(t, err)
		require.NoError(t, s.RecordOutcomes(ctx, []store.Outcome{
			outcome("acme", "x", 0), outcome("acme", "y", 0), outcome("acme", "z", 1), outcome("globex", "x", 0),
		}))
		rows, err := s.ScanOutcomes(ctx, "acme", store.OutcomePosition{}, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"x", "y"}, []string{rows[0].ID, rows[1].ID})
		require.Equal(t, "body of x", string(rows[0].Body))
		more, err := s.ScanOutcomes(ctx, "acme", store.OutcomePosition{DecidedAt: rows[1].DecidedAt, ID: "y"}, 2)
		require.NoError(t, err)
		require.Len(t, more, 1)

		failure := errors.New("no")
		err = s.EraseOutcomes(ctx, erasure("acme", "e1", 1), rows, func([]byte, int64) ([]byte, bool, error) { return nil, false, failure })
		require.ErrorIs(t, err, failure)
		left, err := s.ScanOutcomes(ctx, "acme", store.OutcomePosition{}, 10)
		require.NoError(t, err)
		require.Len(t, left, 3, "what is not told is not gone")

		for want, done := range []bool{false, true} {
			require.NoError(t, s.EraseOutcomes(ctx, erasure("acme", "e1", 1), rows, func(body []byte, n int64) ([]byte, bool, error) {
				require.EqualValues(t, 2-2*want, n, "the second time they are gone already")
				return append(body, '!'), done, nil
			}))
		}
		left, err = s.ScanOutcomes(ctx, "acme", store.OutcomePosition{}, 10)
		require.NoError(t, err)
		require.Len(t, left, 1)
		other, err := s.ScanOutcomes(ctx, "globex", store.OutcomePosition{}, 10)
		require.NoError(t, err)
		require.Len(t, other, 1, "promise 9")
		got, err := s.Erasure(ctx, "acme", "e1")
		require.NoError(t, err)
		require.True(t, got.Done)
		require.Equal(t, "body of e1!!", string(got.Body))
		todo, err := s.ErasuresToDo(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, todo)
	})
}

func exports(t *testing.T, open Open) {
	t.Run("AreAnsweredOnceAndExpire", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		e := store.Export{Workspace: "acme", ID: "x1", RequestedAt: epoch, ExpiresAt: epoch.Add(time.Hour), PersonKeys: []string{"a", "b"}, Body: []byte("request")}
		require.NoError(t, s.AddExport(ctx, e))
		todo, err := s.ExportsToDo(ctx, 10)
		require.NoError(t, err)
		require.Equal(t, []store.Export{e}, todo)
		e.Body, e.Sealed = []byte("ready"), []byte("sealed")
		require.NoError(t, s.FinishExport(ctx, e))
		todo, err = s.ExportsToDo(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, todo)
		got, err := s.Export(ctx, "acme", "x1", epoch)
		require.NoError(t, err)
		require.Equal(t, e, got)
		_, err = s.Export(ctx, "globex", "x1", epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Export(ctx, "acme", "x1", epoch.Add(time.Hour))
		require.ErrorIs(t, err, store.ErrNotFound, "expired, whether it was purged or not")
		require.NoError(t, s.PurgeExports(ctx, epoch.Add(time.Hour)))
		_, err = s.Export(ctx, "acme", "x1", epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
	t.Run("GoWithTheErasureOfTheirPerson", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for id, keys := range map[string][]string{"x1": {"a", "b"}, "x2": {"c"}} {
			require.NoError(t, s.AddExport(ctx, store.Export{
				Workspace: "acme", ID: id, RequestedAt: epoch, ExpiresAt: epoch.Add(time.Hour), PersonKeys: keys, Body: []byte("request"),
			}))
		}
		_, err := s.StartErasure(ctx, erasure("acme", "e1", 1, "b"), plenty)
		require.NoError(t, err)
		require.NoError(t, s.FinishExport(ctx, store.Export{Workspace: "acme", ID: "x1", Sealed: []byte("late")}))
		_, err = s.Export(ctx, "acme", "x1", epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Export(ctx, "acme", "x2", epoch)
		require.NoError(t, err)
	})
}
