package api

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Versions reads old versions of settings.
type Versions interface {
	GetVersion(ctx context.Context, key store.Key, version int64) (store.Document, error)
	// HistoryPage reads up to limit versions before one (0: from the newest), newest first, with why they were saved.
	HistoryPage(ctx context.Context, key store.Key, before int64, limit int) ([]store.Version, error)
}

// History implements configv1.IntegrationHistoryServiceServer. What is said of Server holds here too.
type History struct {
	configv1.UnimplementedIntegrationHistoryServiceServer
	versions Versions
	docs     *Server
	reports  *Reports
	validate func(request any) error
}

// NewHistory returns a server. validate checks a request as the gate does.
func NewHistory(versions Versions, docs *Server, reports *Reports, validate func(request any) error) *History {
	return &History{versions: versions, docs: docs, reports: reports, validate: validate}
}

// ListIntegrationVersions implements configv1.IntegrationHistoryServiceServer.
func (h *History) ListIntegrationVersions(ctx context.Context, req *configv1.ListIntegrationVersionsRequest) (*configv1.ListIntegrationVersionsResponse, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	key := store.Key{Workspace: req.GetWorkspace(), Kind: store.KindIntegration, ID: req.GetIntegration()}
	// One more: the last of the page is compared with it, too.
	rows, err := h.versions.HistoryPage(ctx, key, req.GetBeforeVersion(), size+1)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 && req.GetBeforeVersion() == 0 {
		return nil, store.ErrNotFound
	}
	decoded := make([]*configv1.Integration, len(rows))
	for i, row := range rows {
		decoded[i] = &configv1.Integration{}
		if err := decode(row.Document, decoded[i]); err != nil {
			return nil, err
		}
	}
	resp := &configv1.ListIntegrationVersionsResponse{}
	for i, row := range rows[:min(size, len(rows))] {
		v := &configv1.IntegrationVersion{
			Version: row.Version, SavedAt: timestamppb.New(row.SavedAt), SavedBy: row.SavedBy, Reason: row.Reason,
			EffectiveFrom: decoded[i].GetEffectiveFrom(),
		}
		if i+1 < len(rows) {
			v.Changed = changes.Paths(difference(decoded[i+1], decoded[i]))
		}
		resp.Versions = append(resp.Versions, v)
	}
	if len(rows) > size {
		resp.NextBeforeVersion = rows[size-1].Version
	}
	return resp, nil
}

// difference leaves out what every save changes.
func difference(before, after *configv1.Integration) []*configv1.FieldChange {
	return changes.Between(before, after, "version", "effective_from")
}

// DiffIntegrationVersions implements configv1.IntegrationHistoryServiceServer.
func (h *History) DiffIntegrationVersions(ctx context.Context, req *configv1.DiffIntegrationVersionsRequest) (*configv1.DiffIntegrationVersionsResponse, error) {
	of := &configv1.Integration{Workspace: req.GetWorkspace(), Id: req.GetIntegration()}
	before, after := &configv1.Integration{}, &configv1.Integration{}
	if err := h.version(ctx, of, req.GetFromVersion(), before); err != nil {
		return nil, err
	}
	if req.GetToVersion() == 0 {
		if _, err := h.docs.load(ctx, integrationKey(of), after); err != nil {
			return nil, err
		}
	} else if err := h.version(ctx, of, req.GetToVersion(), after); err != nil {
		return nil, err
	}
	return &configv1.DiffIntegrationVersionsResponse{Changes: difference(before, after), ToVersion: after.GetVersion()}, nil
}

func (h *History) version(ctx context.Context, of *configv1.Integration, version int64, out *configv1.Integration) error {
	doc, err := h.versions.GetVersion(ctx, integrationKey(of), version)
	if errors.Is(err, store.ErrNotFound) {
		return status.Errorf(codes.NotFound, "integration %q has no version %d", of.GetId(), version)
	}
	if err != nil {
		return err
	}
	return decode(doc, out)
}

// RollBackIntegration implements configv1.IntegrationHistoryServiceServer. It goes the way of every other save, so what no
// longer validates is refused and told.
func (h *History) RollBackIntegration(ctx context.Context, req *configv1.RollBackIntegrationRequest) (*configv1.RollBackIntegrationResponse, error) {
	of := &configv1.Integration{Workspace: req.GetWorkspace(), Id: req.GetIntegration()}
	old, newest := &configv1.Integration{}, &configv1.Integration{}
	if _, err := h.docs.load(ctx, integrationKey(of), newest); err != nil {
		return nil, err
	}
	if newest.GetVersion() != req.GetExpectedVersion() {
		return nil, store.ErrStale
	}
	if err := h.version(ctx, of, req.GetToVersion(), old); err != nil {
		return nil, err
	}
	next := proto.CloneOf(old)
	next.Version, next.EffectiveFrom = req.GetExpectedVersion(), nil
	request := &configv1.PutIntegrationRequest{Integration: next}
	if err := h.validate(request); err != nil {
		return nil, err
	}
	saved, err := h.docs.PutIntegration(because(ctx, req.GetReason()), request)
	if err != nil {
		return nil, err
	}
	return &configv1.RollBackIntegrationResponse{Integration: saved.GetIntegration(), Notes: saved.GetNotes()}, nil
}
