package tokens_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// slow is a store that is away once, and then takes as long as a lease lasts to save.
type slow struct {
	tokens.Store
	b     *testBundle
	calls int
}

func (s *slow) SaveToken(ctx context.Context, token store.NewToken) error {
	s.calls++
	switch s.calls {
	case 1:
		return errors.New("the disk is full")
	case 2:
		s.b.clock.Advance(s.b.cfg.Lease)
	}
	return s.Store.SaveToken(ctx, token)
}

// What an earlier call could not store is stored first, and may use up the lease under which Salesforce is then asked.
func TestSalesforceIsAskedUnderALeaseThatLasts(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	ask := map[string]func(c *tokens.Custodian) error{
		"Get": func(c *tokens.Custodian) error {
			_, err := c.Get(t.Context(), "acme", "main", hash("access-1"))
			return err
		},
		"Try": func(c *tokens.Custodian) error {
			return c.Try(t.Context(), "acme", "main", tokens.Change{Apply: func(*configv1.Connection) {}})
		},
	}
	for name, again := range ask {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.cfg.IssueTimeout = b.cfg.Lease - time.Millisecond
			s := &slow{Store: b.store, b: b}
			c := b.custodian(s)
			_, err := c.Get(t.Context(), "acme", "main", nil)
			require.Error(t, err, "the first rotation is only in memory")
			taken := 0
			b.issuer.during = func() {
				ok, err := b.store.AcquireLease(t.Context(), store.Lease{
					Workspace: "acme", Connection: "main", Holder: "another replica", Until: b.clock.Now().Add(b.cfg.Lease),
				}, b.clock.Now())
				if ok || err != nil {
					taken++
				}
			}
			require.NoError(t, again(c))
			require.Zero(t, taken, "another replica could have used the same refresh token")
			require.Equal(t, 2, b.issuer.count())
			require.Equal(t, "refresh-2", b.storedRefreshToken(t))
		})
	}
}
