package normalize_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/normalize"
)

func TestEmailComparesAddresses(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-31")

	for name, tc := range map[string]struct{ in, want string }{
		"as it is":                        {"taro@example.com", "taro@example.com"},
		"case":                            {"Taro.Yamada@Example.COM", "taro.yamada@example.com"},
		"surrounding space":               {" \t taro@example.com\u3000", "taro@example.com"},
		"plus tag is significant":         {"taro+news@example.com", "taro+news@example.com"},
		"dots are significant":            {"t.a.r.o@example.com", "t.a.r.o@example.com"},
		"apostrophe":                      {"O'Brien@example.ie", "o'brien@example.ie"},
		"full width":                      {"ｔａｒｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", "taro@example.com"},
		"composed and decomposed":         {"jose\u0301@example.com", "josé@example.com"},
		"international domain":            {"taro@例え.テスト", "taro@xn--r8jz45g.xn--zckzah"},
		"international domain in ASCII":   {"taro@XN--r8jz45g.xn--zckzah", "taro@xn--r8jz45g.xn--zckzah"},
		"upper-case umlaut in a domain":   {"a@BÜCHER.example", "a@xn--bcher-kva.example"},
		"ideographic full stop":           {"taro@example。com", "taro@example.com"},
		"capital letter with its own dot": {"İ@example.com", "i@example.com"},
		"sub-domains":                     {"a@b.c.d.example", "a@b.c.d.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := normalize.Email(tc.in)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestEmailRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-31")

	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"empty":                   {"", normalize.ErrEmailEmpty},
		"only space":              {" \u3000 ", normalize.ErrEmailEmpty},
		"no at sign":              {"taro.example.com", normalize.ErrEmailSyntax},
		"nothing before":          {"@example.com", normalize.ErrEmailSyntax},
		"nothing after":           {"taro@", normalize.ErrEmailSyntax},
		"two at signs":            {"a@b@example.com", normalize.ErrEmailSyntax},
		"no dot in the domain":    {"taro@localhost", normalize.ErrEmailSyntax},
		"address literal":         {"taro@[127.0.0.1]", normalize.ErrEmailSyntax},
		"numeric last label":      {"taro@127.0.0.1", normalize.ErrEmailSyntax},
		"display name":            {"Taro <taro@example.com>", normalize.ErrEmailSyntax},
		"quote":                   {`ta"ro@example.com`, normalize.ErrEmailSyntax},
		"control character":       {"ta\x00ro@example.com", normalize.ErrEmailSyntax},
		"line break":              {"taro\n@example.com", normalize.ErrEmailSyntax},
		"invisible direction":     {"ta\u202ero@example.com", normalize.ErrEmailSyntax},
		"invalid UTF-8":           {"ta\xffro@example.com", normalize.ErrEmailSyntax},
		"leading dot":             {".taro@example.com", normalize.ErrEmailSyntax},
		"double dot":              {"ta..ro@example.com", normalize.ErrEmailSyntax},
		"hyphen first in a label": {"taro@-example.com", normalize.ErrEmailSyntax},
		"broken punycode":         {"taro@xn--a.example", normalize.ErrEmailSyntax},
		"local part too long":     {strings.Repeat("a", 65) + "@example.com", normalize.ErrEmailTooLong},
		"too long":                {"a@" + strings.Repeat("a.", 130) + "example", normalize.ErrEmailTooLong},
		"enormous":                {strings.Repeat("é", 1<<20) + "@example.com", normalize.ErrEmailTooLong},
		"Salesforce merge field":  {"{!Contact.Email}", normalize.ErrEmailMergeField},
		"HubSpot merge field":     {"{{email}}", normalize.ErrEmailMergeField},
		"Mailchimp merge field":   {"*|EMAIL|*", normalize.ErrEmailMergeField},
		"SFMC merge field":        {"%%emailaddr%%", normalize.ErrEmailMergeField},
		"merge field and domain":  {"{{name}}@example.com", normalize.ErrEmailMergeField},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := normalize.Email(tc.in)
			require.ErrorIs(t, err, tc.want)
			require.Empty(t, got)
		})
	}
}

func TestLinkEmailRepairsWhatLinksDoToAddresses(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct{ in, want string }{
		"decoded":                 {"a@b.example", "a@b.example"},
		"still percent-encoded":   {"a%40b.example", "a@b.example"},
		"encoded plus":            {"a%2Bnews@b.example", "a+news@b.example"},
		"raw plus":                {"a+news@b.example", "a+news@b.example"},
		"plus read as space":      {"a news@b.example", "a+news@b.example"},
		"upper case and space":    {" A@B.Example ", "a@b.example"},
		"percent sign of its own": {"50%off@b.example", "50%off@b.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := normalize.LinkEmail(tc.in)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	_, err := normalize.LinkEmail("{!Contact.Email}")
	require.ErrorIs(t, err, normalize.ErrEmailMergeField)
}

func TestEmailOfAPlainAddressAllocatesNothing(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() { _, _ = normalize.Email("taro.yamada@example.com") })
	require.Zero(t, allocs)
}

func FuzzEmail(f *testing.F) {
	for _, s := range []string{"", "a@b.example", "Ａ＠例え.テスト", "İ@x.io", "{{email}}", "a@xn--a.b", "ß@ß.de", "\xff@x.y", "a%40b.example", "ǰ@ﬁ.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (string, error){normalize.Email, normalize.LinkEmail} {
			got, err := parse(s)
			if err != nil {
				require.Empty(t, got)
				continue
			}
			require.LessOrEqual(t, len(got), normalize.MaxEmailBytes)
			require.True(t, utf8.ValidString(got))
			require.NotContains(t, got, "\"")
			again, err := normalize.Email(got)
			require.NoError(t, err)
			require.Equal(t, got, again, "normalising twice changes nothing")
		}
	})
}
