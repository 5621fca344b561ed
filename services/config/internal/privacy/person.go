package privacy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// tenant is a workspace with its keys.
type tenant struct {
	settings *configv1.Workspace
	keys     *seal.Keys
}

// Documents reads settings.
type Documents interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
}

// loadTenant reads a workspace and opens its keys.
func loadTenant(ctx context.Context, docs Documents, inst *seal.Installation, workspace string) (tenant, error) {
	doc, err := docs.Get(ctx, store.Key{Workspace: workspace, Kind: store.KindWorkspace, ID: workspace})
	if errors.Is(err, store.ErrNotFound) {
		return tenant{}, status.Errorf(codes.NotFound, "there is no workspace %q", workspace)
	}
	if err != nil {
		return tenant{}, err
	}
	if len(doc.Sealed) == 0 {
		return tenant{}, status.Errorf(codes.FailedPrecondition, "the keys of workspace %s were destroyed: nothing of it can be read any more", workspace)
	}
	out := tenant{settings: &configv1.Workspace{}}
	if err := proto.Unmarshal(doc.Body, out.settings); err != nil {
		return tenant{}, fmt.Errorf("decode workspace %s: %w", workspace, err)
	}
	out.keys, err = inst.OpenKeys(workspace, doc.Sealed)
	return out, err
}

// personKeys turns addresses into person keys, sorted, each once. Promise 8: the error says which one is wrong, not what
// it is.
func (t tenant) personKeys(addresses []string) ([]string, error) {
	keys := make([]string, 0, len(addresses))
	for i, raw := range addresses {
		email, err := normalize.Email(raw)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "addresses[%d]: %s", i, err)
		}
		keys = append(keys, t.keys.PersonKey(email))
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// newID makes an id that says nothing.
func newID() string { return rand.Text() }
