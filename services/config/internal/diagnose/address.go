package diagnose

import (
	"context"
	"fmt"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// sameAddress recognises the address that the connection was authorised with; nil if it does not matter.
func (s *Service) sameAddress(ctx context.Context, c *configv1.Connection) (func(address string) bool, error) {
	known := c.GetConsent().GetAddressKey()
	if known == "" || c.GetSettings().GetAnyAddress() {
		return nil, nil
	}
	doc, err := s.deps.Documents.Get(ctx, store.Key{Workspace: c.GetWorkspace(), Kind: store.KindWorkspace, ID: c.GetWorkspace()})
	if err != nil {
		return nil, err
	}
	keys, err := s.deps.Installation.OpenKeys(c.GetWorkspace(), doc.Sealed)
	if err != nil {
		return nil, fmt.Errorf("keys of workspace %s: %w", c.GetWorkspace(), err)
	}
	return func(address string) bool { return tokens.AddressKey(keys, address) == known }, nil
}
