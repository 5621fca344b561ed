package domain

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// OfAddress returns the registrable domain of an address, in ASCII form, or "" when it has none.
func OfAddress(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return ""
	}
	return registrable(address[at+1:])
}

// OfWebsite returns the registrable domains that a website field names, in whatever form people write them: with or without
// scheme, path or port, or several of them. What is none is passed over.
func OfWebsite(text string) []string {
	var all []string
	for _, word := range strings.FieldsFunc(text, separates) {
		if d := registrable(host(word)); d != "" && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

func separates(r rune) bool { return strings.ContainsRune(" \t\r\n,;|<>()\"'\u3000\u3001", r) }

// host cuts what surrounds the host in an address of a page, complete or not.
func host(word string) string {
	if _, rest, ok := strings.Cut(word, "://"); ok {
		word = rest
	}
	word = strings.TrimLeft(word, "/\\")
	if end := strings.IndexAny(word, "/?#\\"); end >= 0 {
		word = word[:end]
	}
	if at := strings.LastIndexByte(word, '@'); at >= 0 {
		word = word[at+1:]
	}
	word, _, _ = strings.Cut(word, ":")
	return word
}

// registrable reduces a host to the domain that somebody registered.
func registrable(host string) string {
	host = strings.Trim(host, ".")
	if !strings.Contains(host, ".") {
		return ""
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return ""
	}
	own, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(ascii))
	if err != nil { // a public suffix itself
		return ""
	}
	return own
}

// Spellings returns how a website may write a domain: as it is, and in its international form.
func Spellings(domain string) []string {
	if international, err := idna.ToUnicode(domain); err == nil && international != domain {
		return []string{domain, international}
	}
	return []string{domain}
}

// Free reports whether a domain's addresses are given to anybody, so that it says nothing about a company. more are domains
// besides the well-known ones.
func Free(domain string, more []string) bool {
	if wellKnown[domain] {
		return true
	}
	return slices.ContainsFunc(more, func(d string) bool { return strings.EqualFold(d, domain) || registrable(d) == domain })
}
