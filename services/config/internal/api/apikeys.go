package api

import (
	"context"
	"crypto/rand"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// CreateApiKey implements configv1.ConfigServiceServer. The secret is random enough that its plain SHA-256 gives nothing
// away, and is not stored.
func (s *Server) CreateApiKey(ctx context.Context, req *configv1.CreateApiKeyRequest) (*configv1.CreateApiKeyResponse, error) { //nolint:revive // the generated interface's name
	key := proto.CloneOf(req.GetKey())
	if err := s.requireWorkspace(ctx, key.GetWorkspace()); err != nil {
		return nil, err
	}
	var v violations
	if key.ExpiresAt != nil && !(key.GetExpiresAt().IsValid() && key.GetExpiresAt().AsTime().After(s.deps.Clock.Now())) {
		v.add("key.expires_at", "want a time in the future")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	secret := rand.Text() + rand.Text() // 260 bits, letters and digits only
	key.SecretHash, key.RevokedAt, key.Scopes = auth.HashOf(secret), nil, auth.ScopesOf(key)
	at := store.Key{Workspace: key.GetWorkspace(), Kind: store.KindAPIKey, ID: key.GetId()}
	switch err := s.save(ctx, at, 0, key, nil); {
	case errors.Is(err, store.ErrStale):
		return nil, status.Errorf(codes.AlreadyExists, "the workspace has an API key %q; its secret cannot be shown again", key.GetId())
	case err != nil:
		return nil, err
	}
	key.SecretHash = nil
	return &configv1.CreateApiKeyResponse{Key: key, Secret: auth.KeyPrefix + key.GetWorkspace() + "_" + key.GetId() + "_" + secret}, nil
}

// ListApiKeys implements configv1.AccessServiceServer.
func (a *Access) ListApiKeys(ctx context.Context, req *configv1.ListApiKeysRequest) (*configv1.ListApiKeysResponse, error) { //nolint:revive // the generated interface's name
	keys, err := list[configv1.ApiKey](ctx, a.docs, req.GetWorkspace(), store.KindAPIKey)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		key.SecretHash, key.Scopes = nil, auth.ScopesOf(key)
	}
	return &configv1.ListApiKeysResponse{Keys: keys}, nil
}

// RevokeApiKey implements configv1.AccessServiceServer. The key stays in the store, so that its id cannot be given to another.
func (a *Access) RevokeApiKey(ctx context.Context, req *configv1.RevokeApiKeyRequest) (*configv1.RevokeApiKeyResponse, error) { //nolint:revive // the generated interface's name
	key := &configv1.ApiKey{}
	at := store.Key{Workspace: req.GetWorkspace(), Kind: store.KindAPIKey, ID: req.GetKey()}
	doc, err := a.docs.load(ctx, at, key)
	if err != nil {
		return nil, err
	}
	if key.RevokedAt == nil {
		key.RevokedAt = timestamppb.New(a.deps.Clock.Now())
		if err := a.docs.save(ctx, at, doc.Version, key, nil); err != nil {
			return nil, err
		}
	}
	key.SecretHash = nil
	return &configv1.RevokeApiKeyResponse{Key: key}, nil
}
