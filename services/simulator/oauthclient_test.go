package simulator_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/simulator"
)

// signInAs goes to the consent page as the client's own address says, and returns the parameters of the redirect.
func (b *bundle) signInAs(l oauth.Login, answer string) url.Values {
	b.t.Helper()
	address, err := l.AuthCodeURL()
	require.NoError(b.t, err)
	u, err := url.Parse(address)
	require.NoError(b.t, err)
	values := u.Query()
	values.Set("username", "hana@acme.example")
	values.Set("password", "pw")
	values.Set("answer", answer)
	return b.authorize(values)
}

// TestOurClientsLogin runs this project's login against the simulator, which shares no code with it.
func TestOurClientsLogin(t *testing.T) {
	t.Parallel()
	b := setupWith(t, oauthScenario(
		simulator.App{ClientID: "web", ClientSecret: "s", RedirectURIs: []string{callback}, PKCE: true, RotateRefreshTokens: true},
		simulator.App{ClientID: "plain", ClientSecret: "s", RedirectURIs: []string{callback}},
	))
	request := oauth.Request{LoginURL: b.base, ClientID: "web", ClientSecret: secret.New("s")}
	code := func(err error) string {
		var e *salesforce.Error
		require.ErrorAs(t, err, &e)
		return e.Code
	}

	l := oauth.NewLogin(request, callback, "api", "refresh_token")
	authorization, err := l.Code(b.signInAs(l, "allow"))
	require.NoError(t, err)
	token, err := l.Exchange(t.Context(), authorization)
	require.NoError(t, err)
	require.False(t, token.RefreshToken.IsEmpty())
	require.Equal(t, b.base, token.InstanceURL)
	_, err = l.Exchange(t.Context(), authorization)
	require.Equal(t, "invalid_grant", code(err), "a code works once")

	told, err := oauth.Introspect(t.Context(), request, token.AccessToken)
	require.NoError(t, err)
	require.True(t, told.Active)
	require.Equal(t, "hana@acme.example", told.Username)
	require.NoError(t, oauth.Revoke(t.Context(), request, token.RefreshToken))
	told, err = oauth.Introspect(t.Context(), request, token.RefreshToken)
	require.NoError(t, err)
	require.False(t, told.Active)
	require.Equal(t, "invalid_token", code(oauth.Revoke(t.Context(), request, token.RefreshToken)))

	_, err = l.Code(b.signInAs(l, "deny"))
	require.Equal(t, "access_denied", code(err))
	without := l
	without.Verifier = secret.String{}
	_, err = without.Code(b.signInAs(without, "allow"))
	require.Equal(t, "invalid_request", code(err), "the app requires PKCE")
	without.Request.ClientID = "plain"
	authorization, err = without.Code(b.signInAs(without, "allow"))
	require.NoError(t, err)
	_, err = without.Exchange(t.Context(), authorization)
	require.NoError(t, err)
}

// shelf is a store of one refresh token.
type shelf struct{ token secret.String }

func (s *shelf) RefreshToken(context.Context) (secret.String, error) { return s.token, nil }

func (s *shelf) Rotated(_ context.Context, _, next secret.String) error {
	s.token = next
	return nil
}

// TestOurClientsRotation lets a session end again and again; two replicas share one store, as two processes would.
func TestOurClientsRotation(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setupWith(t, oauthScenario(
		simulator.App{ClientID: "web", ClientSecret: "s", RedirectURIs: []string{callback}, PKCE: true, RotateRefreshTokens: true},
	))
	request := oauth.Request{LoginURL: b.base, ClientID: "web", ClientSecret: secret.New("s")}
	l := oauth.NewLogin(request, callback, "api", "refresh_token")
	authorization, err := l.Code(b.signInAs(l, "allow"))
	require.NoError(t, err)
	token, err := l.Exchange(t.Context(), authorization)
	require.NoError(t, err)
	store := &shelf{token.RefreshToken}
	replicas := []*salesforce.Client{}
	for range 2 {
		source := oauth.NewSource(request, store, b.clock, oauth.DefaultSourceConfig())
		replicas = append(replicas, salesforce.NewClient(salesforce.DefaultConfig(), source, salesforce.Deps{}))
	}
	for range 3 {
		before := store.token
		for _, client := range replicas {
			_, err := client.DescribeGlobal(t.Context())
			require.NoError(t, err)
		}
		require.False(t, store.token.Equal(before))
		b.clock.advance(3 * time.Hour) // the session ends
	}
	require.NoError(t, oauth.Revoke(t.Context(), request, store.token))
	_, err = replicas[0].DescribeGlobal(t.Context())
	require.Equal(t, salesforce.ClassAuth, salesforce.ClassOf(err))
}
