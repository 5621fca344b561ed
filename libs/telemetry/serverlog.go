package telemetry

import (
	"context"
	"log"
	"log/slog"
	"regexp"
	"strings"
)

// panicValue is what net/http says when a handler panics: with the value, which may quote a request.
var panicValue = regexp.MustCompile(`(?s)(http: panic serving [^\s]+: ).*?(\n(?:goroutine|$))`)

// ServerLog is the ErrorLog of an http.Server: panics go to the logger as errors, without their values, and what it says of
// connections at level debug, because anybody can make it say that.
func ServerLog(logger *slog.Logger) *log.Logger { return log.New(serverLog{logger}, "", 0) }

type serverLog struct{ to *slog.Logger }

// Write implements io.Writer, a line at a time.
func (l serverLog) Write(line []byte) (int, error) {
	text, level := strings.TrimRight(string(line), "\n"), slog.LevelDebug
	if panicValue.MatchString(text) {
		text, level = panicValue.ReplaceAllString(text, "${1}[value]${2}"), slog.LevelError
	}
	l.to.Log(context.Background(), level, text)
	return len(line), nil
}
