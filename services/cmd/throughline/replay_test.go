package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// letterBox is a broker with dead letters and a topic that they came from.
type letterBox struct {
	t      *testing.T
	client *kafka.Client
	flags  []string
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
		m, err := deadletter.Encode(key)(stage.DeadLetter{Stage: "ingest", Reason: "BAD_SCHEMA", Time: time.Now(), Record: stage.Record{
			Topic: "events", Offset: int64(i), Key: fmt.Append(nil, i), Value: []byte(`{}`),
		}})
		require.NoError(t, err)
		require.NoError(t, client.Publish(t.Context(), m))
	}
	return &letterBox{t: t, client: client, flags: []string{
		"replay", "--set", "kafka.brokers=[" + strings.Join(b.Addr(), ",") + "]", "--set", "installation_key_file=" + keyFile,
	}}
}

// run runs the command and returns what it printed.
func (l *letterBox) run(ctx context.Context, flags ...string) (out, errOut string, err error) {
	cmd := newRoot()
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetArgs(append(append([]string{}, l.flags...), flags...))
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
	l := setupLetters(t)
	_, _, err := l.run(t.Context(), "--yes")
	require.ErrorIs(t, err, replay.ErrNoFilter)

	out, errOut, err := l.run(t.Context(), "--stage", "ingest")
	require.NoError(t, err)
	require.Contains(t, out, "this was a dry run")
	require.Empty(t, errOut, "nothing was done: there is nothing to audit")
	require.Empty(t, l.replayed())

	// One goes at once, the next one would in a quarter of an hour.
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, errOut, err = l.run(ctx, "--stage", "ingest", "--rate", "0.001", "--yes")
	}()
	require.Eventually(t, func() bool { return len(l.replayed()) == 1 }, 30*time.Second, 10*time.Millisecond)
	interrupt()
	<-done
	require.EqualError(t, err, "interrupted")
	require.Contains(t, out, "Stopped after 1 records were replayed to their topics: interrupted")
	require.NotContains(t, errOut, "\r", "no progress where there is no terminal")
	audit := strings.Split(strings.TrimSpace(errOut), "\n")
	require.Len(t, audit, 2, "before and after")
	var line struct {
		Replayed int
		Complete bool
		Filter   replay.Filter
	}
	require.NoError(t, json.Unmarshal([]byte(audit[1]), &line))
	require.Equal(t, 1, line.Replayed)
	require.False(t, line.Complete)
	require.Equal(t, replay.Filter{Stage: "ingest"}, line.Filter)

	_, rest, found := strings.Cut(out, "The rest:\n  throughline replay ")
	require.True(t, found, out)
	words := strings.Fields(rest)
	mark := words[len(words)-1]
	require.True(t, strings.HasPrefix(mark, "--resume="), mark)
	require.Contains(t, words, "--yes")
	require.Contains(t, words, "--stage=ingest")
	out, _, err = l.run(t.Context(), "--stage", "ingest", "--rate", "1e6", "--yes", "--json", mark)
	require.NoError(t, err)
	var report replay.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, letters-1, report.Replayed)
	require.Empty(t, report.Resume)
	require.Equal(t, map[string]int{"0": 1, "1": 1, "2": 1}, l.replayed(), "each once")
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
