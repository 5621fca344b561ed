package normalize

import (
	"net/url"
	"strings"
)

// emailParameter is the link parameter that tells who a link was sent to.
const emailParameter = "anon_email"

// ContentLink returns the address of a content, fit to be shown as a link: only http and https survive, anything else
// becomes "". The parameter that names the person a link was sent to is dropped; other parameters stay, because many
// platforms need them to find the content.
func ContentLink(raw string) string {
	s := webLink(raw)
	head, query, found := strings.Cut(s, "?")
	if !found {
		return s
	}
	query, fragment, hasFragment := strings.Cut(query, "#")
	var kept []string
	dropped := false
	for pair := range strings.SplitSeq(query, "&") {
		if isEmailParameter(pair) {
			dropped = true
			continue
		}
		kept = append(kept, pair)
	}
	if !dropped {
		return s
	}
	if len(kept) > 0 {
		head += "?" + strings.Join(kept, "&")
	}
	if hasFragment {
		head += "#" + fragment
	}
	return head
}

func isEmailParameter(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	return strings.EqualFold(name, emailParameter)
}

// TargetLink returns where a call to action leads, without user information, query string and fragment: all three may
// hold personal data. Only http and https survive, anything else becomes "".
func TargetLink(raw string) string {
	s := webLink(raw)
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	scheme, rest, _ := strings.Cut(s, "://")
	host, path, hasPath := strings.Cut(rest, "/")
	at := strings.LastIndexByte(host, '@')
	if at == len(host)-1 {
		return "" // no host at all
	}
	if at < 0 {
		return s
	}
	s = scheme + "://" + host[at+1:]
	if hasPath {
		s += "/" + path
	}
	return s
}

func webLink(raw string) string {
	s := raw
	if !isClean(s) {
		s = clean(s)
	}
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) &&
			!strings.ContainsAny(s, " <>\"") && strings.IndexByte("/?#", s[len(scheme)]) < 0 {
			return s
		}
	}
	return ""
}
