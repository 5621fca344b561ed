package tokens_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// held is an issuer that answers when it is let go.
type held struct {
	tokens.Issuer
	asked, answer chan struct{}
}

func (h *held) Issue(ctx context.Context, connection, credentials *configv1.Connection) (oauth.Token, error) {
	close(h.asked)
	<-h.answer
	return h.Issuer.Issue(ctx, connection, credentials)
}

func TestAStopWaitsUntilARotatedGrantIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	issuer := &held{Issuer: b.issuer, asked: make(chan struct{}), answer: make(chan struct{})}
	c := b.custodianOf(b.store, issuer)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := c.Get(ctx, "acme", "main", nil)
		left <- err
	}()
	<-issuer.asked
	leave()
	require.ErrorIs(t, <-left, context.Canceled)

	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	c.Finish(impatient)
	require.Equal(t, "refresh-0", b.storedRefreshToken(t), "a stop waits no longer than it may")
	close(issuer.answer)
	c.Finish(t.Context())
	require.Equal(t, "refresh-1", b.storedRefreshToken(t))
	_, err := c.Get(t.Context(), "acme", "main", hash("access-1"))
	require.ErrorContains(t, err, "stopping", "what could not be stored is not asked for")
}
