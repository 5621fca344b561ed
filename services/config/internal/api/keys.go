package api

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/keys"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Rewrapper seals stored values anew; see keys.Rewrapper.
type Rewrapper interface {
	Use(ctx context.Context) (keys.Report, error)
	Rewrap(ctx context.Context) (keys.Report, error)
}

// KeyDeps is what a KeyServer works with; all of it is required.
type KeyDeps struct {
	Documents    Documents
	Destroyer    Destroyer
	Rewrapper    Rewrapper
	Audit        AuditWriter
	Installation *seal.Installation
	// Keeper is told that the connections of a destroyed workspace are ended.
	Keeper *lifecycle.Keeper
	// PromoteAfter is how long a standby sealing key waits; see keys.Config.
	PromoteAfter time.Duration
	Clock        interface{ Now() time.Time }
	Logger       *slog.Logger
}

// KeyServer implements configv1.KeyServiceServer, behind the same interceptors as Server.
type KeyServer struct {
	configv1.UnimplementedKeyServiceServer
	deps KeyDeps
}

// NewKeyServer returns a server.
func NewKeyServer(deps KeyDeps) *KeyServer { return &KeyServer{deps: deps} }

// GetKeyUse implements configv1.KeyServiceServer.
func (s *KeyServer) GetKeyUse(ctx context.Context, _ *configv1.GetKeyUseRequest) (*configv1.GetKeyUseResponse, error) {
	if err := s.follow(); err != nil {
		return nil, err
	}
	report, err := s.deps.Rewrapper.Use(ctx)
	if err != nil {
		return nil, err
	}
	return &configv1.GetKeyUseResponse{Use: keyUse(report)}, nil
}

// RewrapSecrets implements configv1.KeyServiceServer.
func (s *KeyServer) RewrapSecrets(ctx context.Context, _ *configv1.RewrapSecretsRequest) (*configv1.RewrapSecretsResponse, error) {
	if err := s.follow(); err != nil {
		return nil, err
	}
	act, err := actOf(ctx, s.deps.Clock.Now(), nil)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Audit.AddAudit(ctx, store.AuditEntry{Act: act, Kind: "installation_key", Target: "sealed values"}); err != nil {
		return nil, err
	}
	report, err := s.deps.Rewrapper.Rewrap(ctx)
	if err != nil {
		return nil, err
	}
	return &configv1.RewrapSecretsResponse{Use: keyUse(report), Resealed: count(report.Resealed)}, nil
}

// follow takes up a key that was promoted a moment ago: who rotates asks at once.
func (s *KeyServer) follow() error {
	if _, err := s.deps.Installation.Reload(); err != nil {
		return status.Error(codes.FailedPrecondition,
			"the installation's key has changed and the config service cannot read it; its log tells why")
	}
	return nil
}

func keyUse(r keys.Report) *configv1.KeyUse {
	out := &configv1.KeyUse{PrimaryKeyId: r.Primary, UnreadableCount: count(r.UnreadableCount)}
	for id, n := range r.Values {
		out.Counts = append(out.Counts, &configv1.KeyCount{KeyId: id, Values: count(n)})
	}
	slices.SortFunc(out.Counts, func(a, b *configv1.KeyCount) int { return int(b.GetValues()) - int(a.GetValues()) })
	for _, v := range r.Unreadable {
		out.Unreadable = append(out.Unreadable, &configv1.UnreadableSecret{Workspace: v.Workspace, Kind: string(v.Kind), Id: v.ID})
	}
	return out
}

func count(n int) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded

// ListWorkspaceKeys implements configv1.KeyServiceServer.
func (s *KeyServer) ListWorkspaceKeys(ctx context.Context, req *configv1.ListWorkspaceKeysRequest) (*configv1.ListWorkspaceKeysResponse, error) {
	doc, err := s.keysOf(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	listed, err := s.list(doc.Workspace, doc.Sealed)
	return &configv1.ListWorkspaceKeysResponse{Keys: listed}, err
}

// AddWorkspaceKey implements configv1.KeyServiceServer.
func (s *KeyServer) AddWorkspaceKey(ctx context.Context, req *configv1.AddWorkspaceKeyRequest) (*configv1.AddWorkspaceKeyResponse, error) {
	doc, err := s.keysOf(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	wrapped, id, err := s.deps.Installation.AddSealingKey(doc.Workspace, doc.Sealed)
	if err != nil {
		return nil, keyStatus(doc.Workspace, err)
	}
	if err := s.save(ctx, doc, wrapped); err != nil {
		return nil, err
	}
	return &configv1.AddWorkspaceKeyResponse{
		Key:         &configv1.WorkspaceKey{Id: id, State: configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_STANDBY},
		PromoteFrom: timestamppb.New(s.deps.Clock.Now().Add(s.deps.PromoteAfter)),
	}, nil
}

// PromoteWorkspaceKey implements configv1.KeyServiceServer. How long the key has been there is judged by the newest save of
// the workspace, which is that of the key or later.
func (s *KeyServer) PromoteWorkspaceKey(ctx context.Context, req *configv1.PromoteWorkspaceKeyRequest) (*configv1.PromoteWorkspaceKeyResponse, error) {
	doc, err := s.keysOf(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	wrapped, err := s.deps.Installation.PromoteSealingKey(doc.Workspace, doc.Sealed, req.GetKeyId())
	if err != nil {
		return nil, keyStatus(doc.Workspace, err)
	}
	from := doc.SavedAt.Add(s.deps.PromoteAfter)
	if s.deps.Clock.Now().Before(from) && !req.GetNow() {
		return nil, status.Errorf(codes.FailedPrecondition,
			"sealing key %d of workspace %s may not be known to every service yet: promote it after %s, or say now",
			req.GetKeyId(), doc.Workspace, from.UTC().Format(time.RFC3339))
	}
	if err := s.save(ctx, doc, wrapped); err != nil {
		return nil, err
	}
	listed, err := s.list(doc.Workspace, wrapped)
	return &configv1.PromoteWorkspaceKeyResponse{Keys: listed}, err
}

// keysOf reads a workspace's document, which holds its keys.
func (s *KeyServer) keysOf(ctx context.Context, workspace string) (store.Document, error) {
	doc, err := s.deps.Documents.Get(ctx, workspaceKey(workspace))
	if err != nil {
		return store.Document{}, err
	}
	if len(doc.Sealed) == 0 {
		return store.Document{}, status.Errorf(codes.FailedPrecondition, "the keys of workspace %s were destroyed", workspace)
	}
	return doc, nil
}

func (s *KeyServer) list(workspace string, wrapped []byte) ([]*configv1.WorkspaceKey, error) {
	all, err := s.deps.Installation.SealingKeys(workspace, wrapped)
	if err != nil {
		return nil, keyStatus(workspace, err)
	}
	states := map[seal.KeyState]configv1.WorkspaceKeyState{
		seal.KeyStandby: configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_STANDBY,
		seal.KeyPrimary: configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_PRIMARY,
		seal.KeyRetired: configv1.WorkspaceKeyState_WORKSPACE_KEY_STATE_RETIRED,
	}
	out := make([]*configv1.WorkspaceKey, len(all))
	for n, k := range all {
		out[n] = &configv1.WorkspaceKey{Id: k.ID, State: states[k.State]}
	}
	return out, nil
}

// save puts the changed keys into a new version of the workspace: its history then tells who rotated, and when.
func (s *KeyServer) save(ctx context.Context, doc store.Document, wrapped []byte) error {
	save, err := s.next(ctx, doc)
	if err != nil {
		return err
	}
	save.Sealed = wrapped
	return s.deps.Documents.Put(ctx, save)
}

func (s *KeyServer) next(ctx context.Context, doc store.Document) (store.Save, error) {
	ws := &configv1.Workspace{}
	if err := decode(doc, ws); err != nil {
		return store.Save{}, err
	}
	ws.Version = doc.Version + 1
	body, err := encoding.Marshal(ws)
	if err != nil {
		return store.Save{}, err
	}
	act, err := actOf(ctx, s.deps.Clock.Now(), []*configv1.FieldChange{{Path: changes.SealedPath, Concealed: true}})
	return store.Save{Key: doc.Key, Expected: doc.Version, Body: body}.As(act), err
}

// keyStatus tells what package seal says about a workspace's keys.
func keyStatus(workspace string, err error) error {
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, seal.ErrKeyState):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, seal.ErrOpen):
		return status.Errorf(codes.FailedPrecondition,
			"the keys of workspace %s do not open with this installation's key: restore the key", workspace)
	}
	return err
}
