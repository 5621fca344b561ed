package api

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// asked has one workspace, and counts how often it is asked.
type asked struct {
	there string
	away  error
	times int
}

func (a *asked) Get(_ context.Context, key store.Key) (store.Document, error) {
	a.times++
	if a.away != nil {
		return store.Document{}, a.away
	}
	if key.Workspace != a.there {
		return store.Document{}, store.ErrNotFound
	}
	return store.Document{}, nil
}

// Thousands of calls about a workspace, of services for tokens, cost one look.
func TestAWorkspaceIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	docs := &asked{there: "acme", away: errors.New("away")}
	w := &Workspaces{Documents: docs}
	require.ErrorIs(t, w.require(t.Context(), "acme"), docs.away)
	docs.away = nil
	for range 3 {
		require.NoError(t, w.require(t.Context(), "acme"))
	}
	require.Equal(t, 2, docs.times)
	require.Equal(t, codes.NotFound, status.Code(w.require(t.Context(), "globex")))
	docs.there = "globex"
	require.NoError(t, w.require(t.Context(), "globex"), "it was made meanwhile")
	require.NoError(t, w.require(t.Context(), "acme"))
}
