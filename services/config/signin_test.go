package config_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/config/internal/oidc/oidctest"
)

// withIssuer starts a service that trusts an issuer, with workspace acme and aoi as its owner.
func withIssuer(t *testing.T) (*testBundle, *oidctest.Issuer) {
	t.Helper()
	return withIssuerAnd(t)
}

// withIssuerAnd knows more callers.
func withIssuerAnd(t *testing.T, more ...config.Caller) (*testBundle, *oidctest.Issuer) {
	t.Helper()
	return withIssuerOn(t, func(b *testBundle) { b.cfg.Callers = append(b.cfg.Callers, more...) })
}

// withIssuerOn starts with a changed configuration.
func withIssuerOn(t *testing.T, change func(*testBundle)) (*testBundle, *oidctest.Issuer) {
	t.Helper()
	issuer := oidctest.New(t)
	b := prepare(t)
	change(b)
	b.cfg.Access.OIDC.Issuer, b.cfg.Access.OIDC.ClientID = issuer.URL, oidctest.ClientID
	b.start(t)
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	owner := member("aoi", configv1.Role_ROLE_OWNER, 0)
	owner.Subject = "aoi"
	require.NoError(t, put(t.Context(), b.access(t, adminToken), owner))
	return b, issuer
}

func (b *testBundle) reads(t *testing.T, token, workspace string) codes.Code {
	t.Helper()
	_, err := b.client(t, token).GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: workspace})
	return status.Code(err)
}

func TestAnIDTokenLetsAMemberInWhereTheyAreOne(t *testing.T) {
	t.Parallel()
	b, issuer := withIssuer(t)
	aoi := issuer.Token(t, "aoi", epoch, nil)
	require.Equal(t, codes.OK, b.reads(t, aoi, "acme"))
	require.Equal(t, codes.PermissionDenied, b.reads(t, aoi, "globex"))
	require.Equal(t, codes.PermissionDenied, b.reads(t, aoi, "nowhere"), "whether it exists makes no difference")
	require.NoError(t, put(t.Context(), b.access(t, aoi), member("ren", configv1.Role_ROLE_VIEWER, 0)))
	require.Equal(t, codes.Unauthenticated, b.reads(t, issuer.Token(t, "stranger", epoch, nil), "acme"))
	require.Equal(t, codes.Unauthenticated, b.reads(t, issuer.Forged(t, "aoi", epoch), "acme"))
	require.Equal(t, codes.Unauthenticated, b.reads(t, issuer.Token(t, "aoi", epoch.Add(-2*time.Hour), nil), "acme"))

	elsewhere := &configv1.Member{Workspace: "globex", Id: "aoi", Name: "Aoi", Role: configv1.Role_ROLE_VIEWER, Subject: "aoi"}
	require.NoError(t, put(t.Context(), b.access(t, adminToken), elsewhere))
	require.Equal(t, codes.OK, b.reads(t, aoi, "globex"))
	_, err := b.client(t, aoi).PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "globex", ContentId: "v"},
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "an owner there is only a viewer here")
	listed, err := b.client(t, aoi).ListWorkspaces(t.Context(), &configv1.ListWorkspacesRequest{})
	require.NoError(t, err)
	require.Len(t, listed.GetWorkspaces(), 2)

	_, err = b.access(t, adminToken).RemoveMember(t.Context(), &configv1.RemoveMemberRequest{Workspace: "globex", Member: "aoi"})
	require.NoError(t, err)
	require.Equal(t, codes.PermissionDenied, b.reads(t, aoi, "globex"), "removal takes effect at once")
}

func TestSignInAcceptsInvitationsAndGivesASession(t *testing.T) {
	t.Parallel()
	b, issuer := withIssuer(t)
	ctx := t.Context()
	ren := member("ren", configv1.Role_ROLE_INTEGRATION_EDITOR, 0)
	ren.Subject, ren.Email = "", " Ren@Acme.example"
	require.NoError(t, put(ctx, b.access(t, acmeToken), ren))
	kim := member("z-kim", configv1.Role_ROLE_ADMIN, 0)
	kim.Subject, kim.Email = "", "kim@acme.example"
	require.NoError(t, put(ctx, b.access(t, acmeToken), kim))
	open := b.access(t, "")
	signIn := func(token, nonce string) (*configv1.Session, error) {
		resp, err := open.SignIn(ctx, &configv1.SignInRequest{IdToken: token, Nonce: nonce})
		return resp.GetSession(), err
	}
	for name, c := range map[string]struct{ token, nonce string }{
		"not a member":          {issuer.Token(t, "mio", epoch, nil), ""},
		"address not verified":  {issuer.Token(t, "ren", epoch, map[string]any{"email_verified": false}), ""},
		"letters that look so":  {issuer.Token(t, "mio", epoch, map[string]any{"email": "\u212aim@acme.example"}), ""},
		"forged":                {issuer.Forged(t, "ren", epoch), ""},
		"nonce is another's":    {issuer.Token(t, "ren", epoch, map[string]any{"nonce": "mine"}), "yours"},
		"nonce missing":         {issuer.Token(t, "ren", epoch, map[string]any{"nonce": "mine"}), ""},
		"nonce nobody asked of": {issuer.Token(t, "ren", epoch, nil), "mine"},
		"not a token":           {"x", ""},
	} {
		_, err := signIn(c.token, c.nonce)
		require.Equal(t, codes.Unauthenticated, status.Code(err), name)
	}
	require.Equal(t, codes.Unauthenticated, b.reads(t, issuer.Token(t, "ren", epoch, nil), "acme"), "not before signing in")

	session, err := signIn(issuer.Token(t, "ren", epoch, map[string]any{"nonce": "mine"}), "mine")
	require.NoError(t, err)
	require.Equal(t, epoch.Add(b.cfg.Access.Session), session.GetExpiresAt().AsTime())
	require.Equal(t, codes.OK, b.reads(t, session.GetToken(), "acme"))
	require.Equal(t, codes.OK, b.reads(t, issuer.Token(t, "ren", epoch, nil), "acme"))
	members, err := b.access(t, session.GetToken()).ListMembers(ctx, &configv1.ListMembersRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, "ren", members.GetMembers()[1].GetSubject())
	require.Empty(t, members.GetMembers()[1].GetEmail())

	other, err := signIn(issuer.Token(t, "ren", epoch, nil), "")
	require.NoError(t, err)
	_, err = b.access(t, session.GetToken()).SignOut(ctx, &configv1.SignOutRequest{})
	require.NoError(t, err)
	require.Equal(t, codes.Unauthenticated, b.reads(t, session.GetToken(), "acme"))
	require.Equal(t, codes.OK, b.reads(t, other.GetToken(), "acme"))
	_, err = b.access(t, acmeToken).SignOut(ctx, &configv1.SignOutRequest{})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	b.clock.Advance(b.cfg.Access.Session)
	require.Equal(t, codes.Unauthenticated, b.reads(t, other.GetToken(), "acme"), "expired")
}

func TestSignInNeedsAnIssuerThatAnswers(t *testing.T) {
	t.Parallel()
	b, issuer := withIssuer(t)
	issuer.SetAway(true)
	require.Equal(t, codes.Unavailable, b.reads(t, issuer.Token(t, "aoi", epoch, nil), "acme"))
	require.Equal(t, codes.OK, b.reads(t, acmeToken, "acme"), "everybody else goes on")

	none := setup(t)
	_, err := none.access(t, "").SignIn(t.Context(), &configv1.SignInRequest{IdToken: "a.b.c"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, codes.Unauthenticated, none.reads(t, "a.b.c", "acme"))
}

func TestTheAdministratorsLinkWorksOnceAndNotForLong(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.workspace(t, "acme")
	redeem := func(secret string) (string, error) {
		resp, err := b.access(t, "").RedeemAdministratorLink(ctx, &configv1.RedeemAdministratorLinkRequest{Secret: secret})
		return resp.GetSession().GetToken(), err
	}
	secret, until, err := b.svc.AdministratorLink(ctx)
	require.NoError(t, err)
	require.Equal(t, epoch.Add(b.cfg.Access.Link), until)
	require.Equal(t, codes.Unauthenticated, b.reads(t, secret, "acme"), "the link is not a token")

	tokens := make([]string, 5)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			resp, err := configv1.NewAccessServiceClient(b.dial(t, "")).RedeemAdministratorLink(ctx,
				&configv1.RedeemAdministratorLinkRequest{Secret: secret})
			if err == nil {
				tokens[i] = resp.GetSession().GetToken()
			}
		})
	}
	wg.Wait()
	var got []string
	for _, token := range tokens {
		if token != "" {
			got = append(got, token)
		}
	}
	require.Len(t, got, 1, "single use")
	require.Equal(t, codes.OK, b.reads(t, got[0], "acme"))
	require.NoError(t, put(ctx, b.access(t, got[0]), member("aoi", configv1.Role_ROLE_OWNER, 0)))
	_, err = redeem(secret)
	require.Equal(t, codes.Unauthenticated, status.Code(err))

	late, _, err := b.svc.AdministratorLink(ctx)
	require.NoError(t, err)
	b.clock.Advance(b.cfg.Access.Link)
	_, err = redeem(late)
	require.Equal(t, codes.Unauthenticated, status.Code(err), "expired")
	require.Equal(t, codes.OK, b.reads(t, got[0], "acme"))
	b.clock.Advance(b.cfg.Access.Session)
	require.Equal(t, codes.Unauthenticated, b.reads(t, got[0], "acme"))

	hosted := prepare(t)
	hosted.cfg.Embedded = false
	svc, err := config.New(hosted.cfg, hosted.deps)
	require.NoError(t, err)
	_, _, err = svc.AdministratorLink(ctx)
	require.ErrorContains(t, err, "embedded")
	require.NoError(t, svc.Close())
}

func TestAnOperatorSignsInAndSeesWhatWasGranted(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	b := prepare(t)
	b.cfg.Access.OIDC.Issuer, b.cfg.Access.OIDC.ClientID = issuer.URL, oidctest.ClientID
	b.cfg.Access.OIDC.Operators = map[string]string{"sub-ken": "ken"}
	b.cfg.Access.SignIns.PerSecond, b.cfg.Access.SignIns.Burst = 1, 3
	b.start(t)
	ctx := t.Context()
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	ken := issuer.Token(t, "sub-ken", epoch, nil)
	require.Equal(t, codes.PermissionDenied, b.reads(t, ken, "acme"))
	_, err := b.access(t, acmeToken).GrantOperatorAccess(ctx, &configv1.GrantOperatorAccessRequest{
		Workspace: "acme", Operator: "ken", ExpiresAt: timestamppb.New(epoch.Add(time.Hour)),
	})
	require.NoError(t, err)
	resp, err := b.access(t, "").SignIn(ctx, &configv1.SignInRequest{IdToken: ken})
	require.NoError(t, err)
	for _, token := range []string{ken, resp.GetSession().GetToken()} {
		require.Equal(t, codes.OK, b.reads(t, token, "acme"))
		require.Equal(t, codes.PermissionDenied, b.reads(t, token, "globex"))
	}
	for range 2 {
		_, err = b.access(t, "").SignIn(ctx, &configv1.SignInRequest{IdToken: ken})
		require.NoError(t, err)
	}
	_, err = b.access(t, "").SignIn(ctx, &configv1.SignInRequest{IdToken: ken})
	require.Equal(t, time.Second, delayOf(t, err))
	b.clock.Advance(time.Hour)
	require.Equal(t, codes.PermissionDenied, b.reads(t, resp.GetSession().GetToken(), "acme"), "the access ended, the session did not")
}
