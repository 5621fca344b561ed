package broker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
)

const childEnv = "THROUGHLINE_BROKER_CHILD"

// report is what the child says after every publish: what it was told is durable.
type report struct{ Published, Committed int64 }

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, runChild(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func newClient(b *broker.Broker) (*kafka.Client, error) {
	return kafka.New(kafkatest.Patient(b.Addr()...), kafka.Deps{})
}

// runChild publishes and consumes on a broker of its own, and reports, until it is killed.
func runChild(dir string) error {
	b, err := broker.Start(broker.Config{Dir: dir})
	if err != nil {
		return err
	}
	c, err := newClient(b)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := c.EnsureTopics(ctx, kafka.TopicSpec{Name: "t", Partitions: 1}, kafka.TopicSpec{Name: "dead", Partitions: 1}); err != nil {
		return err
	}
	cfg := stage.DefaultConfig("test", "t")
	cfg.DeadLetterTopic = "dead"
	s, err := stage.NewPipeline(cfg, stage.Deps{Broker: c}, func(stage.Partition, *stage.Table) (stage.Processor, error) {
		return nothing{}, nil
	})
	if err != nil {
		return err
	}
	go func() { _ = s.Run(ctx) }()
	out := json.NewEncoder(os.Stdout)
	for {
		lags, err := c.Lag(ctx, "tl-test", "t")
		if err != nil {
			return err
		}
		if err := c.Publish(ctx, stage.Message{Topic: "t", Value: fmt.Append(nil, lags[0].End)}); err != nil {
			return err
		}
		if err := out.Encode(report{Published: lags[0].End + 1, Committed: lags[0].Committed}); err != nil {
			return err
		}
	}
}

type nothing struct{}

func (nothing) Process(context.Context, []stage.Record, *stage.Outbox) error { return nil }

// TestKeepsWhatItAcknowledgedWhenKilled kills the process several times on the same directory. Records that were
// acknowledged and offsets that were committed must be there, and the log must go on without a hole.
func TestKeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 4 {
		last := killAfter(t, dir, 100*(round+1))
		b, err := broker.Start(broker.Config{Dir: dir})
		require.NoError(t, err)
		c, err := newClient(b)
		require.NoError(t, err)
		lags, err := c.Lag(t.Context(), "tl-test", "t")
		require.NoError(t, err)
		require.GreaterOrEqual(t, lags[0].End, last.Published)
		require.GreaterOrEqual(t, lags[0].Committed, last.Committed)
		var next int64
		require.NoError(t, c.Scan(t.Context(), kafka.ScanRequest{Topic: "t", Visit: func(r stage.Record) bool {
			require.Equal(t, next, r.Offset)
			require.Equal(t, strconv.FormatInt(next, 10), string(r.Value))
			next++
			return true
		}}))
		require.Equal(t, lags[0].End, next)
		c.Close()
		b.Close()
	}
}

// killAfter runs a child until it has reported n times, kills it, and returns its last report.
func killAfter(t *testing.T, dir string, n int) report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var last report
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if i == n {
			require.NoError(t, cmd.Process.Kill())
		}
		// What it said before it died counts, too.
		if json.Unmarshal(lines.Bytes(), &last) != nil {
			break
		}
	}
	require.Error(t, cmd.Wait(), "killed")
	require.Positive(t, last.Published)
	return last
}

func TestForgetsWithoutADirectory(t *testing.T) {
	t.Parallel()
	b, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	require.Len(t, b.Addr(), 1)
	b.Close()
	b.Close()
}

func TestListensOnTheLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:9092", "example.com:9092", "127.0.0.1", "127.0.0.1:notaport", "127.0.0.1:70000"} {
		_, err := broker.Start(broker.Config{Listen: listen})
		require.ErrorContains(t, err, "listen", listen)
	}
	b, err := broker.Start(broker.Config{Listen: "localhost:0"})
	require.NoError(t, err)
	b.Close()
}

func TestCreatesNoTopicsByAccident(t *testing.T) {
	t.Parallel()
	b, err := broker.Start(broker.Config{})
	require.NoError(t, err)
	defer b.Close()
	cfg := kafka.DefaultConfig(b.Addr()...)
	cfg.ProduceTimeout = 200 * time.Millisecond
	c, err := kafka.New(cfg, kafka.Deps{})
	require.NoError(t, err)
	defer c.Close()
	require.Error(t, c.Publish(t.Context(), stage.Message{Topic: "typo", Value: []byte("x")}))
}
