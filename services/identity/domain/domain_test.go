package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/identity/domain"
)

func TestOfAddress(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	for address, want := range map[string]string{
		"mia@acme.co.jp":            "acme.co.jp",
		"mia@Mail.Tokyo.ACME.co.jp": "acme.co.jp",
		"mia@eu.acme.com":           "acme.com",
		"mia@xn--bcher-kva.example": "xn--bcher-kva.example",
		"mia@co.jp":                 "",
		"mia@localhost":             "",
		"mia@192.168.0.1":           "",
		"mia":                       "",
		"":                          "",
	} {
		require.Equal(t, want, domain.OfAddress(address), address)
	}
}

func TestOfWebsite(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	for text, want := range map[string][]string{
		"acme.com":                              {"acme.com"},
		"http://www.acme.com":                   {"acme.com"},
		"HTTPS://Shop.Acme.Co.JP:8443/en?x=1#y": {"acme.co.jp"},
		"//acme.com/":                           {"acme.com"},
		"@acme.com":                             {"acme.com"},
		"https://bücher.example":                {"xn--bcher-kva.example"},
		"acme.com, acme.jp; www.acme.com":       {"acme.com", "acme.jp"},
		"http:/acme.com":                        nil,
		"http://":                               nil,
		"n/a":                                   nil,
		"none":                                  nil,
		"http://[::1]/":                         nil,
		"see our brochure":                      nil,
		"http://acme com":                       nil,
		"http://user:secret@acme.com/%zz":       {"acme.com"},
		"....":                                  nil,
		"http://-acme-.com":                     nil,
		"":                                      nil,
	} {
		require.Equal(t, want, domain.OfWebsite(text), "%q", text)
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	for _, free := range []string{"gmail.com", "yahoo.co.jp", "docomo.ne.jp"} {
		require.True(t, domain.Free(free, nil), free)
	}
	require.False(t, domain.Free("acme.com", nil))
	require.True(t, domain.Free("town-mail.example", []string{"mx.town-mail.example"}), "the workspace's own list")
}

// Whatever stands in a website field: nothing panics, and what comes out is a domain that is its own registrable domain.
func TestWebsitesAreTolerated(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-44")
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("ab.:/@?#%-ü \x00"))),
			rapid.StringMatching(`(https?://)?(www\.)?[a-z]{1,5}\.(com|co\.jp)(/[a-z]*)?`)).Draw(t, "text")
		for _, d := range domain.OfWebsite(text) {
			require.Equal(t, d, domain.OfAddress("x@"+d))
			require.Equal(t, strings.ToLower(d), d)
		}
	})
}
