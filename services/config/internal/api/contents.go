package api

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// PutContentSetting implements configv1.ConfigServiceServer. What is switched here counts as somebody's choice from then on.
func (s *Server) PutContentSetting(ctx context.Context, req *configv1.PutContentSettingRequest) (*configv1.PutContentSettingResponse, error) {
	saved := proto.CloneOf(req.GetSetting())
	if err := s.requireWorkspace(ctx, saved.GetWorkspace()); err != nil {
		return nil, err
	}
	expected := saved.GetVersion()
	old := &configv1.ContentSetting{}
	if _, err := s.load(ctx, contentKey(saved), old); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err := s.mayChoose(ctx, saved, old); err != nil {
		return nil, err
	}
	saved.Origin = chosen(saved, old)
	saved.Version = expected + 1
	if err := s.save(ctx, contentKey(saved), expected, saved, nil); err != nil {
		return nil, err
	}
	return &configv1.PutContentSettingResponse{Setting: saved}, nil
}

// chosen adds to how a content began what is switched now.
func chosen(next, old *configv1.ContentSetting) *configv1.ContentOrigin {
	origin := proto.CloneOf(old.GetOrigin())
	if origin == nil {
		return nil
	}
	if next.GetTracking() != old.GetTracking() {
		origin.ChoseTracking = proto.Bool(next.GetTracking())
	}
	if next.GetRequireAddress() != old.GetRequireAddress() {
		origin.ChoseRequireAddress = proto.Bool(next.GetRequireAddress())
	}
	return origin
}

// mayChoose refuses to switch a content to those who are not administrators while the workspace's defaults are locked
// (LOOM-37).
func (s *Server) mayChoose(ctx context.Context, next, old *configv1.ContentSetting) error {
	caller := auth.FromContext(ctx)
	if caller.Scopes == nil && slices.Contains([]auth.Role{auth.RoleOwner, auth.RoleAdmin}, caller.Role) {
		return nil
	}
	if old.GetVersion() > 0 && next.GetTracking() == old.GetTracking() && next.GetRequireAddress() == old.GetRequireAddress() {
		return nil
	}
	d, err := s.contentDefaults(ctx, next.GetWorkspace())
	if err == nil && d.GetLocked() {
		err = status.Errorf(codes.FailedPrecondition, "the defaults of workspace %q are locked: nobody but an administrator switches content %q",
			next.GetWorkspace(), next.GetContentId())
	}
	return err
}

// ListContentSettings implements configv1.ConfigServiceServer.
func (s *Server) ListContentSettings(ctx context.Context, req *configv1.ListContentSettingsRequest) (*configv1.ListContentSettingsResponse, error) {
	settings, err := list[configv1.ContentSetting](ctx, s, req.GetWorkspace(), store.KindContent)
	return &configv1.ListContentSettingsResponse{Settings: settings}, err
}

func contentKey(c *configv1.ContentSetting) store.Key {
	return store.Key{Workspace: c.GetWorkspace(), Kind: store.KindContent, ID: c.GetContentId()}
}
