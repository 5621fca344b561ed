package telemetry

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"
)

// TakeGlobal sends what libraries log through the process's logger: the standard library's log and slog, gRPC and
// OpenTelemetry. Only a program's main calls it, once and before it works: those loggers are the whole process's.
func (t *Telemetry) TakeGlobal() {
	slog.SetDefault(t.For("libraries")) // the log package's lines follow it
	log.SetFlags(0)
	grpclog.SetLoggerV2(grpcLogger{t.For("grpc")})
	spans := t.For("otel")
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { spans.Warn("telemetry could not be sent", "error", err) }))
	otel.SetLogger(logr.FromSlogHandler(spans.Handler()))
}

// grpcLogger passes gRPC's log on, one level below what gRPC gives it: what concerns a call is told by the call.
type grpcLogger struct{ to *slog.Logger }

func (g grpcLogger) log(level slog.Level, text string) { g.to.Log(context.Background(), level, text) }

func (g grpcLogger) Info(args ...any)   { g.log(slog.LevelDebug, fmt.Sprint(args...)) }
func (g grpcLogger) Infoln(args ...any) { g.log(slog.LevelDebug, fmt.Sprint(args...)) }
func (g grpcLogger) Infof(format string, args ...any) {
	g.log(slog.LevelDebug, fmt.Sprintf(format, args...))
}
func (g grpcLogger) Warning(args ...any)   { g.log(slog.LevelInfo, fmt.Sprint(args...)) }
func (g grpcLogger) Warningln(args ...any) { g.log(slog.LevelInfo, fmt.Sprint(args...)) }
func (g grpcLogger) Warningf(format string, args ...any) {
	g.log(slog.LevelInfo, fmt.Sprintf(format, args...))
}
func (g grpcLogger) Error(args ...any)   { g.log(slog.LevelWarn, fmt.Sprint(args...)) }
func (g grpcLogger) Errorln(args ...any) { g.log(slog.LevelWarn, fmt.Sprint(args...)) }
func (g grpcLogger) Errorf(format string, args ...any) {
	g.log(slog.LevelWarn, fmt.Sprintf(format, args...))
}

func (g grpcLogger) Fatal(args ...any)                 { g.fatal(fmt.Sprint(args...)) }
func (g grpcLogger) Fatalln(args ...any)               { g.fatal(fmt.Sprint(args...)) }
func (g grpcLogger) Fatalf(format string, args ...any) { g.fatal(fmt.Sprintf(format, args...)) }

// fatal ends the process, as gRPC demands of its logger.
func (g grpcLogger) fatal(text string) {
	g.log(slog.LevelError, text)
	os.Exit(1)
}

// V reports whether gRPC's own verbosity level is wanted: none above the least.
func (g grpcLogger) V(level int) bool {
	return level <= 0 && g.to.Enabled(context.Background(), slog.LevelDebug)
}
