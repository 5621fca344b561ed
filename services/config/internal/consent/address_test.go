package consent_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
)

const (
	anywhere   = configv1.Environment_ENVIRONMENT_UNSPECIFIED
	production = configv1.Environment_ENVIRONMENT_PRODUCTION
	sandbox    = configv1.Environment_ENVIRONMENT_SANDBOX
)

func TestWhereALoginBegins(t *testing.T) {
	t.Attr("requirement", "IMM-9")
	t.Attr("requirement", "IMM-10")
	t.Parallel()
	a := consent.Addresses{Domains: []string{".my.salesforce.mil"}}
	for _, c := range []struct {
		text string
		want configv1.Environment
		url  string
		is   configv1.Environment
	}{
		{"", anywhere, "https://login.salesforce.com", production},
		{" ", production, "https://login.salesforce.com", production},
		{"", sandbox, "https://test.salesforce.com", sandbox},
		{"https://login.salesforce.com/", anywhere, "https://login.salesforce.com", production},
		{"https://acme.my.salesforce.com", production, "https://acme.my.salesforce.com", production},
		{"acme.my.salesforce.com", anywhere, "https://acme.my.salesforce.com", production},
		{" HTTPS://Acme.My.Salesforce.com:443/lightning/page/home?x=1#y\n", anywhere, "https://acme.my.salesforce.com", production},
		{"https://acme.lightning.force.com/lightning/o/Lead/list", anywhere, "https://acme.my.salesforce.com", production},
		{"https://acme--uat.sandbox.lightning.force.com/", sandbox, "https://acme--uat.sandbox.my.salesforce.com", sandbox},
		{"https://acme--uat.my.salesforce.com", sandbox, "https://acme--uat.my.salesforce.com", sandbox},
		{"https://acme-dev-ed.develop.my.salesforce.com", production, "https://acme-dev-ed.develop.my.salesforce.com", production},
		{"https://ruby.scratch.my.salesforce.com", anywhere, "https://ruby.scratch.my.salesforce.com", sandbox},
		{"https://acme.my.salesforce-setup.com/lightning/setup", anywhere, "https://acme.my.salesforce.com", production},
		{"https://navy.my.salesforce.mil", anywhere, "https://navy.my.salesforce.mil", production},
	} {
		got, is, err := a.Login(c.text, c.want)
		require.NoError(t, err, c.text)
		require.Equal(t, c.url, got)
		require.Equal(t, c.is, is, c.text)
	}
}

func TestWhereNoLoginBegins(t *testing.T) {
	t.Attr("requirement", "IMM-10")
	t.Parallel()
	a := consent.Addresses{}
	for _, text := range []string{
		"http://acme.my.salesforce.com", "https://user:pw@acme.my.salesforce.com", "https://acme.my.salesforce.com@evil.example",
		"https://evil.example", "https://acme.my.salesforce.com.evil.example", "https://my.salesforce.com", "https://.my.salesforce.com",
		"https://evilmy.salesforce.com", "https://evil.salesforce.com", "https://10.0.0.1", "https://localhost", "http://127.0.0.1:8700/orgs/acme",
		"https://[::1]", "https://acme.my.salesforce.com:8443", "javascript:alert(1)", "ftp://acme.my.salesforce.com", "https://",
		"https://intranet", "https://a_b.my.salesforce.com", "https://a..my.salesforce.com", "https://acmé.my.salesforce.com",
	} {
		_, _, err := a.Login(text, anywhere)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), "pw@")
	}
	_, _, err := a.Login("https://acme--uat.sandbox.my.salesforce.com", production)
	require.ErrorContains(t, err, "do not agree")
	_, _, err = a.Login("https://login.salesforce.com", sandbox)
	require.ErrorContains(t, err, "do not agree")
}

func TestDevelopmentAddresses(t *testing.T) {
	t.Parallel()
	embedded := consent.Addresses{Embedded: true}
	got, is, err := embedded.Login("http://127.0.0.1:8700/orgs/acme/", sandbox)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8700/orgs/acme", got)
	require.Equal(t, sandbox, is)
	trusted := consent.Addresses{Trusted: []string{"simulator"}}
	got, _, err = trusted.Login("http://simulator:8700/orgs/acme", anywhere)
	require.NoError(t, err)
	require.Equal(t, "http://simulator:8700/orgs/acme", got)
	_, _, err = trusted.Login("http://localhost:8700", anywhere)
	require.ErrorContains(t, err, "embedded")
}

// TestNoTextLeadsAway looks for a text that would send an administrator's password to somebody else.
func TestNoTextLeadsAway(t *testing.T) {
	t.Attr("requirement", "IMM-10")
	t.Parallel()
	pieces := []string{
		"https://", "http://", "login.salesforce.com", ".my.salesforce.com", "evil.example", "@", ":", "/", "\\", "?", "#", ".", "acme",
		"%2e", " ", "\t", "127.0.0.1", "[::1]", "--", "lightning.force.com", "。", "x",
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 8).Draw(t, "pieces"), "")
		got, _, err := consent.Addresses{}.Login(text, anywhere)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		require.NoError(t, err)
		require.Equal(t, "https", u.Scheme)
		require.Empty(t, u.Path+u.RawQuery+u.Fragment+u.Port())
		require.True(t, u.Host == "login.salesforce.com" || u.Host == "test.salesforce.com" || strings.HasSuffix(u.Host, ".my.salesforce.com"), got)
		again, _, err := consent.Addresses{}.Login(got, anywhere)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
