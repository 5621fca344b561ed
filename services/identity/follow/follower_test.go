package follow_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/follow"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// listener keeps what it is told.
type listener struct {
	mu      sync.Mutex
	changed []string
	missed  int
}

func (l *listener) Changed(c *streamv1.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed = append(l.changed, c.GetRecordIds()...)
}

func (l *listener) Missed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed++
}

func (l *listener) told() (changed []string, missed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.changed...), l.missed
}

type bundle struct {
	*testing.T
	broker   *stagetest.Broker
	listener *listener
	follower *follow.Follower
}

// setup has a topic of two partitions in which a change lies already.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{T: t, broker: stagetest.NewBroker(), listener: &listener{}}
	b.broker.Create(topic.Changes, 2)
	b.tell(0, "before")
	cfg := follow.DefaultConfig()
	cfg.Wait, cfg.Retry = 20*time.Millisecond, time.Millisecond
	b.follower = follow.New(cfg, b.broker, b.listener, slog.New(slog.DiscardHandler))
	return b
}

func (b *bundle) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.follower.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (b *bundle) tell(partition int, id string) {
	b.Helper()
	value, err := proto.Marshal(&streamv1.Change{Workspace: "acme", Connection: "prod", RecordIds: []string{id}})
	require.NoError(b, err)
	b.broker.Append(topic.Changes, partition, stage.Record{Value: value})
}

func (b *bundle) await(ok func(changed []string, missed int) bool) {
	b.Helper()
	require.Eventually(b, func() bool { return ok(b.listener.told()) }, time.Minute, time.Millisecond)
}

func TestFollower(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")

	t.Run("HearsOfAllPartitionsFromNowOn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Error(t, b.follower.Ready())
		stop := b.start()
		defer stop()
		b.await(func(_ []string, missed int) bool { return missed == 2 && b.follower.Ready() == nil })
		b.tell(0, "one")
		b.tell(1, "two")
		b.await(func([]string, int) bool { return b.follower.Changes().Load() == 2 })
		changed, _ := b.listener.told()
		require.ElementsMatch(t, []string{"one", "two"}, changed, "what was before concerns nothing that is remembered")
	})

	t.Run("WhatCannotBeReadMayBeAnything", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.start()
		defer stop()
		b.await(func(_ []string, missed int) bool { return missed == 2 })
		b.broker.Append(topic.Changes, 0, stage.Record{Value: []byte{0xff}})
		b.await(func(_ []string, missed int) bool { return missed == 3 })
	})

	t.Run("ABrokerThatIsAwayIsWaitedForAndNothingIsMissed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		stop := b.start()
		defer stop()
		b.await(func(_ []string, missed int) bool { return missed == 2 })
		failed := make(chan struct{})
		var once sync.Once
		b.broker.Fail(func(stagetest.Operation) error {
			once.Do(func() { close(failed) })
			return errors.New("away")
		})
		<-failed
		b.tell(1, "meanwhile")
		b.broker.Fail(nil)
		b.await(func(changed []string, _ int) bool { return len(changed) == 1 && changed[0] == "meanwhile" })
	})

	t.Run("Stress", func(t *testing.T) {
		t.Parallel()
		for range 50 {
			b := setup(t)
			b.start()()
		}
	})
}

func TestConfigNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	require.NoError(t, follow.DefaultConfig().Validate())
	for key, change := range map[string]func(*follow.Config){
		"topic": func(c *follow.Config) { c.Topic = "" },
		"wait":  func(c *follow.Config) { c.Wait = 0 },
		"retry": func(c *follow.Config) { c.Retry = 0 },
	} {
		cfg := follow.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), key)
	}
}
