package salesforce

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxDetail bounds the text that leaves the package.
const maxDetail = 300

var (
	// Texts in which Salesforce quotes the refused value between two known phrases.
	quotedValues = []*regexp.Regexp{
		regexp.MustCompile(`(?s)(data value too large: ).*( \(max length=\d+\))`),
		regexp.MustCompile(`(?s)(bad value for restricted picklist field: ).*()`),
		regexp.MustCompile(`(?s)(invalid email address: ).*()`),
		regexp.MustCompile(`(?s)(outside of valid range on numeric field: ).*()`),
		regexp.MustCompile(`(?s)(value not of required type: ).*()`),
		regexp.MustCompile(`(?si)(duplicate external id specified: ).*()`),
		regexp.MustCompile(`(?s)(id value of incorrect type: ).*()`),
		regexp.MustCompile(`(?s)(malformed id ).*()`),
		regexp.MustCompile(`(?s)(from VALUE_[A-Z_]+ value ).*( or request may be missing)`),
		regexp.MustCompile(`(?s)(unexpected token: ).*()`),
		regexp.MustCompile(`(?s)(Provided external ID field does not exist or is not accessible: ).*[^_A-Za-z0-9].*()`),
	}
	emailLike = regexp.MustCompile(`[^\s@<>"'(),;:]+(?:@|%40)[^\s@<>"'(),;]+`)
	// Seven or more digits with the separators people use; ids are left alone, because they hold letters.
	phoneLike = regexp.MustCompile(`(?:^|[^A-Za-z0-9])\+?\(?\d[\d ().\-/]{5,}\d`)
	recordID  = regexp.MustCompile(`^[a-zA-Z0-9]{15}(?:[A-Z0-5]{3})?$`)
)

// quoting are the codes whose texts quote the refused value. Salesforce writes texts in its user's language, in which the
// phrases above are unknown; the whole text is left out then.
var quoting = map[string]bool{
	"STRING_TOO_LONG": true, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": true, "INVALID_EMAIL_ADDRESS": true,
	"NUMBER_OUTSIDE_VALID_RANGE": true, "INVALID_TYPE_ON_FIELD_IN_RECORD": true, "MALFORMED_ID": true,
	"TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET": true, "MAX_TASK_DESCRIPTION_EXCEEEDED": true, "MALFORMED_QUERY": true,
	"INVALID_QUERY_FILTER_OPERATOR": true,
}

// detailOf is scrub for the text of an error code. Promise 8.
func detailOf(code, message string) string {
	if !quoting[code] || strings.TrimSpace(message) == "" {
		return scrub(message)
	}
	for _, re := range quotedValues {
		if re.MatchString(message) {
			return scrub(message)
		}
	}
	return "Salesforce's text is left out, because it quotes the value"
}

// scrub removes what may be a personal datum from one of Salesforce's texts, flattens white space and bounds the
// length. Promise 8: Salesforce quotes refused values, our logs and outcomes must not.
func scrub(message string) string {
	if i := strings.LastIndex(message, "ERROR at Row:"); i > 0 {
		message = "[query] " + message[i:] // the query stands before it, values and all
	}
	if len(message) > 16*maxDetail {
		message = message[:16*maxDetail]
	}
	for _, re := range quotedValues {
		message = re.ReplaceAllString(message, "$1[value]$2")
	}
	message = emailLike.ReplaceAllString(message, "[address]")
	message = phoneLike.ReplaceAllStringFunc(message, func(m string) string {
		if first, size := utf8.DecodeRuneInString(m); first != '+' && first != '(' && (first < '0' || first > '9') {
			return m[:size] + "[number]"
		}
		return "[number]"
	})
	message = strings.Join(strings.Fields(strings.ToValidUTF8(message, "")), " ")
	if utf8.RuneCountInString(message) > maxDetail {
		message = string([]rune(message)[:maxDetail-1]) + "…"
	}
	return message
}

// Scrub removes address-like and number-like text and quoted values from a text, and bounds it to 300 characters. For
// callers that hold a text of Salesforce's of their own, e.g. from the token endpoint.
func Scrub(text string) string { return scrub(text) }

// idAfter returns the record id that follows a phrase, or "".
func idAfter(message, phrase string) string {
	_, rest, found := strings.Cut(message, phrase)
	if !found {
		return ""
	}
	id, _, _ := strings.Cut(rest, " ")
	id = strings.TrimRight(id, ".,;")
	if !recordID.MatchString(id) {
		return ""
	}
	return id
}
