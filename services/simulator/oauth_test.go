package simulator_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

const callback = "https://console.example/oauth/callback"

func oauthScenario(apps ...simulator.App) *simulator.Scenario {
	return &simulator.Scenario{Orgs: []simulator.Org{
		{
			Key:   "acme",
			Apps:  append([]simulator.App{{ClientID: "app", ClientSecret: "secret", RunAs: "int@acme.example"}}, apps...),
			Users: []simulator.User{{Username: "int@acme.example"}, {Username: "hana@acme.example", Password: "pw", FirstName: "Hana", LastName: "Sato"}, {Username: "gone@acme.example", Inactive: true}},
		},
		{Key: "other", Apps: []simulator.App{{ClientID: "elsewhere", ClientSecret: "secret"}}},
	}}
}

// authorize goes through the consent page and returns the parameters of the redirect.
func (b *bundle) authorize(values url.Values) url.Values {
	b.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(b.base+"/services/oauth2/authorize", values)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	require.Equal(b.t, http.StatusFound, res.StatusCode)
	u, err := url.Parse(res.Header.Get("Location"))
	require.NoError(b.t, err)
	return u.Query()
}

func (b *bundle) exchange(values url.Values) (int, map[string]string) {
	b.t.Helper()
	status, body := b.form("/orgs/acme/services/oauth2/token", values)
	var answer map[string]string
	require.NoError(b.t, json.Unmarshal([]byte(body), &answer), body)
	return status, answer
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setupWith(t, oauthScenario(
		simulator.App{ClientID: "norun", ClientSecret: "s"}, simulator.App{ClientID: "blocked", ClientSecret: "s", Blocked: true},
		simulator.App{ClientID: "goneuser", ClientSecret: "s", RunAs: "gone@acme.example"},
		simulator.App{ClientID: "far", ClientSecret: "s", RunAs: "int@acme.example", AllowedAddresses: []string{"203.0.113.0/24"}},
	))
	cc := "client_credentials"
	for _, tc := range []struct{ grant, id, secret, code, description string }{
		{"", "app", "secret", "invalid_request", "missing required parameter: grant_type"},
		{"password", "app", "secret", "unsupported_grant_type", "grant type not supported"},
		{cc, "nobody", "s", "invalid_client_id", "client identifier invalid"},
		{cc, "elsewhere", "secret", "app_not_found", "External client app is not installed in this org"},
		{cc, "app", "wrong", "invalid_client", "invalid client credentials"},
		{cc, "norun", "s", "invalid_grant", "no client credentials user enabled"},
		{cc, "blocked", "s", "app_blocked", "this app is blocked by admin"},
		{cc, "goneuser", "s", "inactive_user", "user is inactive"},
		{cc, "far", "s", "invalid_grant", "ip restricted"},
		{"refresh_token", "app", "secret", "invalid_grant", "expired access/refresh token"},
		{"authorization_code", "app", "secret", "invalid_grant", "expired authorization code"},
	} {
		t.Run(tc.code+"/"+tc.id, func(t *testing.T) {
			t.Parallel()
			status, answer := b.exchange(url.Values{"grant_type": {tc.grant}, "client_id": {tc.id}, "client_secret": {tc.secret}})
			require.Equal(t, http.StatusBadRequest, status)
			require.Equal(t, map[string]string{"error": tc.code, "error_description": tc.description}, answer)
		})
	}
}

func TestWebServerFlow(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	app := simulator.App{ClientID: "web", ClientSecret: "s", RedirectURIs: []string{callback}, PKCE: true, RotateRefreshTokens: true}
	verifier := "a-verifier-of-enough-length-0123456789-0123456789"
	sum := sha256.Sum256([]byte(verifier))
	ask := func() url.Values {
		return url.Values{
			"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {callback}, "state": {"xyz"}, "username": {"hana@acme.example"}, "password": {"pw"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "answer": {"allow"},
		}
	}
	redeem := func(code string) url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "client_id": {"web"}, "client_secret": {"s"}, "redirect_uri": {callback}, "code_verifier": {verifier},
		}
	}

	t.Run("PKCEAndRotation", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, oauthScenario(app))
		back := b.authorize(ask())
		require.Equal(t, "xyz", back.Get("state"))

		wrong := redeem(back.Get("code"))
		wrong.Set("code_verifier", "another")
		status, answer := b.exchange(wrong)
		require.Equal(t, http.StatusBadRequest, status)
		require.Equal(t, "invalid_request", answer["error"])

		status, answer = b.exchange(redeem(back.Get("code")))
		require.Equal(t, http.StatusOK, status, answer)
		first := answer["refresh_token"]
		require.NotEmpty(t, first)
		require.Equal(t, b.base, answer["instance_url"])
		_, again := b.exchange(redeem(back.Get("code")))
		require.Equal(t, "expired authorization code", again["error_description"], "a code works once")

		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"web"}, "client_secret": {"s"}, "refresh_token": {first}}
		status, answer = b.exchange(refresh)
		require.Equal(t, http.StatusOK, status)
		require.NotEqual(t, first, answer["refresh_token"])
		status, _ = b.exchange(refresh)
		require.Equal(t, http.StatusBadRequest, status, "a rotated token works once")

		b.token = answer["access_token"]
		_, body := b.do(http.MethodGet, b.base+"/services/oauth2/userinfo", "")
		require.Contains(t, body, `"preferred_username":"hana@acme.example"`)
		res, body := b.do(http.MethodGet, answer["id"]+"?version=latest", "")
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		require.Contains(t, body, b.base+"/services/data/v67.0/")

		_, body = b.form("/orgs/acme/services/oauth2/introspect", url.Values{"client_id": {"web"}, "client_secret": {"s"}, "token": {b.token}})
		require.Contains(t, body, `"active":true`)
		status, _ = b.form("/orgs/acme/services/oauth2/revoke", url.Values{"token": {answer["refresh_token"]}})
		require.Equal(t, http.StatusOK, status)
		status, body = b.call(http.MethodGet, "/limits", "")
		require.Equal(t, http.StatusUnauthorized, status, "revoking the refresh token ends its sessions")
		require.JSONEq(t, `[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]`, body)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, oauthScenario(app))
		for want, change := range map[string]func(url.Values){
			"access_denied":             func(v url.Values) { v.Set("answer", "deny") },
			"invalid_request":           func(v url.Values) { v.Del("code_challenge") },
			"invalid_scope":             func(v url.Values) { v.Set("scope", "api everything") },
			"unsupported_response_type": func(v url.Values) { v.Set("response_type", "token") },
		} {
			v := ask()
			change(v)
			require.Equal(t, want, b.authorize(v).Get("error"))
		}
		v := ask()
		v.Set("redirect_uri", "https://evil.example")
		status, body := b.form("/orgs/acme/services/oauth2/authorize", v)
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, "redirect_uri_mismatch")
		v = ask()
		v.Set("password", "guess")
		status, _ = b.form("/orgs/acme/services/oauth2/authorize", v)
		require.Equal(t, http.StatusUnauthorized, status)
	})

	t.Run("SixthGrantEndsTheOldest", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, oauthScenario(simulator.App{ClientID: "web", ClientSecret: "s", RedirectURIs: []string{callback}}))
		var tokens []string
		for range 6 {
			b.clock.advance(time.Minute)
			_, answer := b.exchange(redeem(b.authorize(ask()).Get("code")))
			tokens = append(tokens, answer["refresh_token"])
		}
		for i, want := range []int{http.StatusBadRequest, http.StatusOK} {
			status, _ := b.exchange(url.Values{"grant_type": {"refresh_token"}, "client_id": {"web"}, "client_secret": {"s"}, "refresh_token": {tokens[i]}})
			require.Equal(t, want, status, i)
		}
	})
}

func TestJWTBearer(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(t, err)
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	b := setupWith(t, oauthScenario(simulator.App{ClientID: "jwt", ClientSecret: "s", Certificate: cert, AdminApproved: []string{"int@acme.example"}}))
	sign := func(sub, aud string, signer *rsa.PrivateKey) url.Values {
		head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`))
		body := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"jwt","sub":%q,"aud":%q,"exp":%d}`, sub, aud, b.clock.Now().Add(3*time.Minute).Unix()))
		sum := sha256.Sum256([]byte(head + "." + body))
		sig, err := rsa.SignPKCS1v15(rand.Reader, signer, crypto.SHA256, sum[:])
		require.NoError(t, err)
		return url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {head + "." + body + "." + base64.RawURLEncoding.EncodeToString(sig)},
		}
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	status, answer := b.exchange(sign("int@acme.example", "https://login.salesforce.com", key))
	require.Equal(t, http.StatusOK, status, answer)
	require.Empty(t, answer["refresh_token"])
	for want, values := range map[string]url.Values{
		"Invalid JWT Signature.":                        sign("int@acme.example", b.base, stranger),
		"Audience validation failed":                    sign("int@acme.example", "https://elsewhere.example", key),
		"user is not admin approved to access this app": sign("hana@acme.example", b.base, key),
		"user hasn't approved this consumer":            sign("nobody@acme.example", b.base, key),
	} {
		status, answer := b.exchange(values)
		require.Equal(t, http.StatusBadRequest, status)
		require.Equal(t, want, answer["error_description"])
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := setup(t)
	other := b.signIn("other", "other-app", "secret")
	mine := b.token
	b.token = other
	status, _ := b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusUnauthorized, status, "a token of another org opens nothing")

	b.token = mine
	b.clock.advance(90 * time.Minute)
	status, _ = b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusOK, status)
	b.clock.advance(90 * time.Minute)
	status, _ = b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusOK, status, "use keeps a session alive")
	b.clock.advance(3 * time.Hour)
	status, _ = b.call(http.MethodGet, "/limits", "")
	require.Equal(t, http.StatusUnauthorized, status)

	res, body := b.do(http.MethodGet, b.base+"/services/oauth2/userinfo", "")
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.Equal(t, "Bad_OAuth_Token\n", body)
}
