package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

const (
	// draftAge is how long a draft is kept after it was last saved (WALK-15).
	draftAge = 30 * 24 * time.Hour
	// maxDrafts is how many drafts a workspace may have (promise 7).
	maxDrafts = 200
	// draftChanged is the reason told to whom saves over somebody else's save.
	draftChanged = "DRAFT_CHANGED"
)

// DraftStore keeps drafts; see store.Store.
type DraftStore interface {
	PutDraft(ctx context.Context, d store.Draft, most int) (there store.Draft, err error)
	Draft(ctx context.Context, workspace, kind, id string, now time.Time) (store.Draft, error)
	Drafts(ctx context.Context, workspace, kind string, now time.Time) ([]store.Draft, error)
	DeleteDraft(ctx context.Context, workspace, kind, id string) error
}

// Drafts implements configv1.DraftServiceServer. What is said of Server holds here too. Nothing acts on a draft, so saving one is
// no change of a setting: it is neither in the history nor in the audit log.
type Drafts struct {
	configv1.UnimplementedDraftServiceServer
	docs  *Server
	store DraftStore
}

// NewDrafts returns a server.
func NewDrafts(docs *Server, drafts DraftStore) *Drafts { return &Drafts{docs: docs, store: drafts} }

func (d *Drafts) now() time.Time { return d.docs.deps.Clock.Now() }

// PutDraft implements configv1.DraftServiceServer.
func (d *Drafts) PutDraft(ctx context.Context, req *configv1.PutDraftRequest) (*configv1.PutDraftResponse, error) {
	in, now := req.GetDraft(), d.now()
	if err := d.docs.requireWorkspace(ctx, in.GetWorkspace()); err != nil {
		return nil, err
	}
	saved := store.Draft{
		Workspace: in.GetWorkspace(), Kind: in.GetKind(), ID: in.GetId(), Version: in.GetVersion(), Content: in.GetContent(),
		SavedAt: now, SavedBy: auth.FromContext(ctx).Name, ExpiresAt: now.Add(draftAge),
	}
	there, err := d.store.PutDraft(ctx, saved, maxDrafts)
	switch {
	case errors.Is(err, store.ErrStale):
		return nil, mergeHint(saved, there)
	case errors.Is(err, store.ErrFull):
		return nil, status.Errorf(codes.ResourceExhausted, "workspace %q has %d drafts: finish or discard some", saved.Workspace, maxDrafts)
	case errors.Is(err, store.ErrNotFound):
		return nil, status.Errorf(codes.NotFound, "draft %q of workspace %q is not there any more: save it as a new one, of version 0", saved.ID, saved.Workspace)
	case err != nil:
		return nil, err
	}
	saved.Version++
	saved.Content = ""
	return &configv1.PutDraftResponse{Draft: draftMessage(saved)}, nil
}

// mergeHint tells whom saves what somebody else has saved meanwhile what to do about it.
func mergeHint(mine, there store.Draft) error {
	text := fmt.Sprintf("%s saved version %d of draft %q at %s, and you began with version %d: read that version, put your changes into it, and save it with version %d",
		there.SavedBy, there.Version, mine.ID, there.SavedAt.Format(time.RFC3339), mine.Version, there.Version)
	return withDetail(status.New(codes.Aborted, text), &errdetails.ErrorInfo{
		Reason: draftChanged, Domain: errorDomain, Metadata: map[string]string{
			"version": strconv.FormatInt(there.Version, 10), "saved_by": there.SavedBy, "saved_at": there.SavedAt.Format(time.RFC3339),
		},
	}).Err()
}

// GetDraft implements configv1.DraftServiceServer.
func (d *Drafts) GetDraft(ctx context.Context, req *configv1.GetDraftRequest) (*configv1.GetDraftResponse, error) {
	found, err := d.store.Draft(ctx, req.GetWorkspace(), req.GetKind(), req.GetId(), d.now())
	if err != nil {
		return nil, err
	}
	return &configv1.GetDraftResponse{Draft: draftMessage(found)}, nil
}

// ListDrafts implements configv1.DraftServiceServer.
func (d *Drafts) ListDrafts(ctx context.Context, req *configv1.ListDraftsRequest) (*configv1.ListDraftsResponse, error) {
	found, err := d.store.Drafts(ctx, req.GetWorkspace(), req.GetKind(), d.now())
	if err != nil {
		return nil, err
	}
	out := &configv1.ListDraftsResponse{}
	for _, one := range found {
		out.Drafts = append(out.Drafts, draftMessage(one))
	}
	return out, nil
}

// DeleteDraft implements configv1.DraftServiceServer.
func (d *Drafts) DeleteDraft(ctx context.Context, req *configv1.DeleteDraftRequest) (*configv1.DeleteDraftResponse, error) {
	return &configv1.DeleteDraftResponse{}, d.store.DeleteDraft(ctx, req.GetWorkspace(), req.GetKind(), req.GetId())
}

func draftMessage(d store.Draft) *configv1.Draft {
	return &configv1.Draft{
		Workspace: d.Workspace, Kind: d.Kind, Id: d.ID, Version: d.Version, Content: d.Content,
		SavedAt: timestamppb.New(d.SavedAt), SavedBy: d.SavedBy, ExpiresAt: timestamppb.New(d.ExpiresAt),
	}
}
