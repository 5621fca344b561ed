package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/addrtest"
	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/internal/fault"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
)

const childEnv = "THROUGHLINE_STAGE_CRASH_CHILD"

// child tells a child process what to run and when to die.
type child struct {
	Brokers               []string
	In, Out, State, Group string
	Dead                  string
	// Sink runs the sink instead of the pipeline.
	Sink bool
	// Point and Passes say when to die: at the nth passing of a point.
	Point  fault.Point
	Passes int64
	// Dir, if set, runs the broker in the child, too.
	Dir, Listen string
}

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		fmt.Fprintln(os.Stderr, runChild([]byte(spec)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runChild works until it kills itself.
func runChild(spec []byte) error {
	var c child
	if err := json.Unmarshal(spec, &c); err != nil {
		return err
	}
	if c.Dir != "" {
		b, err := broker.Start(broker.Config{Dir: c.Dir, Listen: c.Listen})
		if err != nil {
			return err
		}
		c.Brokers = b.Addr()
	}
	client, err := kafka.New(kafkatest.Patient(c.Brokers...), kafka.Deps{})
	if err != nil {
		return err
	}
	cfg := stage.DefaultConfig("test", c.In)
	cfg.Group, cfg.StateTopic, cfg.DeadLetterTopic = c.Group, c.State, c.Dead
	cfg.BatchRecords = 25
	if cfg.SessionTimeout = 6 * time.Second; kafkatest.Real() == nil {
		cfg.SessionTimeout = 2 * time.Second
	}
	var passes atomic.Int64
	die := func(p fault.Point, _ int) error {
		if p == c.Point && passes.Add(1) == c.Passes {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	deps := stage.Deps{Broker: client}
	var s *stage.Stage
	if c.Sink {
		s, err = stage.NewSink(cfg, deps, newDelivery(c.Out))
	} else {
		s, err = stage.NewPipeline(cfg, deps, newCounter(c.Out))
	}
	if err != nil {
		return err
	}
	return errors.Join(s.Run(fault.With(context.Background(), die)), errors.New("the child was not killed"))
}

// crash runs a child until it has killed itself.
func crash(t *testing.T, c child) {
	t.Helper()
	spec, err := json.Marshal(c)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err = cmd.Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "output: %s", output.String())
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil,
		"the child ended otherwise: %v\n%s", err, output.String())
}

func (b *testBundle) child() child {
	return child{Brokers: b.Brokers, In: b.in, Out: b.out, State: b.state, Group: b.group, Dead: b.dead}
}

// TestCrash kills the process between two steps of settling a batch, again and again.
func TestCrash(t *testing.T) {
	t.Parallel()
	const keys, perKey = 20, 60
	// Commits are joined, so how many there will be is not known; the other points are passed once per batch.
	passes := map[fault.Point][]int64{
		fault.Handled: {1, 7, 4}, fault.Produced: {1, 7, 4}, fault.Saved: {1, 7, 4}, fault.Committed: {1, 1, 1},
	}

	for point, passes := range passes {
		t.Run("LosesAndDoublesNothingWhenKilledAfter_"+string(point), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.child()
			c.Point = point
			for round, n := range passes {
				b.send(keys, round*20, 20)
				c.Passes = n
				crash(t, c)
			}
			s := b.run(b.stateful(), newCounter(b.out))
			s.await("the rest", func(stage.Stats) bool { return b.HasCommitted(b.group, b.in, keys*perKey) })
			s.end()
			b.checkCounts(keys, perKey)
		})
	}

	for _, point := range []fault.Point{fault.Produced, fault.Saved, fault.Committed} {
		t.Run("SinkLosesNothingWhenKilledAfter_"+string(point), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.child()
			c.Sink, c.Point = true, point
			for round, n := range passes[point] {
				b.send(keys, round*20, 20)
				c.Passes = n
				crash(t, c)
			}
			s := b.runSink(b.stateful(), newDelivery(b.out))
			s.await("the rest", func(stage.Stats) bool { return b.HasCommitted(b.group, b.in, keys*perKey) })
			s.end()
			// What was in flight at a crash may come twice: at most what the eight workers of each partition held.
			require.LessOrEqual(t, b.checkDelivered(keys, perKey), 3*partitions*8)
		})
	}

	t.Run("SurvivesTheDeathOfTheBrokerInTheSameProcess", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		b := embeddedAt(t, dir, addrtest.Free(t))
		bundle := setupAt(t, kafkatest.At(t, kafkatest.Patient(b.Addr()...)))
		bundle.send(keys, 0, perKey)
		listen := b.Addr()[0]
		b.Close()
		c := bundle.child()
		c.Dir, c.Listen = dir, listen
		for _, c.Point = range []fault.Point{fault.Produced, fault.Saved, fault.Handled} {
			c.Passes = 3
			crash(t, c)
		}
		c.Point, c.Passes = fault.Committed, 1
		crash(t, c)
		embeddedAt(t, dir, listen)
		s := bundle.run(bundle.stateful(), newCounter(bundle.out))
		s.await("the rest", func(st stage.Stats) bool { return len(st.Partitions) == partitions && st.Lag() == 0 })
		s.end()
		bundle.checkCounts(keys, perKey)
		require.EqualValues(t, keys*perKey, bundle.Committed(bundle.group, bundle.in))
	})
}

func embeddedAt(t *testing.T, dir, listen string) *broker.Broker {
	t.Helper()
	b, err := broker.Start(broker.Config{Dir: dir, Listen: listen})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

// TestBrokerRestart takes the broker away under running stages. Embedded only: a real one is not ours to stop.
func TestBrokerRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := embeddedAt(t, dir, addrtest.Free(t))
	listen := b.Addr()[0]
	bundle := setupAt(t, kafkatest.At(t, kafkatest.Patient(b.Addr()...)))
	s := bundle.run(bundle.stateful(), newCounter(bundle.out))
	for round := range 4 {
		bundle.send(20, round*25, 25)
		s.await("some records", func(st stage.Stats) bool { return st.In > int64(round*500) })
		b.Close()
		b = embeddedAt(t, dir, listen)
	}
	s.await("all records", func(st stage.Stats) bool {
		return len(st.Partitions) == partitions && st.Lag() == 0 && bundle.HasCommitted(bundle.group, bundle.in, 2000)
	})
	require.NoError(t, s.Ready())
	s.end()
	bundle.checkCounts(20, 100)
}
