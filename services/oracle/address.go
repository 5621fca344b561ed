package oracle

import (
	"net/url"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// address returns the form in which addresses are compared (IMM-31): without surrounding space, in lower case, with
// the domain in ASCII. It returns "" for anything that is not an address.
func address(raw string) string {
	s := strings.ToLower(norm.NFKC.String(strings.TrimSpace(raw)))
	local, domain, found := strings.Cut(s, "@")
	if !found || local == "" || len(s) > 254 || strings.ContainsAny(s, " \t\r\n\"(),:;<>[]\\{}") {
		return ""
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(strings.Trim(ascii, "."), ".") || strings.Contains(ascii, "@") {
		return ""
	}
	return local + "@" + ascii
}

// linkAddress is address for what came with a link (LOOM-24): percent encoding is undone, and a space inside the part
// before the @ was a plus sign.
func linkAddress(raw string) string {
	if decoded, err := url.PathUnescape(raw); err == nil {
		raw = decoded
	}
	local, domain, found := strings.Cut(strings.TrimSpace(raw), "@")
	if !found {
		return ""
	}
	return address(strings.ReplaceAll(local, " ", "+") + "@" + domain)
}
