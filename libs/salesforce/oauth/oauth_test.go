package oauth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
)

// testBundle is a token endpoint that the test scripts; forms holds what it was sent.
type testBundle struct {
	server *httptest.Server
	forms  chan url.Values
}

func setup(t *testing.T, status int, body string) *testBundle {
	t.Helper()
	b := &testBundle{forms: make(chan url.Values, 4)}
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		b.forms <- r.PostForm
		if status == http.StatusTemporaryRedirect {
			w.Header().Set("Location", "https://evil.example/token")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "{url}", b.server.URL))
	}))
	t.Cleanup(b.server.Close)
	return b
}

const granted = `{"access_token":"00DSM!AQ0A","instance_url":"{url}","id":"https://login.salesforce.com/id/00D/005",
	"token_type":"Bearer","issued_at":"1786406400123","scope":"api","signature":"x"}`

func TestGrants(t *testing.T) {
	t.Parallel()

	t.Run("ClientCredentials", func(t *testing.T) {
		t.Parallel()
		b := setup(t, 200, granted)
		token, err := oauth.ClientCredentials(t.Context(), oauth.Request{
			LoginURL: b.server.URL + "/", ClientID: "key", ClientSecret: secret.New("hush"),
		})
		require.NoError(t, err)
		require.Equal(t, "00DSM!AQ0A", token.AccessToken.Reveal())
		require.Equal(t, b.server.URL, token.InstanceURL)
		require.Equal(t, time.UnixMilli(1786406400123).UTC(), token.IssuedAt)
		require.True(t, token.RefreshToken.IsEmpty())
		form := <-b.forms
		require.Equal(t, "client_credentials", form.Get("grant_type"))
		require.Equal(t, "key", form.Get("client_id"))
		require.Equal(t, "hush", form.Get("client_secret"))
	})

	t.Run("RefreshTellsWhetherTheGrantWasRotated", func(t *testing.T) {
		t.Parallel()
		request := oauth.Request{ClientID: "key", RefreshToken: secret.New("old")}
		b := setup(t, 200, granted)
		request.LoginURL = b.server.URL
		token, err := oauth.Refresh(t.Context(), request)
		require.NoError(t, err)
		require.True(t, token.RefreshToken.IsEmpty())
		form := <-b.forms
		require.Equal(t, "refresh_token", form.Get("grant_type"))
		require.Equal(t, "old", form.Get("refresh_token"))
		rotating := setup(t, 200, strings.Replace(granted, "{", `{"refresh_token":"new",`, 1))
		request.LoginURL = rotating.server.URL
		token, err = oauth.Refresh(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, "new", token.RefreshToken.Reveal())
	})

	t.Run("JWTBearer", func(t *testing.T) {
		t.Parallel()
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
		b := setup(t, 200, granted)
		_, err = oauth.JWTBearer(t.Context(), oauth.Request{
			LoginURL: b.server.URL, ClientID: "key", Subject: "int@acme.example", PrivateKey: secret.New(string(text)),
		})
		require.NoError(t, err)
		form := <-b.forms
		require.Equal(t, "urn:ietf:params:oauth:grant-type:jwt-bearer", form.Get("grant_type"))
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(form.Get("assertion"), ".")[1])
		require.NoError(t, err)
		var c struct {
			Iss, Sub, Aud string
			Exp           int64
		}
		require.NoError(t, json.Unmarshal(claims, &c))
		require.Equal(t, "key", c.Iss)
		require.Equal(t, "int@acme.example", c.Sub)
		require.Equal(t, b.server.URL, c.Aud)
		require.WithinDuration(t, time.Now().Add(3*time.Minute), time.Unix(c.Exp, 0), time.Minute)
		_, err = oauth.JWTBearer(t.Context(), oauth.Request{LoginURL: b.server.URL, PrivateKey: secret.New("not a key")})
		require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err))
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-8")
	body := func(code, description string) string {
		return `{"error":"` + code + `","error_description":"` + description + `"}`
	}
	for _, c := range []struct {
		status            int
		code, description string
		want              string
	}{
		{400, "invalid_grant", "expired access/refresh token", "auth SF_AUTH_REVOKED"},
		{400, "invalid_grant", "authentication failure", "auth SF_AUTH_REVOKED"},
		{400, "invalid_grant", "ip restricted or invalid login hours", "auth SF_IP_RESTRICTED"},
		{400, "invalid_grant", "request not supported on this domain", "config SF_AUTH_REVOKED"},
		{400, "invalid_grant", "Audience validation failed", "config SF_AUTH_REVOKED"},
		{400, "inactive_user", "user is inactive", "auth SF_AUTH_REVOKED"},
		{400, "inactive_org", "org is locked, closed, or suspended", "auth SF_API_DISABLED"},
		{400, "app_not_found", "External client app is not installed in this org", "auth SF_APP_BLOCKED"},
		{400, "invalid_app_access", "", "auth SF_APP_BLOCKED"},
		{400, "oauth_flow_disabled", "", "auth SF_APP_BLOCKED"},
		{400, "invalid_client_id", "client identifier invalid", "config SF_AUTH_REVOKED"},
		{400, "invalid_client", "invalid client credentials", "config SF_AUTH_REVOKED"},
		{400, "unsupported_grant_type", "grant type not supported", "config SF_APP_BLOCKED"},
		{400, "invalid_request", "missing required parameter: grant_type", "config SF_REJECTED"},
		{400, "rate_limit_exceeded", "number of logins exceeded", "transient SF_LIMIT"},
		{503, "service_unavailable", "", "transient SF_UNAVAILABLE"},
		{500, "never_seen", "", "transient SF_UNAVAILABLE"},
		{400, "never_seen", "", "unknown SF_REJECTED"},
	} {
		b := setup(t, c.status, body(c.code, c.description))
		request := oauth.Request{LoginURL: b.server.URL, ClientID: "key", ClientSecret: secret.New("hush"), RefreshToken: secret.New("5Aep861")}
		for name, grant := range map[string]func() error{
			"client credentials": func() error { _, err := oauth.ClientCredentials(t.Context(), request); return err },
			"refresh":            func() error { _, err := oauth.Refresh(t.Context(), request); return err },
		} {
			var e *salesforce.Error
			require.ErrorAs(t, grant(), &e, name)
			require.Equal(t, c.want, e.Class.String()+" "+e.Reason, "%s %s", c.code, c.description)
			require.Equal(t, c.code, e.Code)
			for _, hidden := range []string{"hush", "5Aep861", "127.0.0.1"} {
				require.NotContains(t, e.Error(), hidden)
			}
		}
	}
}

func TestOddAnswers(t *testing.T) {
	t.Parallel()
	classOf := func(loginURL string) *salesforce.Error {
		_, err := oauth.ClientCredentials(t.Context(), oauth.Request{LoginURL: loginURL, ClientID: "key"})
		var e *salesforce.Error
		require.ErrorAs(t, err, &e)
		return e
	}
	require.Equal(t, salesforce.ClassTransient, classOf(setup(t, 502, "<html>").server.URL).Class)
	require.Equal(t, salesforce.ClassTransient, classOf(setup(t, 200, "<html>").server.URL).Class)
	require.Equal(t, salesforce.CodeRedirected, classOf(setup(t, 307, "").server.URL).Code)
	require.Equal(t, salesforce.CodeForeignHost, classOf("https://login.example.com").Code)
	foreign := setup(t, 200, strings.Replace(granted, "{url}", "https://evil.example", 1))
	require.Equal(t, salesforce.CodeForeignHost, classOf(foreign.server.URL).Code, "the instance address is checked too")
	require.Equal(t, salesforce.CodeConnection, classOf("http://"+addrtest.Free(t)).Code)
}
