package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func legalHolds(t *testing.T, open Open) {
	t.Run("SpareAWorkspacesAuditLogAndHistory", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		for _, workspace := range []string{"acme", "globex", "held"} {
			for version := range int64(2) {
				require.NoError(t, s.Put(ctx, save(workspace, store.KindContent, "v", version, fmt.Sprint("body ", version+1))))
			}
		}
		later := store.Purge{Before: epoch.Add(time.Hour), Limit: 100, Except: []string{"held", "acme"}}
		for _, purge := range []func(context.Context, store.Purge) (int64, error){s.PurgeHistory, s.PurgeAudit} {
			_, err := purge(ctx, later)
			require.NoError(t, err)
		}
		for workspace, want := range map[string]int{"acme": 2, "held": 2, "globex": 1} {
			versions, err := s.History(ctx, store.Key{Workspace: workspace, Kind: store.KindContent, ID: "v"})
			require.NoError(t, err)
			require.Len(t, versions, want, workspace)
			entries, err := s.AuditEntries(ctx, store.AuditQuery{Workspace: workspace, Limit: 10})
			require.NoError(t, err)
			require.Len(t, entries, 2*(want-1), workspace)
		}
	})
}
