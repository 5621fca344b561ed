package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// keyPrefix starts every API key, so that scanners for leaked secrets recognise it.
const keyPrefix = "tl_"

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
	hash := sha256.Sum256([]byte(secret))
	key.SecretHash = hash[:]
	at := store.Key{Workspace: key.GetWorkspace(), Kind: store.KindAPIKey, ID: key.GetId()}
	switch err := s.save(ctx, at, 0, key, nil); {
	case errors.Is(err, store.ErrStale):
		return nil, status.Errorf(codes.AlreadyExists, "the workspace has an API key %q; its secret cannot be shown again", key.GetId())
	case err != nil:
		return nil, err
	}
	key.SecretHash = nil
	return &configv1.CreateApiKeyResponse{Key: key, Secret: keyPrefix + key.GetWorkspace() + "_" + key.GetId() + "_" + secret}, nil
}
