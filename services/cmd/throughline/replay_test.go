package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// letterBox is a broker with dead letters and a topic that they came from, and a config service with an audit log.
type letterBox struct {
	configv1.UnimplementedReplayServiceServer

	t      *testing.T
	client *kafka.Client
	flags  []string

	mu       sync.Mutex
	recorded []*configv1.RecordReplayRequest
	refusal  error
}

// RecordReplay is the config service's.
func (l *letterBox) RecordReplay(_ context.Context, req *configv1.RecordReplayRequest) (*configv1.RecordReplayResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal != nil {
		return nil, l.refusal
	}
	l.recorded = append(l.recorded, req)
	return &configv1.RecordReplayResponse{}, nil
}

// audit returns what was recorded, and forgets it.
func (l *letterBox) audit() []*configv1.RecordReplayRequest {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.recorded
	l.recorded = nil
	return out
}

func (l *letterBox) serve() string {
	l.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(l.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(l.t, err)
	server := grpc.NewServer()
	configv1.RegisterReplayServiceServer(server, l)
	go func() { _ = server.Serve(listener) }()
	l.t.Cleanup(server.Stop)
	return listener.Addr().String()
}

const letters = 3

func setupLetters(t *testing.T) *letterBox {
	t.Helper()
	b, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	client, err := kafka.New(kafka.DefaultConfig(b.Addr()...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	keyFile := filepath.Join(t.TempDir(), "installation.key")
	key, err := seal.LoadOrCreateInstallation(keyFile)
	require.NoError(t, err)
	for _, name := range []string{topic.DeadLetters, "events"} {
		require.NoError(t, client.EnsureTopics(t.Context(), kafka.TopicSpec{Name: name, Partitions: 2, ReplicationFactor: 1}))
	}
	for i := range letters {
		m, err := deadletter.Encode(key)(stage.DeadLetter{Stage: "ingest", Reason: "BAD_SCHEMA", Detail: "not an event", Time: time.Now(), Attempts: 4, Record: stage.Record{
			Topic: "events", Offset: int64(i), Key: fmt.Append(nil, i), Value: []byte(`{}`), Headers: []stage.Header{
				{Key: stage.HeaderTraceParent, Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
				{Key: stage.HeaderID, Value: []byte("0199d5a2-7c1e-7e61-a3c5-2f4f2f0c9d11")},
			},
		}})
		require.NoError(t, err)
		require.NoError(t, client.Publish(t.Context(), m))
	}
	token := filepath.Join(t.TempDir(), "admin.token")
	require.NoError(t, os.WriteFile(token, []byte("a-token-of-an-administrator"), 0o600))
	l := &letterBox{t: t, client: client}
	l.flags = []string{
		"--set", "kafka.brokers=[" + strings.Join(b.Addr(), ",") + "]", "--set", "installation_key_file=" + keyFile,
		"--set", "settings.target=" + l.serve(), "--set", "admin_token_file=" + token,
	}
	return l
}

// run runs the command and returns what it printed.
func (l *letterBox) run(ctx context.Context, command ...string) (out, errOut string, err error) {
	cmd := newRoot()
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(append(append([]string{}, command...), l.flags...))
	err = cmd.ExecuteContext(ctx)
	return stdout.String(), stderr.String(), err
}

// replayed counts what is in the topic that the letters came from, by key.
func (l *letterBox) replayed() map[string]int {
	l.t.Helper()
	found := map[string]int{}
	require.NoError(l.t, l.client.Scan(context.Background(), kafka.ScanRequest{Topic: "events", Visit: func(r stage.Record) bool {
		found[string(r.Key)]++
		return true
	}}))
	return found
}

func TestReplay(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	l := setupLetters(t)
	_, _, err := l.run(t.Context(), "replay", "--yes")
	require.ErrorIs(t, err, replay.ErrNoFilter)

	out, errOut, err := l.run(t.Context(), "replay", "--stage", "ingest")
	require.NoError(t, err)
	require.Contains(t, out, "this was a dry run")
	require.Empty(t, errOut)
	require.Empty(t, l.audit(), "nothing was done: there is nothing to audit")
	require.Empty(t, l.replayed())

	// One goes at once, the next one would in a quarter of an hour.
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, errOut, err = l.run(ctx, "replay", "--stage", "ingest", "--rate", "0.001", "--yes")
	}()
	require.Eventually(t, func() bool { return len(l.replayed()) == 1 }, 2*time.Minute, 10*time.Millisecond)
	interrupt()
	<-done
	require.EqualError(t, err, "interrupted")
	require.Contains(t, out, "Stopped after 1 records were replayed to their topics: interrupted")
	require.NotContains(t, errOut, "\r", "no progress where there is no terminal")
	audit := l.audit()
	require.Len(t, audit, 2, "before and after")
	require.Equal(t, audit[0].GetReplay(), audit[1].GetReplay())
	require.Nil(t, audit[0].GetDone())
	require.Equal(t, int64(1), audit[1].GetDone().GetReplayed())
	require.False(t, audit[1].GetDone().GetComplete())
	require.Equal(t, "ingest", audit[1].GetScope().GetStage())

	_, rest, found := strings.Cut(out, "The rest:\n  throughline replay ")
	require.True(t, found, out)
	words := strings.Fields(rest)
	mark := words[len(words)-1]
	require.True(t, strings.HasPrefix(mark, "--resume="), mark)
	require.Contains(t, words, "--yes")
	require.Contains(t, words, "--stage=ingest")
	out, _, err = l.run(t.Context(), "replay", "--stage", "ingest", "--rate", "1e6", "--yes", "--json", mark)
	require.NoError(t, err)
	var report replay.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, letters-1, report.Replayed)
	require.Empty(t, report.Resume)
	require.Equal(t, map[string]int{"0": 1, "1": 1, "2": 1}, l.replayed(), "each once")
	require.True(t, l.audit()[0].GetScope().GetResumed())

	// What cannot be recorded is not done.
	l.refusal = status.Error(codes.PermissionDenied, "this token does not allow that")
	_, _, err = l.run(t.Context(), "replay", "--stage", "ingest", "--yes")
	require.ErrorContains(t, err, "nothing was replayed")
	require.Len(t, l.replayed(), letters)
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-7")
	l := setupLetters(t)
	out, _, err := l.run(t.Context(), "deadletters", "list", "--json", "--limit", "2")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	var newest replay.Sample
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &newest))
	require.Equal(t, "BAD_SCHEMA", newest.Reason)
	require.EqualValues(t, 4, newest.Attempts)
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", newest.Trace)

	out, _, err = l.run(t.Context(), "deadletters", "show", newest.ID)
	require.NoError(t, err)
	for _, shown := range []string{"ingest", "BAD_SCHEMA", "not an event", newest.Trace, newest.Event, "attempts", "throughline replay --id " + newest.ID + " --yes"} {
		require.Contains(t, out, shown)
	}
	_, _, err = l.run(t.Context(), "deadletters", "show", "nothing")
	require.ErrorContains(t, err, "no dead letter with this id")
	_, _, err = l.run(t.Context(), "deadletters", "list", "--reason", "NOPE")
	require.ErrorContains(t, err, "--reason")

	_, _, err = l.run(t.Context(), "replay", "--id", newest.ID, "--yes", "--why", "the producer is right again")
	require.NoError(t, err)
	require.Len(t, l.replayed(), 1, "one of them")
	require.Equal(t, newest.ID, l.audit()[1].GetScope().GetDeadLetterId())
	_, _, err = l.run(t.Context(), "replay", "--id", newest.ID, "--from-stage", "writer", "--yes")
	require.ErrorContains(t, err, "could not be replayed")
}

func TestWordsForAShell(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"acme": "acme", "2026-11-23T09:00:00Z": "2026-11-23T09:00:00Z", "": "''", "it's": `'it'\''s'`, "$(x)": "'$(x)'",
		"kafka.brokers=[a:9092]": "'kafka.brokers=[a:9092]'",
	} {
		require.Equal(t, want, quoted(word))
	}
}

func TestTheProgressLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := &replayLine{out: &out}
	l.end()
	require.Empty(t, out.String(), "nothing was drawn")
	at := time.Unix(1_700_000_000, 0)
	l.draw(replay.Progress{Total: 400}, at)
	l.draw(replay.Progress{Done: 100, Total: 400}, at.Add(2*time.Second))
	l.draw(replay.Progress{Done: 400, Total: 400}, at.Add(8*time.Second))
	l.end()
	require.Equal(t, "\r\x1b[K0 of 400 dead letters  0 %"+
		"\r\x1b[K100 of 400 dead letters  25 %  50.0/s  6s left"+
		"\r\x1b[K400 of 400 dead letters  100 %  50.0/s\n", out.String())
	out.Reset()
	(&replayLine{out: &out}).draw(replay.Progress{}, at)
	require.Equal(t, "\r\x1b[K0 of 0 dead letters", out.String())
}
