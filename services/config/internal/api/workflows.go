package api

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Workflows implements configv1.WorkflowServiceServer (IMM-16). What is said of Server holds here too.
type Workflows struct {
	configv1.UnimplementedWorkflowServiceServer
	docs *Server
}

// NewWorkflows returns a server.
func NewWorkflows(docs *Server) *Workflows { return &Workflows{docs: docs} }

// ListWorkflows implements configv1.WorkflowServiceServer.
func (w *Workflows) ListWorkflows(ctx context.Context, req *configv1.ListWorkflowsRequest) (*configv1.ListWorkflowsResponse, error) {
	all, err := w.docs.integrations(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	out := &configv1.ListWorkflowsResponse{}
	for _, i := range all {
		switch {
		case len(i.GetContentIds()) == 0:
			out.General = append(out.General, i)
		case slices.Contains(i.GetContentIds(), req.GetContentId()):
			out.Own = append(out.Own, i)
		}
	}
	return out, nil
}

// CopyIntegration implements configv1.WorkflowServiceServer.
func (w *Workflows) CopyIntegration(ctx context.Context, req *configv1.CopyIntegrationRequest) (*configv1.CopyIntegrationResponse, error) {
	original, err := w.docs.integration(ctx, req.GetWorkspace(), req.GetIntegration())
	if err != nil {
		return nil, err
	}
	copied := copyOf(original, req.GetNewId(), req.GetContentIds())
	if req.GetName() != "" {
		copied.Name = req.GetName()
	}
	switch _, err := w.docs.integration(ctx, req.GetWorkspace(), copied.GetId()); {
	case err == nil:
		return nil, status.Errorf(codes.AlreadyExists, "workspace %q has an integration %q: choose another id for the copy", req.GetWorkspace(), copied.GetId())
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	saved, err := w.docs.PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: copied})
	if err != nil {
		return nil, err
	}
	return &configv1.CopyIntegrationResponse{Integration: saved.GetIntegration(), Notes: saved.GetNotes()}, nil
}

// copyOf returns an integration that does the same for other contents, from now on.
func copyOf(original *configv1.Integration, id string, contents []string) *configv1.Integration {
	copied := proto.CloneOf(original)
	copied.Id, copied.ContentIds = id, contents
	copied.Version, copied.EffectiveFrom = 0, nil
	return copied
}

// DeleteIntegration implements configv1.WorkflowServiceServer.
func (w *Workflows) DeleteIntegration(ctx context.Context, req *configv1.DeleteIntegrationRequest) (*configv1.DeleteIntegrationResponse, error) {
	if err := w.docs.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	i, err := w.docs.integration(ctx, req.GetWorkspace(), req.GetIntegration())
	if err != nil {
		return nil, err
	}
	if i.GetVersion() != req.GetExpectedVersion() {
		return nil, store.ErrStale
	}
	w.end(i)
	if err := w.save(ctx, i); err != nil {
		return nil, err
	}
	return &configv1.DeleteIntegrationResponse{Version: i.GetVersion()}, nil
}

// RemoveContent implements configv1.WorkflowServiceServer.
func (w *Workflows) RemoveContent(ctx context.Context, req *configv1.RemoveContentRequest) (*configv1.RemoveContentResponse, error) {
	if err := w.docs.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	all, err := w.docs.integrations(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	out := &configv1.RemoveContentResponse{}
	var changed []*configv1.Integration
	for _, i := range all {
		if !slices.Contains(i.GetContentIds(), req.GetContentId()) {
			continue
		}
		changed = append(changed, i)
		if len(i.GetContentIds()) == 1 { // without any it would apply to all contents
			w.end(i)
			out.Deleted = append(out.Deleted, i.GetId())
			continue
		}
		i.ContentIds = slices.DeleteFunc(i.GetContentIds(), func(id string) bool { return id == req.GetContentId() })
		out.Kept = append(out.Kept, i.GetId())
	}
	return out, w.save(ctx, changed...)
}

// end makes of an integration the version that ends it.
func (w *Workflows) end(i *configv1.Integration) {
	i.Enabled, i.DeletedAt = false, timestamppb.New(w.docs.deps.Clock.Now())
}

// save saves new versions of integrations that were valid, all or none.
func (w *Workflows) save(ctx context.Context, changed ...*configv1.Integration) error {
	saves := make([]store.Save, len(changed))
	for n, i := range changed {
		var err error
		if saves[n], err = w.docs.versionOf(ctx, i); err != nil {
			return err
		}
	}
	if err := w.docs.deps.Documents.PutAll(ctx, saves); err != nil {
		return err
	}
	w.docs.judge(ctx, changed...)
	return nil
}

// afterDeletion lets an integration of the id of a deleted one follow it: its history goes on.
func (s *Server) afterDeletion(ctx context.Context, next *configv1.Integration) error {
	if next.GetDeletedAt() != nil {
		var v violations
		v.add("integration.deleted_at", "this version is the end of the integration; restore an earlier one, or delete it with DeleteIntegration")
		return v.err()
	}
	if next.GetVersion() != 0 {
		return nil
	}
	old := &configv1.Integration{}
	_, err := s.load(ctx, integrationKey(next), old)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if old.GetDeletedAt() != nil {
		next.Version, next.EffectiveFrom = old.GetVersion(), nil
	}
	return err
}
