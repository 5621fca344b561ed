package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

const (
	owner  = store.RoleOwner
	viewer = 5
)

func by(actor string) store.Act {
	return store.Act{Actor: actor, Role: "owner", Action: "Test", Reason: "因為", At: epoch, Changes: []byte("changes")}
}

func member(id string, role int32, version int64) store.Member {
	return store.Member{Workspace: "acme", ID: id, Name: id, Role: role, Subject: "sub-" + id, Version: version}
}

// withWorkspace opens a store that has workspace acme.
func withWorkspace(t *testing.T, open Open) *store.Store {
	t.Helper()
	s := open(t)
	require.NoError(t, s.Put(t.Context(), save("acme", store.KindWorkspace, "acme", 0, "acme")))
	return s
}

func members(t *testing.T, open Open) {
	t.Run("AreAddedChangedAndRemoved", func(t *testing.T) {
		t.Parallel()
		s, ctx := withWorkspace(t, open), t.Context()
		require.ErrorIs(t, s.PutMember(ctx, store.Member{Workspace: "nowhere", ID: "aoi"}, by("x")), store.ErrNotFound)
		require.NoError(t, s.PutMember(ctx, member("aoi", owner, 0), by("x")))
		require.ErrorIs(t, s.PutMember(ctx, member("aoi", owner, 0), by("x")), store.ErrStale)
		invited := store.Member{Workspace: "acme", ID: "ren", Name: "Ren", Role: viewer, EmailHash: []byte("hash")}
		require.NoError(t, s.PutMember(ctx, invited, by("x")))
		open, err := s.Invited(ctx, 10)
		require.NoError(t, err)
		invited.Version = 1
		require.Equal(t, []store.Member{invited}, open)

		invited.Subject, invited.EmailHash = "sub-ren", nil
		require.NoError(t, s.PutMember(ctx, invited, by("x")))
		require.ErrorIs(t, s.PutMember(ctx, invited, by("x")), store.ErrStale)
		require.ErrorIs(t, s.PutMember(ctx, member("ren2", owner, 7), by("x")), store.ErrNotFound)
		taken := member("other", viewer, 0)
		taken.Subject = "sub-ren"
		require.ErrorIs(t, s.PutMember(ctx, taken, by("x")), store.ErrTaken)
		of, err := s.MembersOf(ctx, "sub-ren")
		require.NoError(t, err)
		require.Len(t, of, 1)
		open, err = s.Invited(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, open)

		stale := of[0]
		stale.Version = 1
		require.ErrorIs(t, s.RemoveMember(ctx, stale, by("x")), store.ErrStale)
		require.NoError(t, s.RemoveMember(ctx, of[0], by("x")))
		require.ErrorIs(t, s.RemoveMember(ctx, of[0], by("x")), store.ErrNotFound)
		all, err := s.Members(ctx, "acme")
		require.NoError(t, err)
		require.Len(t, all, 1)
		none, err := s.Members(ctx, "globex")
		require.NoError(t, err)
		require.Empty(t, none)
	})

	t.Run("AlwaysHaveAnOwnerOnceTheyHadOne", func(t *testing.T) {
		t.Parallel()
		s, ctx := withWorkspace(t, open), t.Context()
		require.NoError(t, s.PutMember(ctx, member("ren", viewer, 0), by("x")), "the first need not be an owner")
		require.NoError(t, s.PutMember(ctx, member("aoi", owner, 0), by("x")))
		require.ErrorIs(t, s.PutMember(ctx, member("aoi", viewer, 1), by("x")), store.ErrLastOwner)
		require.ErrorIs(t, s.RemoveMember(ctx, member("aoi", owner, 1), by("x")), store.ErrLastOwner)
		still, err := s.Member(ctx, "acme", "aoi")
		require.NoError(t, err)
		require.Equal(t, member("aoi", owner, 1), still, "what was refused changes nothing")
		require.NoError(t, s.PutMember(ctx, member("ren", owner, 1), by("x")))
		require.NoError(t, s.PutMember(ctx, member("aoi", viewer, 1), by("x")))
		require.ErrorIs(t, s.RemoveMember(ctx, member("ren", owner, 2), by("x")), store.ErrLastOwner)
	})
}

// ownersLeaving lets every owner go at once: one has to stay, whoever it is.
func ownersLeaving(t *testing.T, open Open) {
	s, ctx := withWorkspace(t, open), t.Context()
	const n = 8
	for i := range n {
		require.NoError(t, s.PutMember(ctx, member(fmt.Sprint("m", i), owner, 0), by("x")))
	}
	var wg sync.WaitGroup
	results := make([]error, n)
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprint("m", i)
			if i%2 == 0 {
				results[i] = s.RemoveMember(ctx, member(id, owner, 1), by(id))
			} else {
				results[i] = s.PutMember(ctx, member(id, viewer, 1), by(id))
			}
		})
	}
	wg.Wait()
	refused := 0
	for _, err := range results {
		if err != nil {
			require.ErrorIs(t, err, store.ErrLastOwner)
			refused++
		}
	}
	require.Equal(t, 1, refused)
	all, err := s.Members(ctx, "acme")
	require.NoError(t, err)
	owners := 0
	for _, m := range all {
		if m.Role == owner {
			owners++
		}
	}
	require.Equal(t, 1, owners)
}

func operators(t *testing.T, open Open) {
	t.Run("SeeAWorkspaceFromGrantToExpiryOrRevocation", func(t *testing.T) {
		t.Parallel()
		s, ctx := withWorkspace(t, open), t.Context()
		grant := store.OperatorAccess{
			Workspace: "acme", ID: "g1", Operator: "ken", Reason: "case 7", GrantedBy: "aoi", GrantedAt: epoch, ExpiresAt: epoch.Add(time.Hour),
		}
		nowhere := grant
		nowhere.Workspace = "nowhere"
		require.ErrorIs(t, s.GrantOperatorAccess(ctx, nowhere, by("aoi")), store.ErrNotFound)
		require.NoError(t, s.GrantOperatorAccess(ctx, grant, by("aoi")))
		sees := func(operator string, at time.Time) []string {
			out, err := s.OpenTo(ctx, operator, at)
			require.NoError(t, err)
			return out
		}
		require.Equal(t, []string{"acme"}, sees("ken", epoch))
		require.Empty(t, sees("mallory", epoch))
		require.Empty(t, sees("ken", epoch.Add(time.Hour)))

		_, err := s.RevokeOperatorAccess(ctx, "globex", "g1", by("x"))
		require.ErrorIs(t, err, store.ErrNotFound)
		later := by("aoi")
		later.At = epoch.Add(time.Minute)
		revoked, err := s.RevokeOperatorAccess(ctx, "acme", "g1", later)
		require.NoError(t, err)
		require.Equal(t, later.At, revoked.RevokedAt)
		require.Empty(t, sees("ken", later.At))
		later.At = epoch.Add(2 * time.Minute)
		again, err := s.RevokeOperatorAccess(ctx, "acme", "g1", later)
		require.NoError(t, err)
		require.Equal(t, revoked, again, "revoking again changes nothing")
		all, err := s.OperatorAccess(ctx, "acme", 10)
		require.NoError(t, err)
		require.Equal(t, []store.OperatorAccess{revoked}, all)
		entries, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: "acme", Kind: "operator", Limit: 10})
		require.NoError(t, err)
		require.Len(t, entries, 2)
	})
}

func sessions(t *testing.T, open Open) {
	t.Run("LetInUntilTheyExpireOrEnd", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		session := store.Session{Hash: []byte("h1"), Kind: store.SessionUser, Name: "aoi", Subject: "sub", ExpiresAt: epoch.Add(time.Hour)}
		require.NoError(t, s.AddSession(ctx, session, 2, by("aoi")))
		got, err := s.Session(ctx, session.Hash, epoch)
		require.NoError(t, err)
		require.Equal(t, session, got)
		_, err = s.Session(ctx, session.Hash, session.ExpiresAt)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.Session(ctx, []byte("h2"), epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.EndSession(ctx, session.Hash, by("aoi")))
		require.NoError(t, s.EndSession(ctx, session.Hash, by("aoi")))
		_, err = s.Session(ctx, session.Hash, epoch)
		require.ErrorIs(t, err, store.ErrNotFound)
	})

	t.Run("AreOfAPersonASetNumber", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for i := range 4 {
			session := store.Session{
				Hash: []byte{byte(i)}, Kind: store.SessionUser, Name: "aoi", Subject: "sub", ExpiresAt: epoch.Add(time.Duration(i+1) * time.Hour),
			}
			require.NoError(t, s.AddSession(ctx, session, 2, by("aoi")))
			session.Hash, session.Subject = []byte{byte(i), 1}, fmt.Sprint("other", i)
			require.NoError(t, s.AddSession(ctx, session, 2, by("aoi")))
		}
		for i := range 4 {
			_, err := s.Session(ctx, []byte{byte(i)}, epoch)
			require.Equal(t, i < 2, errors.Is(err, store.ErrNotFound), i)
			_, err = s.Session(ctx, []byte{byte(i), 1}, epoch)
			require.NoError(t, err, "others keep theirs")
		}
	})
}

func links(t *testing.T, open Open) {
	t.Run("ComeFromALinkOnce", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		link := store.Session{Hash: []byte("l"), Kind: store.SessionLink, Name: "link", ExpiresAt: epoch.Add(time.Minute)}
		require.NoError(t, s.AddSession(ctx, link, 2, by("config")))
		_, err := s.Session(ctx, link.Hash, epoch)
		require.ErrorIs(t, err, store.ErrNotFound, "a link lets nobody in by itself")
		late := by("x")
		late.At = epoch.Add(time.Minute)
		require.ErrorIs(t, s.RedeemLink(ctx, link.Hash, store.Session{Hash: []byte("late"), Kind: store.SessionUser}, late), store.ErrNotFound)
		var wg sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			wg.Go(func() {
				results[i] = s.RedeemLink(ctx, link.Hash, store.Session{
					Hash: []byte{byte(i)}, Kind: store.SessionUser, Name: "admin", ExpiresAt: epoch.Add(time.Hour),
				}, by("x"))
			})
		}
		wg.Wait()
		won := 0
		for i, err := range results {
			_, found := s.Session(ctx, []byte{byte(i)}, epoch)
			if err == nil {
				won++
				require.NoError(t, found)
				continue
			}
			require.ErrorIs(t, err, store.ErrNotFound)
			require.ErrorIs(t, found, store.ErrNotFound)
		}
		require.Equal(t, 1, won)
		require.NoError(t, s.PurgeSessions(ctx, epoch.Add(time.Hour)))
	})
}

func audit(t *testing.T, open Open) {
	t.Run("IsWrittenWithTheChangeOrNotAtAll", func(t *testing.T) {
		t.Parallel()
		s, ctx := withWorkspace(t, open), t.Context()
		change := save("acme", store.KindContent, "v", 0, "one")
		change.Role, change.Action, change.Reason, change.Changes = "admin", "PutContentSetting", "why", []byte("fields")
		require.NoError(t, s.Put(ctx, change))
		require.ErrorIs(t, s.Put(ctx, change), store.ErrStale)
		require.NoError(t, s.PutMember(ctx, member("aoi", owner, 0), by("root")))
		require.ErrorIs(t, s.PutMember(ctx, member("aoi", viewer, 1), by("root")), store.ErrLastOwner)
		entries, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, entries, 3, "two changes and the workspace; nothing of what was refused")
		require.Equal(t, by("root"), entries[0].Act)
		require.Equal(t, "member", entries[0].Kind)
		entry := entries[1]
		require.Equal(t, store.AuditEntry{
			Act: store.Act{Actor: "tester", Role: "admin", Action: "PutContentSetting", Reason: "why", At: epoch, Changes: []byte("fields")},
			Seq: entry.Seq, Workspace: "acme", Kind: "content", Target: "v", Version: 1,
		}, entry)
		none, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: "globex", Limit: 10})
		require.NoError(t, err)
		require.Empty(t, none)
	})

	t.Run("IsFoundByWhoWhatAndWhenInPages", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for i := range 10 {
			change := save("acme", store.KindContent, fmt.Sprint("v", i), 0, "one")
			change.Author, change.Action, change.At = fmt.Sprint("actor", i%2), fmt.Sprint("Put", i%5), epoch.Add(time.Duration(i)*time.Hour)
			require.NoError(t, s.Put(ctx, change))
		}
		targets := func(q store.AuditQuery) []string {
			q.Workspace = "acme"
			if q.Limit == 0 {
				q.Limit = 100
			}
			entries, err := s.AuditEntries(ctx, q)
			require.NoError(t, err)
			var out []string
			for _, e := range entries {
				out = append(out, e.Target)
			}
			return out
		}
		require.Equal(t, []string{"v9", "v7", "v5", "v3", "v1"}, targets(store.AuditQuery{Actor: "actor1"}))
		require.Equal(t, []string{"v8"}, targets(store.AuditQuery{Actor: "actor0", Action: "Put3"}))
		require.Equal(t, []string{"v4"}, targets(store.AuditQuery{Kind: "content", Target: "v4"}))
		require.Empty(t, targets(store.AuditQuery{Kind: "member"}))
		require.Equal(t, []string{"v3", "v2"}, targets(store.AuditQuery{From: epoch.Add(2 * time.Hour), To: epoch.Add(4 * time.Hour)}))
		first, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: "acme", Limit: 4})
		require.NoError(t, err)
		require.Equal(t, []string{"v5", "v4", "v3"}, targets(store.AuditQuery{Before: first[3].Seq, Limit: 3}))
	})
}

func auditAge(t *testing.T, open Open) {
	t.Run("ForgetsWhatIsTooOld", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for i := range 5 {
			change := save("acme", store.KindContent, fmt.Sprint("v", i), 0, "one")
			change.At = epoch.Add(time.Duration(i) * time.Hour)
			require.NoError(t, s.Put(ctx, change))
		}
		n, err := s.PurgeAudit(ctx, store.Purge{Before: epoch.Add(3 * time.Hour), Limit: 2})
		require.NoError(t, err)
		require.Equal(t, int64(2), n)
		n, err = s.PurgeAudit(ctx, store.Purge{Before: epoch.Add(3 * time.Hour), Limit: 2})
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
		entries, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, entries, 2)
	})

	t.Run("KeepsTheVersionsInForce", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-24")
		s, ctx := open(t), t.Context()
		for i := range int64(5) { // version i+1 is saved at hour i, and replaced at hour i+1
			change := save("acme", store.KindIntegration, "rule", i, fmt.Sprint("body ", i+1))
			change.At = epoch.Add(time.Duration(i) * time.Hour)
			require.NoError(t, s.Put(ctx, change))
		}
		require.NoError(t, s.Put(ctx, save("acme", store.KindContent, "v", 0, "old and in force")))
		n, err := s.PurgeHistory(ctx, store.Purge{Before: epoch.Add(150 * time.Minute), Limit: 1})
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
		n, err = s.PurgeHistory(ctx, store.Purge{Before: epoch.Add(150 * time.Minute), Limit: 100})
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
		n, err = s.PurgeHistory(ctx, store.Purge{Before: epoch.Add(1000 * time.Hour), Limit: 100})
		require.NoError(t, err)
		require.Equal(t, int64(2), n, "all but the newest")
		for kind, id := range map[store.Kind]string{store.KindIntegration: "rule", store.KindContent: "v"} {
			left, err := s.History(ctx, store.Key{Workspace: "acme", Kind: kind, ID: id})
			require.NoError(t, err)
			require.Len(t, left, 1)
		}
	})

	t.Run("TellsWhyAVersionWasSaved", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-24")
		s, ctx := open(t), t.Context()
		for i := range int64(5) {
			change := save("acme", store.KindIntegration, "rule", i, fmt.Sprint("body ", i+1))
			change.Reason = fmt.Sprint("because ", i+1)
			require.NoError(t, s.Put(ctx, change))
		}
		key := store.Key{Workspace: "acme", Kind: store.KindIntegration, ID: "rule"}
		page, err := s.HistoryPage(ctx, key, 0, 2)
		require.NoError(t, err)
		require.Len(t, page, 2)
		require.Equal(t, int64(5), page[0].Version)
		require.Equal(t, "body 5", string(page[0].Body))
		require.Equal(t, "because 5", page[0].Reason)
		page, err = s.HistoryPage(ctx, key, 4, 10)
		require.NoError(t, err)
		require.Len(t, page, 3)
		_, err = s.PurgeAudit(ctx, store.Purge{Before: epoch.Add(time.Hour), Limit: 100})
		require.NoError(t, err)
		page, err = s.HistoryPage(ctx, key, 0, 2)
		require.NoError(t, err)
		require.Empty(t, page[0].Reason)
	})
}
