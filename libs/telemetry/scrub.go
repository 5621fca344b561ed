package telemetry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// redaction replaces what a pattern finds.
type redaction struct {
	pattern *regexp.Regexp
	with    string
}

// redactions find what has no place in a log line, whoever wrote it: an address or a number in a library's error, a token in a
// request's URL. They are the last line of defence (promise 8): our own code does not put such things into errors in the first
// place, and names and messages cannot be recognised here.
var redactions = []redaction{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)`), "[key]"},
	{regexp.MustCompile(`eyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?`), "[token]"},                        // JWT
	{regexp.MustCompile(`\b00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?(?:!|%21)[\w.%-]+`), "[token]"}, // Salesforce session
	{regexp.MustCompile(`\b5Aep[\w.]{8,}`), "[token]"},                                          // Salesforce refresh token
	{regexp.MustCompile(`\btl_([a-z0-9-]+)_([a-z0-9-]+)_[\w-]+`), "tl_${1}_${2}_[token]"},       // API key
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=%!-]{8,}`), "$1 [token]"},               // Authorization
	{regexp.MustCompile(`(?i)\btel:[\d+().\s-]{6,}`), "tel:[number]"},
	{regexp.MustCompile(`(?:\+|%2B|＋)\d(?:[\s().-]{0,2}\d){6,16}`), "[number]"},                // with a country code
	{regexp.MustCompile(`\(\d{2,5}\)[\s-]?\d{2,4}[\s-]\d{3,4}\b`), "[number]"},                 // (03) 1234-5678
	{regexp.MustCompile(`\b0\d{1,4}[-\s]\d{1,4}[-\s]\d{3,4}\b`), "[number]"},                   // 090-1234-5678
	{regexp.MustCompile(`\b\d{3}[-.]\d{3}[-.]\d{4}\b`), "[number]"},                            // 201-555-0123
	{regexp.MustCompile(`(^|[^\w.-])0\d{9,10}($|[^\w-])`), "${1}[number]${2}"},                 // 09012345678
	{regexp.MustCompile(`(https?://[^\s?#"'<>]*)[?#][^\s"'<>]*`), "$1?[query]"},                // links, magic ones too
	{regexp.MustCompile(`(https?://[^\s"'<>]*?/)[\w~-]{20,}(?:[/?#][^\s"'<>]*)?`), "$1[link]"}, // tokens in paths
	{regexp.MustCompile(`(?i)((?:secret|token|password|passwd|assertion|sid)(?:"?\s*=\s*"?|"\s*:\s*"))[^\s&"',;)\]}]{6,}`), "$1[secret]"},
	{regexp.MustCompile(`[^\s@<>"'(),;:\[\]]+(?:@|＠|%40)[^\s@<>"'(),;\[\]]+`), "[address]"},
}

// scrub returns the text without what redactions find.
func scrub(text string) string {
	if len(text) < 6 { // shorter than anything that is looked for
		return text
	}
	for _, r := range redactions {
		text = r.pattern.ReplaceAllString(text, r.with)
	}
	return text
}

// scrubAttr is slog.HandlerOptions.ReplaceAttr: it sees the message and every attribute, at every level, whoever logs.
func scrubAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(scrub(a.Value.String()))
	case slog.KindAny:
		a.Value = scrubAny(a.Value.Any())
	}
	return a
}

// scrubAny scrubs what a value is printed as, and leaves a value alone in which nothing is found.
func scrubAny(v any) slog.Value {
	switch known := v.(type) {
	case nil, slog.Level, *slog.Source:
		return slog.AnyValue(v)
	case error:
		return slog.StringValue(scrub(printed(known.Error)))
	case fmt.Stringer:
		return slog.StringValue(scrub(printed(known.String)))
	}
	text, err := json.Marshal(v)
	if err != nil {
		return slog.StringValue(fmt.Sprintf("[a %T that cannot be printed]", v))
	}
	if clean := scrub(string(text)); clean != string(text) {
		return slog.StringValue(clean)
	}
	return slog.AnyValue(v)
}

// printed is what f returns; a value that panics when it is printed must not end the process.
func printed(f func() string) (text string) {
	defer func() {
		if recover() != nil {
			text = "[a value that cannot be printed]"
		}
	}()
	return strings.ToValidUTF8(f(), "�")
}
