package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// sealedValues saves two workspaces with keys, one connection each, and an access token for acme's.
func sealedValues(t *testing.T, s *store.Store) {
	t.Helper()
	for _, workspace := range []string{"acme", "globex"} {
		keys := save(workspace, store.KindWorkspace, workspace, 0, "ws")
		keys.Sealed = []byte("keys of " + workspace)
		require.NoError(t, s.Put(t.Context(), keys))
		setupConnection(t, s, workspace)
		require.NoError(t, s.Put(t.Context(), save(workspace, store.KindContent, "v", 0, "not sealed")))
	}
	require.NoError(t, s.SaveToken(t.Context(), newToken("token of acme", "")))
}

// readSealed reads everything sealed, page by page.
func readSealed(t *testing.T, s *store.Store, limit int) []store.SealedRow {
	t.Helper()
	var all []store.SealedRow
	for _, table := range store.SealedTables() {
		var after store.Key
		for {
			page, err := s.SealedRows(t.Context(), table, after, limit)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), limit)
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
			after = page[len(page)-1].Key
		}
	}
	return all
}

func sealed(t *testing.T, open Open) {
	t.Helper()
	t.Run("ValuesAreAllFoundWhateverThePage", func(t *testing.T) { sealedPages(t, open) })
	t.Run("ValuesAreReplacedOnlyWhereTheyStillLie", func(t *testing.T) { sealedReplace(t, open) })
	t.Run("ValuesOfLoginsAndRevocationsToo", func(t *testing.T) { sealedLogins(t, open) })
	t.Run("ReplacingNeverUndoesARotationOfTheGrant", func(t *testing.T) { sealedBesideGrants(t, open) })
}

func sealedPages(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	s := open(t)
	sealedValues(t, s)
	for limit := 1; limit <= 6; limit++ {
		var found []string
		for _, row := range readSealed(t, s, limit) {
			found = append(found, fmt.Sprint(row.Table, " ", row.Workspace, " ", row.Kind, " ", row.ID, " ", string(row.Sealed)))
		}
		require.Equal(t, []string{
			"documents acme connection main credentials 1", "documents acme workspace acme keys of acme",
			"documents globex connection main credentials 1", "documents globex workspace globex keys of globex",
			"access_tokens acme connection main token of acme",
		}, found)
	}
}

func sealedReplace(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	s, ctx := open(t), t.Context()
	sealedValues(t, s)
	rows := readSealed(t, s, 10)
	revision, err := s.Revision(ctx)
	require.NoError(t, err)
	for _, row := range rows {
		done, err := s.ReplaceSealed(ctx, row, []byte("anew "+string(row.Sealed)))
		require.NoError(t, err)
		require.True(t, done)
		done, err = s.ReplaceSealed(ctx, row, []byte("late"))
		require.NoError(t, err)
		require.False(t, done, "what lies there now is newer")
	}
	doc, err := s.Get(ctx, rows[0].Key)
	require.NoError(t, err)
	require.Equal(t, "anew credentials 1", string(doc.Sealed))
	require.Equal(t, []int64{1, 1}, []int64{doc.Version, doc.Generation}, "the credentials are the same")
	other, err := s.Get(ctx, rows[2].Key)
	require.NoError(t, err)
	require.Equal(t, "anew credentials 1", string(other.Sealed))
	token, err := s.Token(ctx, "acme", "main")
	require.NoError(t, err, "so their token still counts")
	require.Equal(t, "anew token of acme", string(token.Sealed))
	after, err := s.Revision(ctx)
	require.NoError(t, err)
	require.Equal(t, revision, after)
	require.NoError(t, s.RaiseRevision(ctx))
	after, err = s.Revision(ctx)
	require.NoError(t, err)
	require.Equal(t, revision+1, after)
}

func sealedBesideGrants(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	s, ctx := open(t), t.Context()
	key := setupConnection(t, s, "acme")
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 20 {
			token := newToken("token", fmt.Sprint("rotated ", n))
			token.Generation = int64(n) + 1
			if err := s.SaveToken(ctx, token); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 20 {
			rows, err := s.SealedRows(ctx, store.SealedDocuments, store.Key{}, 10)
			if err != nil {
				t.Error(err)
			}
			for _, row := range rows {
				if _, err := s.ReplaceSealed(ctx, row, append([]byte("!"), row.Sealed...)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	doc, err := s.Get(ctx, key)
	require.NoError(t, err)
	require.Equal(t, int64(21), doc.Generation)
	require.Contains(t, string(doc.Sealed), "rotated 19", "the newest grant is there, whoever came last")
}

func destruction(t *testing.T, open Open) {
	t.Run("TakesEverythingSealedOfOneWorkspace", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		sealedValues(t, s)
		destroy := save("acme", store.KindWorkspace, "acme", 1, "destroyed")
		destroy.At = epoch.Add(time.Hour)
		stale := destroy
		stale.Expected = 4
		require.ErrorIs(t, s.DestroyKeys(ctx, stale), store.ErrStale)
		require.ErrorIs(t, s.DestroyKeys(ctx, save("nobody", store.KindWorkspace, "nobody", 1, "")), store.ErrNotFound)
		require.Len(t, readSealed(t, s, 10), 5, "what was refused destroyed nothing")

		before, err := s.Revision(ctx)
		require.NoError(t, err)
		require.NoError(t, s.DestroyKeys(ctx, destroy))
		for _, row := range readSealed(t, s, 10) {
			require.Equal(t, "globex", row.Workspace)
		}
		_, err = s.Token(ctx, "acme", "main")
		require.ErrorIs(t, err, store.ErrNotFound)
		after, err := s.Revision(ctx)
		require.NoError(t, err)
		require.Equal(t, before+1, after, "watchers hear of it")
		history, err := s.History(ctx, destroy.Key)
		require.NoError(t, err)
		require.Len(t, history, 2)
		require.Equal(t, "tester", history[1].SavedBy)
		require.Equal(t, destroy.At, history[1].SavedAt)

		late := newToken("late", "rotated")
		require.ErrorIs(t, s.SaveToken(ctx, late), store.ErrStale, "a token that was being got finds no place")
		require.NoError(t, s.DestroyKeys(ctx, destroy), "again is no error")
		doc, err := s.Get(ctx, destroy.Key)
		require.NoError(t, err)
		require.Equal(t, int64(2), doc.Version, "and no version")
		require.Empty(t, doc.Sealed)
	})
}

func sealedLogins(t *testing.T, open Open) {
	t.Helper()
	t.Parallel()
	s, ctx := open(t), t.Context()
	login := flow("acme", "f1")
	login.Sealed = []byte("a login")
	require.NoError(t, s.CreateFlow(ctx, login))
	over := flow("globex", "f2")
	over.Sealed = []byte("another")
	require.NoError(t, s.CreateFlow(ctx, over))
	done := ended(over)
	done.Sealed = nil
	require.NoError(t, s.MoveFlow(ctx, over, done, &store.Revocation{ID: "r1", Workspace: "globex", Connection: "main", Sealed: []byte("a token"), NextAt: epoch, CreatedAt: epoch}))

	for table, want := range map[store.SealedTable]string{store.SealedFlows: "acme/f1 a login", store.SealedRevocations: "globex/r1 a token"} {
		rows, err := s.SealedRows(ctx, table, store.Key{}, 10)
		require.NoError(t, err)
		require.Len(t, rows, 1, table)
		require.Equal(t, want, rows[0].Workspace+"/"+rows[0].ID+" "+string(rows[0].Sealed))
		replaced, err := s.ReplaceSealed(ctx, rows[0], []byte("anew"))
		require.NoError(t, err)
		require.True(t, replaced, table)
		replaced, err = s.ReplaceSealed(ctx, rows[0], []byte("late"))
		require.NoError(t, err)
		require.False(t, replaced, "what has changed since stays")
		rows, err = s.SealedRows(ctx, table, rows[0].Key, 10)
		require.NoError(t, err)
		require.Empty(t, rows)
	}
}
