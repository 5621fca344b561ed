package oauth_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
)

const callback = "https://console.example/oauth/callback"

func TestLogin(t *testing.T) {
	t.Parallel()
	withRefresh := strings.Replace(granted, "{", `{"refresh_token":"5Aep861",`, 1)

	t.Run("WithPKCE", func(t *testing.T) {
		t.Parallel()
		b := setup(t, 200, withRefresh)
		l := oauth.NewLogin(oauth.Request{LoginURL: b.server.URL + "/", ClientID: "key", ClientSecret: secret.New("hush")}, callback, "api", "refresh_token")
		l.Prompt = "login consent"
		address, err := l.AuthCodeURL()
		require.NoError(t, err)
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, "/services/oauth2/authorize", u.Path)
		require.Equal(t, url.Values{
			"response_type": {"code"}, "client_id": {"key"}, "redirect_uri": {callback}, "scope": {"api refresh_token"}, "prompt": {"login consent"},
			"state": {l.State.Reveal()}, "code_challenge": {oauth2.S256ChallengeFromVerifier(l.Verifier.Reveal())}, "code_challenge_method": {"S256"},
		}, u.Query())

		code, err := l.Code(url.Values{"code": {"aPrx"}, "state": {l.State.Reveal()}})
		require.NoError(t, err)
		token, err := l.Exchange(t.Context(), code)
		require.NoError(t, err)
		require.Equal(t, "5Aep861", token.RefreshToken.Reveal())
		require.Equal(t, b.server.URL, token.InstanceURL)
		require.Equal(t, url.Values{
			"grant_type": {"authorization_code"}, "code": {"aPrx"}, "client_id": {"key"}, "client_secret": {"hush"},
			"redirect_uri": {callback}, "code_verifier": {l.Verifier.Reveal()},
		}, <-b.forms)
	})

	t.Run("WithoutPKCEAndSecret", func(t *testing.T) {
		t.Parallel()
		b := setup(t, 200, withRefresh)
		l := oauth.Login{Request: oauth.Request{LoginURL: b.server.URL, ClientID: "key"}, RedirectURL: callback, State: secret.New("0123456789abcdef")}
		address, err := l.AuthCodeURL()
		require.NoError(t, err)
		require.NotContains(t, address, "challenge")
		_, err = l.Exchange(t.Context(), secret.New("aPrx"))
		require.NoError(t, err)
		form := <-b.forms
		require.False(t, form.Has("code_verifier"))
		require.False(t, form.Has("client_secret"))
	})

	t.Run("TwoLoginsShareNothing", func(t *testing.T) {
		t.Parallel()
		one, two := oauth.NewLogin(oauth.Request{}, callback), oauth.NewLogin(oauth.Request{}, callback)
		require.False(t, one.State.Equal(two.State))
		require.False(t, one.Verifier.Equal(two.Verifier))
		require.False(t, one.State.Equal(one.Verifier))
	})
}

func TestRedirectsThatRefuse(t *testing.T) {
	t.Parallel()
	l := oauth.NewLogin(oauth.Request{LoginURL: "https://login.salesforce.com", ClientID: "key"}, callback)
	for code, want := range map[string]string{
		"access_denied": "access_denied auth SF_AUTH_REVOKED", "access-denied": "access_denied auth SF_AUTH_REVOKED",
		"redirect_uri_mismatch": "redirect_uri_mismatch config SF_REJECTED", "redirect_uri_missing": "redirect_uri_missing config SF_REJECTED",
		"invalid_scope": "invalid_scope config SF_APP_BLOCKED", "immediate_unsuccessful": "immediate_unsuccessful auth SF_AUTH_REVOKED",
		"unsupported_response_type": "unsupported_response_type config SF_APP_BLOCKED", "app_blocked": "app_blocked auth SF_APP_BLOCKED",
		"login_error": "login_error auth SF_AUTH_REVOKED", "invalid_session_level": "invalid_session_level auth SF_APP_BLOCKED",
		"invalid_otp": "invalid_otp auth SF_AUTH_REVOKED", "otp_error": "otp_error auth SF_AUTH_REVOKED",
		"installation_error": "installation_error auth SF_APP_BLOCKED", "invalid_distribution_state": "invalid_distribution_state auth SF_APP_BLOCKED",
		"server_error": "server_error transient SF_UNAVAILABLE", "never_seen": "never_seen unknown SF_REJECTED",
	} {
		_, err := l.Code(url.Values{"error": {code}, "error_description": {"end-user denied hana@acme.example"}, "state": {l.State.Reveal()}})
		var e *salesforce.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Code+" "+e.Class.String()+" "+e.Reason)
		require.NotContains(t, e.Error(), "hana")
	}
	for name, q := range map[string]url.Values{
		"no state": {"code": {"aPrx"}}, "another's": {"code": {"aPrx"}, "state": {"x"}}, "error of another": {"error": {"access_denied"}, "state": {"x"}},
	} {
		_, err := l.Code(q)
		var e *salesforce.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, oauth.CodeStateMismatch, e.Code, name)
	}
	_, err := l.Code(url.Values{"state": {l.State.Reveal()}})
	require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err))
}

func TestLoginsThatCannotBe(t *testing.T) {
	t.Parallel()
	good := oauth.NewLogin(oauth.Request{LoginURL: "https://login.salesforce.com", ClientID: "key"}, callback)
	for name, spoil := range map[string]func(*oauth.Login){
		"foreign host": func(l *oauth.Login) { l.Request.LoginURL = "https://login.example.com" },
		"no key":       func(l *oauth.Login) { l.Request.ClientID = "" },
		"no callback":  func(l *oauth.Login) { l.RedirectURL = "" },
		"no state":     func(l *oauth.Login) { l.State = secret.String{} },
		"short state":  func(l *oauth.Login) { l.State = secret.New("123456789012345") },
		"short proof":  func(l *oauth.Login) { l.Verifier = secret.New(strings.Repeat("a", 42)) },
		"long proof":   func(l *oauth.Login) { l.Verifier = secret.New(strings.Repeat("a", 129)) },
	} {
		l := good
		spoil(&l)
		_, err := l.AuthCodeURL()
		require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err), name)
		_, err = l.Code(url.Values{"code": {"aPrx"}, "state": {l.State.Reveal()}})
		require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err), name)
		_, err = l.Exchange(t.Context(), secret.New("aPrx"))
		require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err), name)
	}
}

func TestRevokeAndIntrospect(t *testing.T) {
	t.Parallel()
	request := func(b *testBundle) oauth.Request {
		return oauth.Request{LoginURL: b.server.URL, ClientID: "key", ClientSecret: secret.New("hush")}
	}
	b := setup(t, 200, "")
	require.NoError(t, oauth.Revoke(t.Context(), request(b), secret.New("5Aep861")))
	require.Equal(t, url.Values{"token": {"5Aep861"}}, <-b.forms)

	b = setup(t, 200, `{"active":true,"scope":"id api","client_id":"key","username":"int@acme.example","sub":"https://login.salesforce.com/id/00D/005",
		"token_type":"access_token","exp":1786413600,"iat":1786406400,"nbf":1786406400}`)
	got, err := oauth.Introspect(t.Context(), request(b), secret.New("00D!AQ"))
	require.NoError(t, err)
	require.Equal(t, oauth.Introspection{
		Active: true, Scope: "id api", ClientID: "key", Username: "int@acme.example", Subject: "https://login.salesforce.com/id/00D/005",
		TokenType: "access_token", ExpiresAt: time.Unix(1786413600, 0).UTC(), IssuedAt: time.Unix(1786406400, 0).UTC(),
	}, got)
	require.Equal(t, url.Values{"token": {"00D!AQ"}, "client_id": {"key"}, "client_secret": {"hush"}}, <-b.forms)
	got, err = oauth.Introspect(t.Context(), request(setup(t, 200, `{"active":false}`)), secret.New("00D!AQ"))
	require.NoError(t, err)
	require.Equal(t, oauth.Introspection{}, got)

	for _, c := range []struct {
		status     int
		body, want string
	}{
		{400, `{"error":"invalid_token","error_description":"invalid token: 00D!AQ"}`, "invalid_token auth"},
		{400, `{"error":"unsupported_token_type"}`, "unsupported_token_type auth"},
		{401, `{"error":"invalid_client"}`, "invalid_client config"},
		{503, "<html>", salesforce.CodeNotJSON + " transient"},
		{307, "", salesforce.CodeRedirected + " config"},
	} {
		b := setup(t, c.status, c.body)
		_, err := oauth.Introspect(t.Context(), request(b), secret.New("00D!AQ"))
		for _, err := range []error{err, oauth.Revoke(t.Context(), request(b), secret.New("00D!AQ"))} {
			var e *salesforce.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.want, e.Code+" "+e.Class.String())
			require.NotContains(t, e.Error(), "hush")
		}
	}
	_, err = oauth.Introspect(t.Context(), request(setup(t, 200, "{}")), secret.New("00D!AQ"))
	require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
	require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(oauth.Revoke(t.Context(), oauth.Request{LoginURL: "http://login.salesforce.com"}, secret.New("x"))))
}
