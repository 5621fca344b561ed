package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// PutContentSetting implements configv1.ConfigServiceServer.
func (s *Server) PutContentSetting(ctx context.Context, req *configv1.PutContentSettingRequest) (*configv1.PutContentSettingResponse, error) {
	saved := proto.CloneOf(req.GetSetting())
	if err := s.requireWorkspace(ctx, saved.GetWorkspace()); err != nil {
		return nil, err
	}
	expected := saved.GetVersion()
	saved.Version = expected + 1
	key := store.Key{Workspace: saved.GetWorkspace(), Kind: store.KindContent, ID: saved.GetContentId()}
	if err := s.save(ctx, key, expected, saved, nil); err != nil {
		return nil, err
	}
	return &configv1.PutContentSettingResponse{Setting: saved}, nil
}

// ListContentSettings implements configv1.ConfigServiceServer.
func (s *Server) ListContentSettings(ctx context.Context, req *configv1.ListContentSettingsRequest) (*configv1.ListContentSettingsResponse, error) {
	settings, err := list[configv1.ContentSetting](ctx, s, req.GetWorkspace(), store.KindContent)
	return &configv1.ListContentSettingsResponse{Settings: settings}, err
}
