package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/barecopy"
	"github.com/throughline-dev/throughline/services/internal/flow"
)

// BenchOptions is what a user chooses.
type BenchOptions struct {
	// Events in the stream, and its Seed.
	Events int
	Seed   uint64
	// Out takes the figures.
	Out io.Writer
}

// BenchResult is what was measured; its JSON form is the last line.
type BenchResult struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Ratio   float64 `json:"ratio"`
	Against string  `json:"against"`
	// Copy is the rate of the bare copy of the same records on the same broker, in the same run.
	Copy float64 `json:"copy"`
	// CPU is of the whole process, broker and simulated orgs included, in microseconds per event.
	CPU float64 `json:"cpu_us_per_event"`
	// PeakMemory is the most the process held, in MiB; the broker keeps all topics in it.
	PeakMemory float64 `json:"peak_memory_mib"`
	// Written records, and the verdict on them.
	Written    int     `json:"written"`
	Lost       int     `json:"lost"`
	Duplicates int     `json:"duplicates"`
	ElapsedS   float64 `json:"elapsed_s"`
	Cores      int     `json:"cores"`
}

// Bench measures the whole pipeline: raw events that lie ready in the customer topic, until every one of them has had its
// effect and the records it caused are in the orgs. Broker, all services and the simulated orgs share this process. The same
// records are first copied from topic to topic by kafka-go alone; that rate is the baseline.
func Bench(ctx context.Context, opts BenchOptions) (result BenchResult, err error) {
	dir, err := os.MkdirTemp("", "throughline-bench-")
	if err != nil {
		return BenchResult{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	env, err := start(ctx, Options{Dir: dir, Events: opts.Events, Seed: opts.Seed, Out: opts.Out, measured: true})
	if err != nil {
		return BenchResult{}, err
	}
	result, err = env.bench(ctx)
	if err = errors.Join(err, env.stop(ctx)); err != nil {
		return BenchResult{}, err
	}
	line, err := json.Marshal(result)
	if err == nil {
		_, err = fmt.Fprintln(opts.Out, string(line))
	}
	return result, err
}

func (e *environment) bench(ctx context.Context) (BenchResult, error) {
	if err := e.prepareBench(ctx); err != nil {
		return BenchResult{}, err
	}
	copied, err := e.copyRate(ctx)
	if err != nil {
		return BenchResult{}, err
	}
	fmt.Fprintf(e.opts.Out, "bare copy   %8.0f events/s\n", copied)

	cpuBefore, began := cpuTime(), time.Now()
	if err := e.serve(ctx, "ingest", "visits", "identity", "mapping", "writer"); err != nil {
		return BenchResult{}, err
	}
	if err := flow.AwaitQuiet(ctx, e.kafka, flow.Hops(customerTopic)); err != nil {
		return BenchResult{}, err
	}
	elapsed, used := time.Since(began), cpuTime()-cpuBefore
	n := float64(e.opts.Events)
	fmt.Fprintf(e.opts.Out, "pipeline    %8.0f events/s  %5.1f CPU µs/event\n", n/elapsed.Seconds(), float64(used.Microseconds())/n)

	// The rest is not timed: visits that nobody closed end, and the oracle looks at every record.
	if err := e.finish(ctx); err != nil {
		return BenchResult{}, err
	}
	report, err := verdict(ctx, e.judge)
	if err != nil {
		return BenchResult{}, err
	}
	if !report.OK() {
		fmt.Fprintln(e.opts.Out, report)
	}
	return BenchResult{
		Name: "pipeline", Unit: "events/s", Against: "bare kafka-go consume→produce copy of the same records",
		Value: n / elapsed.Seconds(), Copy: copied, Ratio: n / elapsed.Seconds() / copied,
		CPU: float64(used.Microseconds()) / n, PeakMemory: peakMemory(), Cores: runtime.GOMAXPROCS(0),
		Written: report.Written, Lost: report.Lost, Duplicates: report.Duplicates, ElapsedS: elapsed.Seconds(),
	}, nil
}

// prepareBench saves the settings and puts the whole stream into the customer topic before the pipeline starts.
func (e *environment) prepareBench(ctx context.Context) error {
	if err := e.serve(ctx, "config"); err != nil {
		return err
	}
	if err := e.connect(); err != nil {
		return err
	}
	if err := e.seed(ctx); err != nil {
		return err
	}
	feed := &feeder{client: e.kafka, topic: customerTopic}
	return feed.feed(ctx, e.traffic.Events())
}

// copyRate copies the customer topic with kafka-go alone and returns records per second.
func (e *environment) copyRate(ctx context.Context) (float64, error) {
	const target = "bench-copy"
	if err := e.kafka.EnsureTopics(ctx, kafka.TopicSpec{Name: target, Partitions: partitions, MaxMessageBytes: 64 << 20}); err != nil {
		return 0, err
	}
	began := time.Now()
	err := barecopy.Run(ctx, barecopy.Config{
		Brokers: e.brokers, From: customerTopic, To: target, Group: "bench-copy", Records: int64(e.opts.Events), BatchRecords: 2000,
	})
	rate := float64(e.opts.Events) / time.Since(began).Seconds()
	return rate, errors.Join(err, e.kafka.DeleteTopics(ctx, target))
}

// cpuTime is what the process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most the process held, in MiB.
func peakMemory() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}
