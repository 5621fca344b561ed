package follow_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/follow"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// brittle is a listener that panics.
type brittle struct {
	listener
	// odd is the workspace whose changes make it panic; with all so do those of everything; calls to Missed do with missing.
	odd          string
	all, missing bool
	// everything are the workspaces of which anything may have changed.
	everything []string
}

func (l *brittle) Changed(c *streamv1.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	anything := c.GetChangeType() == streamv1.ChangeType_CHANGE_TYPE_EVERYTHING
	if c.GetWorkspace() == l.odd && (!anything || l.all) {
		panic("a defect that quotes " + c.GetRecordIds()[0])
	}
	if anything {
		l.everything = append(l.everything, c.GetWorkspace())
		return
	}
	l.changed = append(l.changed, c.GetRecordIds()...)
}

func (l *brittle) Missed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.missing {
		panic("a defect that quotes nobody")
	}
	l.missed++
}

func (l *brittle) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// record is a change of a record of a workspace.
func record(t *testing.T, workspace, id string) stage.Record {
	t.Helper()
	value, err := proto.Marshal(&streamv1.Change{Workspace: workspace, Connection: "prod", RecordIds: []string{id}})
	require.NoError(t, err)
	return stage.Record{Value: value}
}

// logs is where a follower writes.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// setupBrittle has a follower that reads a topic of one partition, for a listener that panics.
func setupBrittle(t *testing.T, l *brittle) (*bundle, *logs) {
	t.Helper()
	b := setup(t)
	out := &logs{}
	b.broker = stagetest.NewBroker()
	b.broker.Create(topic.Changes, 1)
	cfg := follow.DefaultConfig()
	cfg.Wait, cfg.Retry = 20*time.Millisecond, time.Millisecond
	b.listener = &l.listener
	b.follower = follow.New(cfg, b.broker, l, slog.New(slog.NewTextHandler(out, nil)))
	t.Cleanup(b.start())
	return b, out
}

// Promise 6: what the program cannot take of one org counts as a change of everything there, and the changes behind it are heard.
func TestAPanicIsTheTroubleOfTheOrgWhoseChangeItWas(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	l := &brittle{odd: "acme"}
	b, out := setupBrittle(t, l)
	b.await(func(_ []string, missed int) bool { return missed == 1 })
	b.broker.Append(topic.Changes, 0, record(t, "acme", "00Q1"), record(t, "acme", "00Q2"), record(t, "globex", "00Q3"))
	b.await(func(changed []string, _ int) bool { return slices.Equal(changed, []string{"00Q3"}) })
	require.Equal(t, []string{"acme", "acme"}, l.everything, "nothing of it is believed any more")
	_, missed := l.told()
	require.Equal(t, 1, missed, "nothing is missed of the others")
	require.EqualValues(t, 2, b.follower.Panicked().Load())
	require.Equal(t, 1, bytes.Count([]byte(out.String()), []byte("a change failed by a defect")), "it is said once")
	require.Contains(t, out.String(), "panic_test.go")
	require.Contains(t, out.String(), "workspace=acme")
	require.NotContains(t, out.String(), "00Q1", "promise 8")
}

// What cannot be told of one org is told of all, and what can be told of none is told until it can: nothing is skipped.
func TestWhatCannotBeToldIsToldOtherwise(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	l := &brittle{odd: "acme", all: true}
	b, out := setupBrittle(t, l)
	b.await(func(_ []string, missed int) bool { return missed == 1 })
	b.broker.Append(topic.Changes, 0, record(t, "acme", "00Q1"), record(t, "globex", "00Q2"))
	b.await(func(changed []string, missed int) bool { return missed == 2 && len(changed) == 1 })

	l.set(func() { l.missing = true })
	before := b.follower.Panicked().Load()
	b.broker.Append(topic.Changes, 0, record(t, "acme", "00Q3"), record(t, "globex", "00Q4"))
	b.await(func([]string, int) bool { return b.follower.Panicked().Load() > before+2 })
	changed, _ := l.told()
	require.Equal(t, []string{"00Q2"}, changed, "it is tried again, and what is behind it waits")
	require.NoError(t, b.follower.Ready(), "late is not unready")
	l.set(func() { l.odd, l.missing = "", false })
	b.await(func(changed []string, _ int) bool { return slices.Equal(changed, []string{"00Q2", "00Q3", "00Q4"}) })
	require.Contains(t, out.String(), "changes cannot be read")
	require.NotContains(t, out.String(), "00Q", "promise 8")
}

// A defect in what reads the topic is like a broker that is away.
func TestAPanicOfTheReaderIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.broker.Fail(func(stagetest.Operation) error { panic("a defect that quotes nobody") })
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.follower.Run(ctx) })
	defer running.Wait()
	defer cancel()
	b.await(func([]string, int) bool { return b.follower.Panicked().Load() > 2 })
	require.Error(t, b.follower.Ready())
	b.broker.Fail(nil)
	b.await(func(_ []string, missed int) bool { return missed == 2 && b.follower.Ready() == nil })
}
