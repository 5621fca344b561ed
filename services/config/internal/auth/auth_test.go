package auth_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
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

func TestErrorsDoNotQuoteTokens(t *testing.T) {
	t.Parallel()
	_, err := auth.NewAuthenticator([]auth.Token{{Name: "x", Role: auth.RoleAdmin, Token: secret.New("hunter2")}})
	require.ErrorContains(t, err, "callers[0].token: shorter than 16")
	require.NotContains(t, err.Error(), "hunter2")
}
