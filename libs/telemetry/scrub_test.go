package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/grpclog"
)

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func text(r *rand.Rand, alphabet string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// planted makes something that no log line may hold, and the part of it that would give it away.
func planted(r *rand.Rand) (whole, core string) {
	digits := func(n int) string { return text(r, "0123456789", n) }
	core = text(r, letters, 24)
	switch r.IntN(14) {
	case 0:
		core = text(r, letters[:26], 9)
		return core + "@" + text(r, letters[:26], 8) + ".example", core
	case 1:
		core = text(r, letters[:26], 9)
		return core + "%40viewer.example", core
	case 2:
		core = digits(4)
		return "+81 90-" + core + "-" + digits(4), core + "-"
	case 3:
		core = digits(10)
		return "+" + "8" + core, core
	case 4:
		core = digits(4)
		return "090-" + core + "-" + digits(4), core + "-"
	case 5:
		core = digits(8)
		return "090" + core, core
	case 6:
		return "00D" + text(r, letters, 15) + "!" + core, core
	case 7:
		return "5Aep861" + core, core
	case 8:
		return "eyJhbGciOi." + core + "." + text(r, letters, 20), core
	case 9:
		return "tl_acme_player_" + core, core
	case 10:
		return "Bearer " + core, core
	case 11:
		return "https://pages.example/connect/" + core, core
	case 12:
		return "https://pages.example/session?link=" + core + "&email=a@b.example", core
	default:
		return "-----BEGIN PRIVATE KEY-----\n" + core + "\n-----END PRIVATE KEY-----", core
	}
}

// quoting hides a text in a value as libraries do.
func quoting(r *rand.Rand, secret string) any {
	switch r.IntN(9) {
	case 0:
		return errors.New("lookup " + secret + ": no such host")
	case 1:
		return fmt.Errorf("outer: %w", errors.Join(errors.New("first"), fmt.Errorf("value %q refused", secret)))
	case 2:
		return &url.Error{Op: "Get", URL: "https://org.example/query?q=" + secret, Err: errors.New("timeout " + secret)}
	case 3:
		return map[string]any{"inner": []string{secret}}
	case 4:
		return struct{ Field string }{secret}
	case 5:
		return []any{secret, 1}
	case 6:
		return slog.GroupValue(slog.String("inner", "("+secret+")"), slog.Any("err", errors.New(secret)))
	case 7:
		return stringer(secret)
	default:
		return "said: " + secret + "; try again"
	}
}

type stringer string

func (s stringer) String() string { return string(s) }

func TestNoLogLineHoldsWhatLibrariesQuote(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-27")
	for _, format := range []string{FormatJSON, FormatText} {
		for seed := range uint64(3000) {
			r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a test that repeats
			var out bytes.Buffer
			tel := &Telemetry{Levels: newLevels(slog.LevelDebug), lines: newHandler(&out, format)}
			whole, core := planted(r)
			level := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}[r.IntN(4)]
			// Without the time of the line: its digits might be those that were planted.
			say := func(logger *slog.Logger, message string, args ...any) {
				line := slog.NewRecord(time.Time{}, level, message, 0)
				line.Add(args...)
				require.NoError(t, logger.Handler().Handle(t.Context(), line))
			}
			logger := tel.For("x")
			switch r.IntN(4) {
			case 0:
				say(logger.With("kept", quoting(r, whole)), "message")
			case 1:
				say(logger.WithGroup("g"), "message", "a", quoting(r, whole))
			case 2:
				say(logger, fmt.Sprint("message ", quoting(r, whole)))
			default:
				say(logger, "message", "error", quoting(r, whole), "n", 5)
			}
			require.NotEmpty(t, out.String())
			require.NotContains(t, out.String(), core, "%s, seed %d: %q", format, seed, whole)
			if format == FormatJSON {
				require.True(t, json.Valid(out.Bytes()), out.String())
			}
		}
	}
}

func TestWhatOperatorsNeedIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{
		"2026-11-26T17:05:09.123Z", "2026-11-26 17:05:09 +0900", "10.0.0.12:9092", "192.168.100.200", "kafka:9092", "00Q5g00000ABCDEEA5",
		"rpc error: code = PermissionDenied desc = this token does not allow that", "offset 12345678901", "write 7LMVVJ3QAZ5XJ2YB",
		"installation_key_file: cannot read /var/lib/throughline/installation.key", "https://acme.my.salesforce.com/services/data/v66.0/limits",
		"SKIPPED(ERASED_SUBJECT)", "partition 11 of tl.engagements.unresolved.v1", "1h30m0s", "topics.retention: 720h0m0s", "[::1]:9100",
		"trace 4bf92f3577b34da6a3ce929d0e0e4736", "Viewer_Email__c", "v0.0.0-20260918054303-01f206a7e32c",
	} {
		require.Equal(t, kept, scrub(kept))
	}
}

func FuzzScrub(f *testing.F) {
	for seed := range uint64(20) {
		whole, _ := planted(rand.New(rand.NewPCG(seed, 1))) //nolint:gosec // a test that repeats
		f.Add(whole)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		logger := slog.New(newHandler(&out, FormatJSON))
		logger.Info("m", "error", errors.New(text), "any", []string{text})
		require.True(t, json.Valid(out.Bytes()))
		require.NotContains(t, scrub("x <mia@viewer.example> "+text), "mia@viewer")
	})
}

// panicking panics when it is printed.
type panicking struct{}

func (panicking) Error() string { panic("mia@viewer.example") }

func TestAnErrorThatPanicsWhenItIsPrintedIsHarmless(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-27")
	var out bytes.Buffer
	slog.New(newHandler(&out, FormatJSON)).Info("m", "error", panicking{}, "loop", func() {})
	require.Contains(t, out.String(), "cannot be printed")
	require.NotContains(t, out.String(), "viewer")
}

// Not parallel: those loggers are the whole process's.
func TestLibrariesLogThroughTheSameHandler(t *testing.T) { //nolint:paralleltest // see above
	t.Attr("requirement", "XC-27")
	var out bytes.Buffer
	cfg := DefaultConfig()
	cfg.Log.Level = slog.LevelDebug
	tel, err := New(t.Context(), cfg, "test", "v0", WithLogWriter(&out))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Close(t.Context())) })
	before, flags := slog.Default(), log.Flags()
	t.Cleanup(func() { slog.SetDefault(before); log.SetFlags(flags) })
	tel.TakeGlobal()

	log.Printf("standard library: %s", "mia@viewer.example")
	slog.Warn("slog", "who", "mia@viewer.example") //nolint:sloglint // as a library does
	grpclog.Errorf("grpc: %s refused", "mia@viewer.example")
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("about Mia Zebrafink,\nmia@viewer.example, +81 90 1234 5678")
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = ServerLog(tel.For("web"))
	server.Start()
	resp, err := http.Get(server.URL)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	server.Close()
	for _, want := range []string{"standard library: [address]", "slog", "grpc: [address] refused", "http: panic serving"} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), "viewer.example")
	require.NotContains(t, out.String(), "1234")
	require.NotContains(t, out.String(), "Zebrafink", "a panic's value is not told, only its place")
	require.Contains(t, out.String(), "scrub_test.go")
	for line := range strings.Lines(out.String()) {
		require.True(t, json.Valid([]byte(line)), "structured: %s", line)
		require.Contains(t, line, `"service"`)
	}
}

func TestLevelsAreChangedPerServiceWhileTheProcessRuns(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-27")
	var out bytes.Buffer
	tel, err := New(t.Context(), DefaultConfig(), "test", "v0", WithLogWriter(&out))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Close(t.Context())) })
	writer, ingest := tel.For("writer").With("x", 1), tel.For("ingest")
	say := func() string {
		out.Reset()
		writer.Debug("from writer")
		ingest.Debug("from ingest")
		tel.Logger.Debug("from the rest")
		return out.String()
	}
	require.Empty(t, say())
	require.NoError(t, tel.Levels.Set("writer", slog.LevelDebug))
	require.Contains(t, say(), "from writer")
	require.NotContains(t, say(), "from ingest")
	require.ErrorContains(t, tel.Levels.Set("nobody", slog.LevelDebug), "ingest, writer")
	require.NoError(t, tel.Levels.Set("", slog.LevelDebug))
	require.Equal(t, 3, strings.Count(say(), "from"))
	require.NoError(t, tel.Levels.Set("", slog.LevelError))
	require.Empty(t, say())
	require.Equal(t, map[string]slog.Level{Rest: slog.LevelError, "writer": slog.LevelError, "ingest": slog.LevelError}, tel.Levels.All())
}
