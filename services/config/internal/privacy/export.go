package privacy

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// partBytes is the most of a document that one answer carries.
const partBytes = 1 << 20

// ExportPerson implements configv1.PrivacyServiceServer.
func (s *Server) ExportPerson(ctx context.Context, req *configv1.ExportPersonRequest) (*configv1.ExportPersonResponse, error) {
	t, err := loadTenant(ctx, s.deps.Documents, s.deps.Installation, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	keys, addresses, phones, err := t.personKeys(req)
	if err != nil {
		return nil, err
	}
	now := s.deps.Clock.Now()
	e := &configv1.Export{
		Workspace: req.GetWorkspace(), Id: newID(), Status: configv1.ExportStatus_EXPORT_STATUS_RUNNING,
		RequestedBy: auth.FromContext(ctx).Name, RequestedAt: timestamppb.New(now), ExpiresAt: timestamppb.New(now.Add(s.cfg.ExportKeep)),
	}
	body, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode an export: %w", err)
	}
	act, err := api.ActOf(ctx, now)
	if err != nil {
		return nil, err
	}
	err = s.deps.Exports.AddExport(ctx, store.Export{
		Workspace: e.GetWorkspace(), ID: e.GetId(), RequestedAt: now, ExpiresAt: now.Add(s.cfg.ExportKeep), PersonKeys: keys, Body: body,
		Act: act,
	})
	if err != nil {
		return nil, err
	}
	s.audit(ctx, "what is held of a person is being exported", "workspace", e.GetWorkspace(), "export", e.GetId(), "addresses", addresses, "phones", phones)
	return &configv1.ExportPersonResponse{Export: e}, nil
}

// GetExport implements configv1.PrivacyServiceServer.
func (s *Server) GetExport(ctx context.Context, req *configv1.GetExportRequest) (*configv1.GetExportResponse, error) {
	row, err := s.deps.Exports.Export(ctx, req.GetWorkspace(), req.GetExportId(), s.deps.Clock.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Error(codes.NotFound, "there is no such export in this workspace, or it has expired, or the person was erased")
	}
	if err != nil {
		return nil, err
	}
	resp := &configv1.GetExportResponse{Export: &configv1.Export{}}
	if err := proto.Unmarshal(row.Body, resp.GetExport()); err != nil {
		return nil, fmt.Errorf("decode export %s of workspace %s: %w", row.ID, row.Workspace, err)
	}
	if row.Sealed == nil {
		return resp, nil
	}
	t, err := loadTenant(ctx, s.deps.Documents, s.deps.Installation, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	document, err := t.keys.Open(row.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open export %s of workspace %s: %w", row.ID, row.Workspace, err)
	}
	if from := req.GetOffset(); from < int64(len(document)) {
		resp.Data = document[from:min(int64(len(document)), from+partBytes)]
	}
	if len(resp.GetData()) == 0 {
		return resp, nil
	}
	act, err := api.ActOf(ctx, s.deps.Clock.Now())
	if err != nil {
		return nil, err
	}
	// Before it is shown, wherever the reading begins (XC-33).
	err = s.deps.Audit.AddAudit(ctx, store.AuditEntry{Act: act, Workspace: row.Workspace, Kind: "export", Target: row.ID})
	if err != nil {
		return nil, err
	}
	s.audit(ctx, "an export of what is held of a person is read", "workspace", row.Workspace, "export", row.ID)
	return resp, nil
}
