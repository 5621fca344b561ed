package tokens_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// elsewhere issues tokens that lead to the org it names.
type elsewhere struct {
	*rotating
	identity string
}

func (e *elsewhere) Issue(ctx context.Context, connection, credentials *configv1.Connection) (oauth.Token, error) {
	token, err := e.rotating.Issue(ctx, connection, credentials)
	token.IdentityURL = e.identity
	return token, err
}

func TestATokenOfAnotherOrgIsRefused(t *testing.T) {
	t.Parallel()
	const mine, other = "00D000000000001EAA", "00D000000000002EAA"
	for identity, refused := range map[string]bool{
		"https://login.salesforce.com/id/" + mine + "/005000000000001AAA":     false,
		"https://login.salesforce.com/id/" + mine[:15] + "/005000000000001":   false,
		"https://test.salesforce.com/orgs/a/id/" + other + "/005000000000001": true,
		"": false, "https://login.salesforce.com/": false, "://": false,
	} {
		b := setup(t)
		b.knowsOrg(t, mine)
		issuer := &elsewhere{rotating: b.issuer, identity: identity}
		custodian := b.custodianOf(b.store, issuer)
		access, err := custodian.Get(t.Context(), "acme", "main", nil)
		if !refused {
			require.NoError(t, err, identity)
			require.NotEmpty(t, access.GetAccessToken())
			continue
		}
		var e *salesforce.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, tokens.CodeOtherOrg, e.Code)
		require.Equal(t, salesforce.ClassAuth, e.Class, "the lane waits")
		require.Contains(t, e.Detail, mine)
		require.Contains(t, e.Detail, other)
		require.Nil(t, access)

		// The grant that was rotated with it is not lost: once the other org is accepted, it works.
		_, err = custodian.Get(t.Context(), "acme", "main", nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, 1, b.issuer.count(), "Salesforce is not asked again at once")
		b.knowsOrg(t, other)
		custodian.Retry("acme", "main")
		access, err = custodian.Get(t.Context(), "acme", "main", nil)
		require.NoError(t, err)
		require.NotEmpty(t, access.GetAccessToken())
	}
}

// knowsOrg notes which org the connection was made for.
func (b *testBundle) knowsOrg(t *testing.T, id string) {
	t.Helper()
	doc, err := b.store.Get(t.Context(), key())
	require.NoError(t, err)
	c := &configv1.Connection{}
	require.NoError(t, proto.Unmarshal(doc.Body, c))
	c.Org = &configv1.Org{Id: id}
	body, err := proto.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, b.store.Put(t.Context(), store.Save{Key: key(), Expected: doc.Version, Body: body, At: epoch}))
}
