package auth_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
)

func TestAuthenticatorKnowsItsTokensOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("token-in-a-file-0123\n"), 0o600))
	a, err := auth.NewAuthenticator([]auth.Token{
		{Name: "aoi", Role: auth.RoleAdmin, Workspace: "acme", Token: secret.New("token-of-aoi-01234")},
		{Name: "writer", Role: auth.RoleService, TokenFile: file},
	})
	require.NoError(t, err)
	id, ok := a.Authenticate("token-of-aoi-01234")
	require.True(t, ok)
	require.Equal(t, auth.Identity{Name: "aoi", Role: auth.RoleAdmin, Workspace: "acme"}, id)
	id, ok = a.Authenticate("token-in-a-file-0123")
	require.True(t, ok)
	require.Equal(t, "writer", id.Name)
	for _, wrong := range []string{"", "token-of-aoi-0123", "token-of-aoi-012345", "token-in-a-file-0123\n"} {
		_, ok := a.Authenticate(wrong)
		require.False(t, ok)
	}
	nobody, err := auth.NewAuthenticator(nil)
	require.NoError(t, err)
	_, ok = nobody.Authenticate("")
	require.False(t, ok)
}

func TestNobodyMayDoNothing(t *testing.T) {
	t.Parallel()
	id := auth.FromContext(context.Background())
	require.False(t, id.MaySee("acme"))
	require.False(t, id.MaySee(""))
	rule, ok := auth.RuleFor(configv1.ConfigService_ListWorkspaces_FullMethodName)
	require.True(t, ok)
	require.False(t, rule.Allows(id, ""))
	_, ok = auth.RuleFor("/grpc.channelz.v1.Channelz/GetServers")
	require.False(t, ok, "what is not in the table cannot be called")
}

func TestTokensAreChecked(t *testing.T) {
	t.Parallel()
	good := secret.New("token-0123456789")
	for want, tokens := range map[string][]auth.Token{
		"callers[0].name": {{Role: auth.RoleAdmin, Token: good}},
		"callers[1].token: another caller has it": {
			{Name: "x", Role: auth.RoleViewer, Token: good}, {Name: "y", Role: auth.RoleAdmin, Token: good},
		},
		`callers[0].calls: there is no call "Watch"`:   {{Name: "x", Role: auth.RoleService, Token: good, Calls: []string{"Watch"}}},
		`callers[0].role: "king" is not one of owner,`: {{Name: "x", Role: "king", Token: good}},
		"callers[0].workspace: a service":              {{Name: "x", Role: auth.RoleService, Workspace: "acme", Token: good}},
		"callers[0].workspace: an operator":            {{Name: "x", Role: auth.RoleOperator, Workspace: "acme", Token: good}},
		"callers[0].token, token_file":                 {{Name: "x", Role: auth.RoleAdmin}},
		"callers[0].certificate: it takes":             {{Name: "x", Role: auth.RoleService, Token: good, Certificate: "x"}},
		"callers[1].certificate: another": {
			{Name: "x", Role: auth.RoleService, Certificate: "x"}, {Name: "y", Role: auth.RoleViewer, Certificate: "x"},
		},
	} {
		_, err := auth.NewAuthenticator(tokens)
		require.ErrorContains(t, err, want)
	}
}

// FuzzAuthenticate looks for tokens that let somebody in, or break something.
func FuzzAuthenticate(f *testing.F) {
	for _, seed := range []string{"", "tl_", "tl_a_b_c", "tl___", "tlsession_x", "a.b.c", "tl_acme_web_\x00"} {
		f.Add(seed)
	}
	known, err := auth.NewAuthenticator(nil)
	require.NoError(f, err)
	door := &auth.Door{Known: known, Directory: empty{}, Verifier: empty{}, Clock: stagetest.NewClock(time.Unix(0, 0))}
	f.Fuzz(func(t *testing.T, token string) {
		_, ok, err := door.Configured(t.Context(), auth.Credentials{Token: token})
		require.NoError(t, err)
		require.False(t, ok)
		_, err = door.Authenticate(t.Context(), auth.Credentials{Token: token})
		require.ErrorIs(t, err, auth.ErrUnauthenticated)
	})
}

// empty has nobody, but for a key without a hash: nothing must match it.
type empty struct{}

func (empty) APIKey(context.Context, string, string) (*configv1.ApiKey, error) {
	return &configv1.ApiKey{}, nil
}

func (empty) Session(context.Context, []byte, time.Time) (name, subject string, err error) {
	return "", "", auth.ErrUnknown
}

func (empty) Seats(context.Context, string) (map[string]auth.Seat, error) { return nil, nil }

func (empty) Verify(context.Context, string) (auth.Claims, error) {
	return auth.Claims{}, auth.ErrUnauthenticated
}

func TestErrorsDoNotQuoteTokens(t *testing.T) {
	t.Parallel()
	_, err := auth.NewAuthenticator([]auth.Token{{Name: "x", Role: auth.RoleAdmin, Token: secret.New("hunter2")}})
	require.ErrorContains(t, err, "callers[0].token: shorter than 16")
	require.NotContains(t, err.Error(), "hunter2")
}
