package privacy

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Erasures keeps requests to erase.
type Erasures interface {
	StartErasure(ctx context.Context, e store.Erasure, limit int) (store.Erasure, error)
	Erasure(ctx context.Context, workspace, id string) (store.Erasure, error)
	Erasures(ctx context.Context, workspace string, after store.ErasurePosition, limit int) ([]store.Erasure, error)
}

// Lifter ends suppressions.
type Lifter interface {
	Lift(ctx context.Context, workspace string, personKeys []string, act store.Act) (int, error)
	LiftedSince(ctx context.Context, workspace, erasure string) (time.Time, error)
}

// Exports keeps requests for what is held of a person.
type Exports interface {
	AddExport(ctx context.Context, e store.Export) error
	Export(ctx context.Context, workspace, id string, now time.Time) (store.Export, error)
}

// Deps is what a Server works with; all of it is required.
type Deps struct {
	Documents    Documents
	Erasures     Erasures
	Lifter       Lifter
	Exports      Exports
	Proposals    Proposals
	Audit        api.AuditWriter
	Installation *seal.Installation
	Clock        interface{ Now() time.Time }
	Logger       *slog.Logger
	// Writes is true when the worker can send writes.
	Writes bool
}

// Server implements configv1.PrivacyServiceServer. It relies on requests being authenticated, allowed and valid.
type Server struct {
	configv1.UnimplementedPrivacyServiceServer
	cfg  Config
	deps Deps
}

// NewServer returns a server.
func NewServer(cfg Config, deps Deps) *Server { return &Server{cfg: cfg, deps: deps} }

// StartErasure implements configv1.PrivacyServiceServer.
func (s *Server) StartErasure(ctx context.Context, req *configv1.StartErasureRequest) (*configv1.StartErasureResponse, error) {
	if !req.GetConfirm() {
		return nil, status.Error(codes.InvalidArgument, "confirm: an erasure cannot be undone; set it when you are sure")
	}
	t, err := s.erasable(ctx, req.GetWorkspace(), req.GetBlankRows())
	if err != nil {
		return nil, err
	}
	keys, addresses, phones, err := t.personKeys(req)
	if err != nil {
		return nil, err
	}
	out, err := s.start(ctx, keys, &configv1.Erasure{
		Workspace: req.GetWorkspace(), Addresses: int32(addresses), Phones: int32(phones), BlankRows: req.GetBlankRows(), //nolint:gosec // at most 50
	})
	return &configv1.StartErasureResponse{Erasure: out}, err
}

// erasable returns the workspace if people of it can be erased, as it is wanted.
func (s *Server) erasable(ctx context.Context, workspace string, blank bool) (tenant, error) {
	if blank && !s.deps.Writes {
		return tenant{}, status.Error(codes.FailedPrecondition, "blank_rows: this config service has no broker to send writes through")
	}
	t, err := loadTenant(ctx, s.deps.Documents, s.deps.Installation, workspace)
	if err == nil && t.settings.GetRetention().GetLegalHold() {
		err = status.Error(codes.FailedPrecondition, "the workspace is under a legal hold: take that back first (retention.legal_hold)")
	}
	return t, err
}

// start begins the erasure of the person with the keys.
func (s *Server) start(ctx context.Context, keys []string, e *configv1.Erasure) (*configv1.Erasure, error) {
	now := s.deps.Clock.Now()
	e.Id, e.Status, e.Certificate = newID(), configv1.ErasureStatus_ERASURE_STATUS_RUNNING, &configv1.ErasureCertificate{}
	e.RequestedBy, e.RequestedAt = auth.FromContext(ctx).Name, timestamppb.New(now)
	body, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode an erasure: %w", err)
	}
	act, err := api.ActOf(ctx, now)
	if err != nil {
		return nil, err
	}
	started, err := s.deps.Erasures.StartErasure(ctx, store.Erasure{
		Workspace: e.GetWorkspace(), ID: e.GetId(), RequestedAt: now, PersonKeys: keys, Body: body, Act: act,
	}, s.cfg.MaxSuppressions)
	if errors.Is(err, store.ErrTooMany) {
		return nil, status.Errorf(codes.ResourceExhausted,
			"the workspace keeps %d people out already, the most that privacy.max_suppressions allows: raise that", s.cfg.MaxSuppressions)
	}
	if err != nil {
		return nil, err
	}
	s.audit(ctx, "a person is being erased", "workspace", e.GetWorkspace(), "erasure", started.ID, "addresses", e.GetAddresses(), "phones", e.GetPhones())
	return s.describe(ctx, started)
}

// GetErasure implements configv1.PrivacyServiceServer.
func (s *Server) GetErasure(ctx context.Context, req *configv1.GetErasureRequest) (*configv1.GetErasureResponse, error) {
	e, err := s.deps.Erasures.Erasure(ctx, req.GetWorkspace(), req.GetErasureId())
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Error(codes.NotFound, "there is no such erasure in this workspace")
	}
	if err != nil {
		return nil, err
	}
	out, err := s.describe(ctx, e)
	return &configv1.GetErasureResponse{Erasure: out}, err
}

// describe decodes an erasure and adds how it stands with its deadlines and whether it was lifted.
func (s *Server) describe(ctx context.Context, e store.Erasure) (*configv1.Erasure, error) {
	out := &configv1.Erasure{}
	if err := proto.Unmarshal(e.Body, out); err != nil {
		return nil, fmt.Errorf("decode erasure %s of workspace %s: %w", e.ID, e.Workspace, err)
	}
	setProgress(out, s.deps.Clock.Now())
	at, err := s.deps.Lifter.LiftedSince(ctx, e.Workspace, e.ID)
	if err == nil && !at.IsZero() {
		out.LiftedAt = timestamppb.New(at)
	}
	return out, err
}

const defaultPageSize = 100

// ListErasures implements configv1.PrivacyServiceServer.
func (s *Server) ListErasures(ctx context.Context, req *configv1.ListErasuresRequest) (*configv1.ListErasuresResponse, error) {
	limit := int(req.GetPageSize())
	if limit == 0 {
		limit = defaultPageSize
	}
	after, err := decodePage(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	rows, err := s.deps.Erasures.Erasures(ctx, req.GetWorkspace(), after, limit+1)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListErasuresResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		resp.NextPageToken = encodePage(store.ErasurePosition{RequestedAt: last.RequestedAt, ID: last.ID})
	}
	for _, row := range rows {
		e, err := s.describe(ctx, row)
		if err != nil {
			return nil, err
		}
		if c := e.GetCertificate(); c != nil {
			c.Records = nil
		}
		resp.Erasures = append(resp.Erasures, e)
	}
	return resp, nil
}

// LiftSuppression implements configv1.PrivacyServiceServer.
func (s *Server) LiftSuppression(ctx context.Context, req *configv1.LiftSuppressionRequest) (*configv1.LiftSuppressionResponse, error) {
	if !req.GetConfirm() {
		return nil, status.Error(codes.InvalidArgument, "confirm: set it when the person has registered again, with consent")
	}
	t, err := loadTenant(ctx, s.deps.Documents, s.deps.Installation, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	keys, _, _, err := t.personKeys(req)
	if err != nil {
		return nil, err
	}
	now := s.deps.Clock.Now()
	act, err := api.ActOf(ctx, now)
	if err != nil {
		return nil, err
	}
	n, err := s.deps.Lifter.Lift(ctx, req.GetWorkspace(), keys, act)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, status.Error(codes.FailedPrecondition, "none of the addresses and numbers is suppressed in this workspace: there is nothing to lift")
	}
	s.audit(ctx, "a suppression is lifted", "workspace", req.GetWorkspace(), "people_keys", n)
	return &configv1.LiftSuppressionResponse{Lifted: int32(n), LiftedAt: timestamppb.New(now)}, nil
}

// audit says who did what. Promise 8: never about whom.
func (s *Server) audit(ctx context.Context, what string, args ...any) {
	s.deps.Logger.InfoContext(ctx, what, append([]any{"by", auth.FromContext(ctx).Name}, args...)...)
}

func encodePage(at store.ErasurePosition) string {
	b := binary.AppendVarint(nil, at.RequestedAt.UnixMicro())
	return base64.RawURLEncoding.EncodeToString(append(b, at.ID...))
}

func decodePage(token string) (store.ErasurePosition, error) {
	if token == "" {
		return store.ErasurePosition{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	at, n := binary.Varint(b)
	if err != nil || n <= 0 || n == len(b) {
		return store.ErasurePosition{}, status.Error(codes.InvalidArgument, "page_token: not a token of an earlier answer")
	}
	return store.ErasurePosition{RequestedAt: time.UnixMicro(at).UTC(), ID: string(b[n:])}, nil
}
