package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
)

// A service that has no business with Salesforce gets no access to customers' orgs, though its role would let it.
func TestACallerMayBeKeptToSomeCalls(t *testing.T) {
	t.Parallel()
	const visits = "token-of-the-visits-service"
	b := prepare(t)
	b.cfg.Callers = append(b.cfg.Callers, config.Caller{
		Name: "visits", Role: config.RoleService, Token: secret.New(visits), Calls: []string{"ConfigService/Watch"},
	})
	b.start(t)
	b.workspace(t, "acme")
	client := b.client(t, visits)
	stream, err := client.Watch(t.Context(), &configv1.WatchRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	token := &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"}
	_, err = client.GetAccessToken(t.Context(), token)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = b.client(t, serviceToken).GetAccessToken(t.Context(), token)
	require.NoError(t, err)
	refused := b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Kind: "refused", Actor: "visits"})
	require.Len(t, refused, 1)
	require.Equal(t, "GetAccessToken", refused[0].GetAction())
}
