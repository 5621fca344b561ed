package telemetry

import (
	"context"
	"io"
	"log/slog"
	"math"

	"go.opentelemetry.io/otel/trace"
)

// Log formats.
const (
	FormatJSON = "json"
	FormatText = "text"
)

// LogConfig says how a process logs.
type LogConfig struct {
	// Level is debug, info, warn or error.
	Level slog.Level `yaml:"level"`
	// Format is json or text.
	Format string `yaml:"format"`
}

// newHandler writes lines of every level: which are wanted is for Levels to say.
func newHandler(w io.Writer, format string) slog.Handler {
	options := &slog.HandlerOptions{Level: slog.Level(math.MinInt), ReplaceAttr: scrubAttr}
	if format == FormatText {
		return traced{slog.NewTextHandler(w, options)}
	}
	return traced{slog.NewJSONHandler(w, options)}
}

// traced adds the ids of the span in the context to every line, so that a log leads to its trace.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
