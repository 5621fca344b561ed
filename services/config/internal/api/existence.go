package api

import (
	"context"
	"errors"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Workspaces knows which workspaces there are. One that is there stays, also when its keys are destroyed, so that each is looked up
// once. Safe for concurrent use.
type Workspaces struct {
	// Documents is where they are looked up.
	Documents interface {
		Get(ctx context.Context, key store.Key) (store.Document, error)
	}

	known sync.Map // by id
}

// require fails with NOT_FOUND if there is no such workspace. An empty answer could as well be that of one in which nothing
// happened yet, and its id misspelt.
func (w *Workspaces) require(ctx context.Context, workspace string) error {
	if _, ok := w.known.Load(workspace); ok {
		return nil
	}
	if strings.ContainsRune(workspace, 0) {
		return nil // no store can be asked for it; validation refuses it
	}
	_, err := w.Documents.Get(ctx, workspaceKey(workspace))
	if errors.Is(err, store.ErrNotFound) {
		return noWorkspace(workspace)
	}
	if err == nil {
		w.known.Store(workspace, true)
	}
	return err
}

// noWorkspace is told wherever there is no workspace of an id.
func noWorkspace(id string) error {
	return status.Errorf(codes.NotFound,
		"there is no workspace %.100q: ListWorkspaces (throughline workspaces) lists them, PutWorkspace (throughline apply) makes one", id)
}
