package tokens_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// witness remembers what the custodian tells of Salesforce's answers.
type witness struct {
	mu              sync.Mutex
	issued, refused int
}

func (w *witness) Issued(context.Context, string, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issued++
}

func (w *witness) Refused(context.Context, string, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused++
}

func (b *testBundle) watched(w *witness) *tokens.Custodian {
	return tokens.New(b.cfg, tokens.Deps{
		Store: b.store, Leases: b.store, Installation: b.inst, Issuer: b.issuer, Observer: w, Clock: b.clock, Logger: slog.New(slog.DiscardHandler),
	})
}

// deadReplica takes the lease, as a replica does that is about to refresh, and is not heard of again.
func (b *testBundle) deadReplica(t *testing.T) {
	t.Helper()
	held, err := b.store.AcquireLease(t.Context(), store.Lease{
		Workspace: "acme", Connection: "main", Holder: "a replica that died", Until: b.clock.Now().Add(b.cfg.Lease),
	}, b.clock.Now())
	require.NoError(t, err)
	require.True(t, held)
}

// TestADeathBetweenReceivingAndStoringIsNoticed: with rotation the grant is lost, whatever anybody does. It must not be lost
// silently, nor keep others waiting longer than a lease, nor be asked with again and again.
func TestADeathBetweenReceivingAndStoringIsNoticed(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	b.deadReplica(t)
	_, err := b.issuer.Issue(t.Context(), nil, &configv1.Connection{Grant: &configv1.Connection_RefreshToken{
		RefreshToken: &configv1.RefreshToken{RefreshToken: "refresh-0"},
	}})
	require.NoError(t, err) // received, and not stored
	b.clock.Advance(b.cfg.Lease)
	seen := &witness{}
	c := b.watched(seen)
	for range 3 {
		_, err = c.Get(t.Context(), "acme", "main", nil)
		var refused *salesforce.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, salesforce.ReasonAuthRevoked, refused.Reason)
	}
	require.Equal(t, witness{refused: 1}, witness{issued: seen.issued, refused: seen.refused}, "told once, and so it becomes REVOKED")
}

// TestADeathBetweenStoringAndHandingOutLosesNothing: the next replica finds what was stored.
func TestADeathBetweenStoringAndHandingOutLosesNothing(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	require.Equal(t, "access-1", get(t, b.custodian(b.store), nil))
	b.deadReplica(t) // it did not give its lease back either
	require.Equal(t, "access-1", get(t, b.custodian(b.store), nil))
	require.Equal(t, 1, b.issuer.count())
	require.Equal(t, "refresh-1", b.storedRefreshToken(t))
}

func TestWhoReplacesCredentialsWaitsForARefresh(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	c := b.custodian(b.store)
	entered, proceed := make(chan struct{}), make(chan struct{})
	b.issuer.during = func() { close(entered); <-proceed }
	got := make(chan error, 1)
	go func() {
		_, err := c.Get(t.Context(), "acme", "main", nil)
		got <- err
	}()
	<-entered
	replaced := make(chan error, 1)
	go func() {
		replaced <- c.Exclusive(t.Context(), "acme", "main", func(ctx context.Context) error {
			doc, err := b.store.Get(ctx, key())
			if err == nil && doc.Generation != 2 {
				err = errors.New("what was rotated is not stored yet")
			}
			return err
		})
	}()
	close(proceed)
	require.NoError(t, <-got)
	require.NoError(t, <-replaced, "what it rotated was stored first, so that it can be revoked")
}

func TestTryKeepsOnlyWhatSalesforceTakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := &witness{}
	c := b.watched(seen)
	err := c.Try(t.Context(), "acme", "main", tokens.Change{Apply: func(c *configv1.Connection) { c.GetRefreshToken().RefreshToken = "wrong" }})
	require.Error(t, err)
	require.Equal(t, "refresh-0", b.storedRefreshToken(t))
	require.Zero(t, seen.refused, "a wrong guess says nothing about the connection")
	require.Equal(t, "access-1", get(t, c, nil), "nor does it hold anybody back")
	require.NoError(t, c.Try(t.Context(), "acme", "main", tokens.Change{Apply: func(c *configv1.Connection) { c.GetRefreshToken().ClientSecret = "new" }}))
	doc, err := b.store.Get(t.Context(), key())
	require.NoError(t, err)
	opened, err := tokens.OpenCredentials(b.inst, "acme", "main", doc.Sealed)
	require.NoError(t, err)
	require.Equal(t, "new", opened.GetRefreshToken().GetClientSecret())
	require.Equal(t, "refresh-2", opened.GetRefreshToken().GetRefreshToken(), "rotated on the way")
}
