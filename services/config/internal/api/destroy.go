package api

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Destroyer makes a workspace's sealed values unreadable; see store.Store.
type Destroyer interface {
	DestroyKeys(ctx context.Context, save store.Save) error
}

// DestroyWorkspaceKeys implements configv1.KeyServiceServer. The workspace's settings stay, without keys: it is in no snapshot
// any more, and nothing new is kept for it. Calling it again finishes what a crash interrupted.
func (s *KeyServer) DestroyWorkspaceKeys(ctx context.Context, req *configv1.DestroyWorkspaceKeysRequest) (*configv1.DestroyWorkspaceKeysResponse, error) {
	workspace := req.GetWorkspace()
	if req.GetConfirm() != workspace {
		var v violations
		v.add("confirm", "want the workspace's id, %q: nothing of it can ever be read again", workspace)
		return nil, v.err()
	}
	doc, err := s.deps.Documents.Get(ctx, workspaceKey(workspace))
	if err != nil {
		return nil, err
	}
	ws := &configv1.Workspace{}
	if err := decode(doc, ws); err != nil {
		return nil, err
	}
	if ws.GetRetention().GetLegalHold() {
		return nil, status.Errorf(codes.FailedPrecondition,
			"workspace %s is under a legal hold: take that back first (retention.legal_hold)", workspace)
	}
	save, err := s.next(ctx, doc)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Destroyer.DestroyKeys(ctx, save); err != nil {
		return nil, err
	}
	at := save.At
	if len(doc.Sealed) == 0 {
		at = doc.SavedAt
	}
	s.deps.Logger.WarnContext(ctx, "the workspace's keys were destroyed: what was sealed for it can never be read again",
		"workspace", workspace, "by", save.Author)
	return &configv1.DestroyWorkspaceKeysResponse{DestroyedAt: timestamppb.New(at)}, s.endConnections(ctx, workspace, save.Author)
}

// endConnections notes that no connection of the workspace holds anything any more.
func (s *KeyServer) endConnections(ctx context.Context, workspace, actor string) error {
	docs, err := s.deps.Documents.List(ctx, workspace, store.KindConnection)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		_, _, err := s.deps.Keeper.ChangeIfLegal(ctx, lifecycle.Key{Workspace: workspace, Connection: doc.ID}, connstate.Change{
			To: connstate.Disconnected, Cause: lifecycle.CauseKeysDestroyed, Actor: actor,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
