package normalize

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits of an address in bytes, after normalisation (RFC 5321 §4.5.3.1).
const (
	MaxEmailBytes = 254
	maxLocalBytes = 64
	maxLabelBytes = 63
)

// Why an address was refused. None of them quotes the address.
var (
	// ErrEmailEmpty means that nothing is left after trimming.
	ErrEmailEmpty = errors.New("address is empty")
	// ErrEmailTooLong means more than 254 bytes, or more than 64 before the at sign.
	ErrEmailTooLong = errors.New("address is too long: at most 254 bytes, 64 of them before the at sign")
	// ErrEmailMergeField means that a mail merge left its placeholder in, such as {!Contact.Email} or {{email}}.
	ErrEmailMergeField = errors.New("address is an unresolved merge field")
	// ErrEmailSyntax means anything else that no mail server would take.
	ErrEmailSyntax = errors.New("address is not of the form name@domain")
)

// Email returns the form of an address in which addresses are compared: surrounding space trimmed, Unicode in NFKC
// (so that full-width letters equal half-width ones), lower case, the domain in ASCII form. Plus tags and dots stay
// significant. Quoted local parts, address literals, domains without a dot, and leftovers of a mail merge are refused.
//
// The result is at most 254 bytes and stable: Email of a result is that result. Errors are the sentinels of this
// package and never quote the input.
func Email(raw string) (string, error) {
	s := strings.TrimSpace(raw)
	if s == "" {
		return "", ErrEmailEmpty
	}
	// Nothing so long becomes short enough by folding; a bound before the costly steps.
	if len(s) > 4*MaxEmailBytes {
		return "", ErrEmailTooLong
	}
	if isPlainASCII(s) {
		return checkEmail(strings.ToLower(s))
	}
	if !utf8.ValidString(s) {
		return "", ErrEmailSyntax
	}
	// Lower-casing can undo NFKC for a few letters, hence the second pass.
	s = strings.TrimSpace(norm.NFKC.String(strings.ToLower(norm.NFKC.String(s))))
	return checkEmail(s)
}

// LinkEmail is Email for an address that came in a link's parameter, where encoding mishaps are common: percent
// encoding may still be in place, and a raw plus sign may have been read as a space.
func LinkEmail(raw string) (string, error) {
	s := raw
	if strings.Contains(s, "%") {
		// PathUnescape keeps a raw plus sign, QueryUnescape would not.
		if decoded, err := url.PathUnescape(s); err == nil {
			s = decoded
		}
	}
	s = strings.TrimSpace(s)
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		s = strings.ReplaceAll(s[:at], " ", "+") + s[at:]
	}
	return Email(s)
}

func checkEmail(s string) (string, error) {
	if isMergeField(s) {
		return "", ErrEmailMergeField
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return "", ErrEmailSyntax
	}
	local, domain := s[:at], s[at+1:]
	if !isLocalPart(local) {
		return "", ErrEmailSyntax
	}
	if !isHostName(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || !isHostName(ascii) {
			return "", ErrEmailSyntax
		}
		domain, s = ascii, local+"@"+ascii
	}
	if strings.Contains(domain, "xn--") {
		// Punycode that decodes to nothing sensible is refused, and there is one spelling of each name.
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || ascii != domain {
			return "", ErrEmailSyntax
		}
	}
	if len(s) > MaxEmailBytes || len(local) > maxLocalBytes {
		return "", ErrEmailTooLong
	}
	return s, nil
}

// isMergeField recognises the placeholders of Salesforce, Marketing Cloud, HubSpot, Mailchimp and their like.
func isMergeField(s string) bool {
	for _, mark := range [...]string{"{{", "}}", "{!", "${", "%%", "*|", "|*", "[["} {
		if strings.Contains(s, mark) {
			return true
		}
	}
	return s[0] == '{' || s[0] == '['
}

// isLocalPart accepts the dot-atom of RFC 5322 with the letters of RFC 6531.
func isLocalPart(s string) bool {
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if !isAtom(byte(r)) && r != '.' {
				return false
			}
		case r == utf8.RuneError, !unicode.IsPrint(r), unicode.IsSpace(r):
			return false
		}
	}
	return true
}

func isAtom(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// isHostName accepts lower-case letters, digits and hyphens in at least two labels, the last not a number.
func isHostName(s string) bool {
	labels, start := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			c := s[i]
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
			continue
		}
		label := s[start:i]
		if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		labels, start = labels+1, i+1
	}
	last := s[strings.LastIndexByte(s, '.')+1:]
	return labels > 1 && strings.Trim(last, "0123456789") != ""
}

func isPlainASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
