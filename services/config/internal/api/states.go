package api

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

const (
	defaultHistory = 50
	// defaultHold is how long an operator's decision stands if nothing is said.
	defaultHold = 24 * time.Hour
)

// ListConnectionHistory implements configv1.ConnectServiceServer.
func (s *Server) ListConnectionHistory(ctx context.Context, req *configv1.ListConnectionHistoryRequest) (*configv1.ListConnectionHistoryResponse, error) {
	if err := s.requireConnection(ctx, req.GetWorkspace(), req.GetConnection()); err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = defaultHistory
	}
	history, err := s.deps.States.StateHistory(ctx, req.GetWorkspace(), req.GetConnection(), limit)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListConnectionHistoryResponse{}
	for _, c := range history {
		resp.Changes = append(resp.Changes, &configv1.StateChange{From: c.From, To: c.To.Message(), Manual: c.Manual})
	}
	return resp, nil
}

// OverrideState implements configv1.ConnectServiceServer. Only operators, who are administrators of all workspaces, get here.
func (s *Server) OverrideState(ctx context.Context, req *configv1.OverrideStateRequest) (*configv1.OverrideStateResponse, error) {
	if err := s.requireConnection(ctx, req.GetWorkspace(), req.GetConnection()); err != nil {
		return nil, err
	}
	hold := defaultHold
	if req.Hold != nil {
		hold = req.GetHold().AsDuration()
	}
	next, _, err := s.deps.Keeper.Change(ctx, lifecycle.Key{Workspace: req.GetWorkspace(), Connection: req.GetConnection()}, connstate.Change{
		To: req.GetState(), Reason: req.GetReason(), Cause: req.GetNote(), Actor: auth.FromContext(ctx).Name, Manual: true, Hold: hold,
	})
	if err == nil {
		err = s.auditOverride(ctx, req)
	}
	if errors.Is(err, connstate.ErrIllegal) {
		return nil, status.Error(codes.FailedPrecondition, connstate.ErrIllegal.Error()+" to "+connstate.Name(req.GetState())+
			": connect or check it first")
	}
	return &configv1.OverrideStateResponse{Status: next.Message()}, err
}

// auditOverride writes down who decided, besides what the connection's history tells.
func (s *Server) auditOverride(ctx context.Context, req *configv1.OverrideStateRequest) error {
	found := changes.Between(nil, req, "workspace", "connection", "note")
	act, err := actOf(because(ctx, req.GetNote()), s.deps.Clock.Now(), found)
	if err != nil {
		return err
	}
	return s.deps.Persons.AddAudit(ctx, store.AuditEntry{
		Act: act, Workspace: req.GetWorkspace(), Kind: "connection_state", Target: req.GetConnection(),
	})
}

// requireConnection fails with NOT_FOUND if the workspace has no such connection.
func (s *Server) requireConnection(ctx context.Context, workspace, connection string) error {
	_, err := s.deps.Documents.Get(ctx, store.Key{Workspace: workspace, Kind: store.KindConnection, ID: connection})
	return err
}
