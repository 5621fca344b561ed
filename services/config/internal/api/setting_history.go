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

// defaultSettingPage is smaller than other pages: every version comes with all that changed.
const defaultSettingPage = 20

// SettingHistory implements configv1.SettingHistoryServiceServer. What is said of Server holds here too.
type SettingHistory struct {
	configv1.UnimplementedSettingHistoryServiceServer
	history *History
}

// NewSettingHistory returns a server.
func NewSettingHistory(history *History) *SettingHistory { return &SettingHistory{history: history} }

// settingKind is how one kind of setting is kept and saved.
type settingKind struct {
	kind  store.Kind
	empty func() proto.Message
	// request puts a message into the request that saves it, as the version after expected.
	request func(m proto.Message, expected int64) proto.Message
}

var settingKinds = map[configv1.SettingKind]settingKind{
	configv1.SettingKind_SETTING_KIND_WORKSPACE: {
		kind: store.KindWorkspace, empty: func() proto.Message { return &configv1.Workspace{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.Workspace).Version = expected
			return &configv1.PutWorkspaceRequest{Workspace: m.(*configv1.Workspace)}
		},
	},
	configv1.SettingKind_SETTING_KIND_CONNECTION: {
		kind: store.KindConnection, empty: func() proto.Message { return &configv1.Connection{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.Connection).Version = expected
			return &configv1.PutConnectionRequest{Connection: m.(*configv1.Connection)}
		},
	},
	configv1.SettingKind_SETTING_KIND_INTEGRATION: {
		kind: store.KindIntegration, empty: func() proto.Message { return &configv1.Integration{} },
		request: func(m proto.Message, expected int64) proto.Message {
			i := m.(*configv1.Integration)
			i.Version, i.EffectiveFrom = expected, nil
			return &configv1.PutIntegrationRequest{Integration: i}
		},
	},
	configv1.SettingKind_SETTING_KIND_CONTENT: {
		kind: store.KindContent, empty: func() proto.Message { return &configv1.ContentSetting{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.ContentSetting).Version = expected
			return &configv1.PutContentSettingRequest{Setting: m.(*configv1.ContentSetting)}
		},
	},
	configv1.SettingKind_SETTING_KIND_CONTENT_DEFAULTS: {
		kind: store.KindContentDefaults, empty: func() proto.Message { return &configv1.ContentDefaults{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.ContentDefaults).Version = expected
			return &configv1.PutContentDefaultsRequest{Defaults: m.(*configv1.ContentDefaults)}
		},
	},
	configv1.SettingKind_SETTING_KIND_EVENT_SETUP: {
		kind: store.KindEventSetup, empty: func() proto.Message { return &configv1.EventSetup{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.EventSetup).Version = expected
			return &configv1.PutEventSetupRequest{Setup: m.(*configv1.EventSetup)}
		},
	},
	configv1.SettingKind_SETTING_KIND_REPORT: {
		kind: store.KindReport, empty: func() proto.Message { return &configv1.Report{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.Report).Version = expected
			return &configv1.PutReportRequest{Report: m.(*configv1.Report)}
		},
	},
	configv1.SettingKind_SETTING_KIND_REPORT_PUSH: {
		kind: store.KindReportPush, empty: func() proto.Message { return &configv1.ReportPush{} },
		request: func(m proto.Message, expected int64) proto.Message {
			m.(*configv1.ReportPush).Version = expected
			return &configv1.PutReportPushRequest{Push: m.(*configv1.ReportPush)}
		},
	},
}

// ListSettingVersions implements configv1.SettingHistoryServiceServer.
func (h *SettingHistory) ListSettingVersions(ctx context.Context, req *configv1.ListSettingVersionsRequest) (*configv1.ListSettingVersionsResponse, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultSettingPage
	}
	kind := settingKinds[req.GetKind()]
	key := store.Key{Workspace: req.GetWorkspace(), Kind: kind.kind, ID: req.GetId()}
	rows, err := h.history.versions.HistoryPage(ctx, key, req.GetBeforeVersion(), size+1) // one more to compare the last one with
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 && req.GetBeforeVersion() == 0 {
		return nil, store.ErrNotFound
	}
	resp := &configv1.ListSettingVersionsResponse{}
	if len(rows) > size {
		resp.NextBeforeVersion = rows[size-1].Version
	}
	for i, row := range rows[:min(size, len(rows))] {
		var before proto.Message
		if i+1 < len(rows) {
			before = kind.empty()
			if err := decode(rows[i+1].Document, before); err != nil {
				return nil, err
			}
		}
		v, err := versionOf(row, before, kind)
		if err != nil {
			return nil, err
		}
		resp.Versions = append(resp.Versions, v)
	}
	return resp, nil
}

// versionOf tells in what a version differs from the one before. A version whose predecessor is too old to be there is told
// without, but for the first.
func versionOf(row store.Version, before proto.Message, kind settingKind) (*configv1.SettingVersion, error) {
	after := kind.empty()
	if err := decode(row.Document, after); err != nil {
		return nil, err
	}
	out := &configv1.SettingVersion{
		Version: row.Version, SavedAt: timestamppb.New(row.SavedAt), SavedBy: row.SavedBy, Reason: row.Reason,
	}
	if before != nil || row.Version == 1 {
		out.Changes = changes.Between(before, after, "version")
	}
	if row.SealedChanged {
		out.Changes = append(out.Changes, &configv1.FieldChange{Path: changes.SealedPath, Concealed: true})
	}
	return out, nil
}

// RollBackSetting implements configv1.SettingHistoryServiceServer. It goes the way of every other save, so what no longer
// validates is refused and told.
func (h *SettingHistory) RollBackSetting(ctx context.Context, req *configv1.RollBackSettingRequest) (*configv1.RollBackSettingResponse, error) {
	kind := settingKinds[req.GetKind()]
	key := store.Key{Workspace: req.GetWorkspace(), Kind: kind.kind, ID: req.GetId()}
	newest, err := h.history.docs.deps.Documents.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if newest.Version != req.GetExpectedVersion() {
		return nil, store.ErrStale
	}
	doc, err := h.history.versions.GetVersion(ctx, key, req.GetToVersion())
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "%s %q has no version %d", kind.kind, req.GetId(), req.GetToVersion())
	}
	if err != nil {
		return nil, err
	}
	old := kind.empty()
	if err := decode(doc, old); err != nil {
		return nil, err
	}
	return h.history.restore(because(ctx, req.GetReason()), kind.request(old, req.GetExpectedVersion()))
}

// restore saves an earlier version as any other save would be.
func (h *History) restore(ctx context.Context, req proto.Message) (*configv1.RollBackSettingResponse, error) {
	if err := h.validate(req); err != nil {
		return nil, err
	}
	switch r := req.(type) {
	case *configv1.PutWorkspaceRequest:
		resp, err := h.docs.PutWorkspace(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetWorkspace().GetVersion()}, err
	case *configv1.PutConnectionRequest:
		resp, err := h.docs.PutConnection(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetConnection().GetVersion()}, err
	case *configv1.PutContentSettingRequest:
		resp, err := h.docs.PutContentSetting(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetSetting().GetVersion()}, err
	case *configv1.PutContentDefaultsRequest:
		resp, err := NewContentDefaults(h.docs).PutContentDefaults(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetDefaults().GetVersion()}, err
	case *configv1.PutEventSetupRequest:
		resp, err := NewEventSetup(h.docs).PutEventSetup(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetSetup().GetVersion()}, err
	case *configv1.PutIntegrationRequest:
		resp, err := h.docs.PutIntegration(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetIntegration().GetVersion(), Notes: resp.GetNotes()}, err
	case *configv1.PutReportRequest:
		resp, err := h.reports.PutReport(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetReport().GetVersion(), Notes: resp.GetBroken()}, err
	case *configv1.PutReportPushRequest:
		resp, err := h.reports.PutReportPush(ctx, r)
		return &configv1.RollBackSettingResponse{Version: resp.GetPush().GetVersion(), Notes: resp.GetWarnings()}, err
	}
	return nil, status.Errorf(codes.Unimplemented, "settings of this kind cannot be restored")
}
