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

// person is how a request names one.
type person interface {
	GetAddresses() []string
	GetPhones() []string
	GetPhoneRegion() string
}

// personKeys turns addresses and numbers into person keys, sorted, each once, and tells of how many of each they are. Promise 8:
// the error says which one is wrong, not what it is.
func (t tenant) personKeys(p person) (keys []string, addresses, phones int, err error) {
	for i, raw := range p.GetAddresses() {
		email, err := normalize.Email(raw)
		if err != nil {
			return nil, 0, 0, status.Errorf(codes.InvalidArgument, "addresses[%d]: %s", i, err)
		}
		keys = append(keys, t.keys.PersonKey(email))
	}
	addresses = len(unique(keys))
	for i, raw := range p.GetPhones() {
		number, err := normalize.Phone(raw, p.GetPhoneRegion())
		if err != nil {
			return nil, 0, 0, status.Errorf(codes.InvalidArgument, "phones[%d]: %s", i, err)
		}
		keys = append(keys, t.keys.PersonKey(number)) // no address begins with + and has no @
	}
	keys = unique(keys)
	return keys, addresses, len(keys) - addresses, nil
}

// unique returns the keys sorted, each once.
func unique(keys []string) []string {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// newID makes an id that says nothing.
func newID() string { return rand.Text() }
