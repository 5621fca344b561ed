package writerbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// pacedLatency is how long a call takes while calls are counted; orgsLatency while orgs are compared.
const (
	pacedLatency = 150 * time.Millisecond
	orgsLatency  = 50 * time.Millisecond
	pace         = 20 * time.Millisecond
)

// Run measures, writes a line per figure to w and the result as one JSON object in the last line, and returns it.
func Run(ctx context.Context, cfg Config, w io.Writer) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	m := &bench{cfg: cfg, w: w}
	if cfg.JSON {
		m.w = io.Discard
	}
	if err := errors.Join(m.rates(ctx), ctx.Err()); err != nil {
		return Result{}, fmt.Errorf("bench writer: records/s: %w", err)
	}
	if err := errors.Join(m.backlog(ctx), ctx.Err()); err != nil {
		return Result{}, fmt.Errorf("bench writer: backlog: %w", err)
	}
	if err := m.paced(ctx); err != nil {
		return Result{}, fmt.Errorf("bench writer: calls: %w", err)
	}
	if err := m.healthy(ctx); err != nil {
		return Result{}, fmt.Errorf("bench writer: healthy orgs: %w", err)
	}
	r := &m.result
	last := r.Rates[len(r.Rates)-1]
	r.Name, r.Value, r.Unit, r.Ratio = "writer", last.Records, "records/s", last.Ratio
	r.Against = fmt.Sprintf("%d records × %d requests in flight ÷ %g ms a call", salesforce.MaxCollection, cfg.Parallelism, last.LatencyMS)
	line, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", line)
	}
	return *r, err
}

type bench struct {
	cfg    Config
	w      io.Writer
	result Result
}

// with opens an environment, writes one record to each healthy org, so that nothing measured is a first time, and measures.
func (m *bench) with(ctx context.Context, latency time.Duration, orgs, dead int, measure func(*environment) error) error {
	e, err := open(ctx, m.cfg, latency, orgs, dead)
	if err != nil {
		return err
	}
	first, err := e.messages(orgs-dead, orgs-dead)
	if err == nil {
		err = e.kafka.Publish(ctx, first...)
	}
	if err == nil {
		err = e.await(ctx, len(first))
	}
	if err == nil {
		err = measure(e)
	}
	return errors.Join(err, e.close())
}

// rates drains a backlog by Collections at every latency.
func (m *bench) rates(ctx context.Context) error {
	fmt.Fprintf(m.w, "%-28s %12s %12s %7s %14s\n", "records/s", "measured", "limit", "ratio", "CPU µs/record")
	m.cfg.collectionsOnly = true
	defer func() { m.cfg.collectionsOnly = false }()
	for _, latency := range m.cfg.Latencies {
		err := m.with(ctx, latency, 1, 0, func(e *environment) error {
			r, _, err := e.drain(ctx, latency)
			if err != nil {
				return err
			}
			m.result.Rates = append(m.result.Rates, r)
			fmt.Fprintf(m.w, "%-28s %12.0f %12.0f %7.2f %14.1f\n", fmt.Sprint("at ", latency, " a call"), r.Records, r.Limit, r.Ratio, r.CPU)
			return nil
		})
		if err != nil {
			return fmt.Errorf("at %s a call: %w", latency, err)
		}
	}
	return nil
}

// backlog counts the calls of a backlog that may go by the Bulk API too.
func (m *bench) backlog(ctx context.Context) error {
	return m.with(ctx, pacedLatency, 1, 0, func(e *environment) error {
		_, calls, err := e.drain(ctx, pacedLatency)
		m.result.Calls = []Calls{{Load: "backlog", PerThousand: calls}}
		return err
	})
}

func (e *environment) drain(ctx context.Context, latency time.Duration) (Rate, float64, error) {
	batch, err := e.messages(e.cfg.Records, 1)
	if err != nil {
		return Rate{}, 0, err
	}
	calls, cpu, began := e.orgs.calls(), cpuTime(), time.Now()
	if err := e.kafka.Publish(ctx, batch...); err != nil {
		return Rate{}, 0, err
	}
	if err := e.await(ctx, e.sent); err != nil {
		return Rate{}, 0, err
	}
	n, used := float64(len(batch)), cpuTime()-cpu
	r := Rate{
		LatencyMS: float64(latency.Milliseconds()), Records: n / e.outcomes.lastAt().Sub(began).Seconds(),
		CPU: float64(used.Microseconds()) / n,
	}
	if latency > 0 {
		r.Limit = float64(salesforce.MaxCollection*e.cfg.Parallelism) / latency.Seconds()
		r.Ratio = r.Records / r.Limit
	}
	return r, float64(e.orgs.calls()-calls) / n * 1000, nil
}

// paced counts the calls of streams that leave no backlog. The baseline is what full batches would cost.
func (m *bench) paced(ctx context.Context) error {
	for _, load := range []struct {
		name string
		rate int
	}{{"steady", m.cfg.Steady}, {"trickle", m.cfg.Trickle}} {
		err := m.with(ctx, pacedLatency, 1, 0, func(e *environment) error {
			before, sent := e.orgs.calls(), e.sent
			if err := e.stream(ctx, load.rate, 1); err != nil {
				return err
			}
			if err := e.await(ctx, e.sent); err != nil {
				return err
			}
			per := float64(e.orgs.calls()-before) / float64(e.sent-sent) * 1000
			m.result.Calls = append(m.result.Calls, Calls{Load: load.name, PerThousand: per})
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
	}
	full := 1000.0 / salesforce.MaxCollection
	fmt.Fprintf(m.w, "\n%-28s %12s %12s %7s\n", "calls per 1,000 records", "measured", "full batches", "ratio")
	for _, c := range m.result.Calls {
		fmt.Fprintf(m.w, "%-28s %12.1f %12.1f %7.2f\n", c.Load, c.PerThousand, full, c.PerThousand/full)
	}
	return nil
}

// stream sends rate records/s to the orgs in turn.
func (e *environment) stream(ctx context.Context, rate, orgs int) error {
	total := int(float64(rate) * e.cfg.For.Seconds())
	began := time.Now()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for sent := 0; sent < total; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		due := min(int(time.Since(began).Seconds()*float64(rate)), total) - sent
		if due <= 0 {
			continue
		}
		batch, err := e.messagesFrom(sent, due, orgs)
		if err != nil {
			return err
		}
		if err := e.kafka.Publish(ctx, batch...); err != nil {
			return err
		}
		sent += due
	}
	return nil
}

// healthy streams into many orgs, first with all of them well, then with some dead. In both runs only those count that are
// well in both.
func (m *bench) healthy(ctx context.Context) error {
	fmt.Fprintf(m.w, "\n%-28s %12s\n", "p99 of healthy orgs", "ms")
	var err error
	if m.result.Healthy.None, err = m.p99(ctx, m.cfg.Orgs-m.cfg.Dead, 0); err != nil {
		return fmt.Errorf("none dead: %w", err)
	}
	fmt.Fprintf(m.w, "%-28s %12.0f\n", "none dead", m.result.Healthy.None)
	if m.result.Healthy.Some, err = m.p99(ctx, m.cfg.Orgs, m.cfg.Dead); err != nil {
		return fmt.Errorf("%d dead: %w", m.cfg.Dead, err)
	}
	m.result.Healthy.Ratio = m.result.Healthy.Some / m.result.Healthy.None
	fmt.Fprintf(m.w, "%-28s %12.0f   ratio %.2f\n", fmt.Sprintf("%d of %d dead", m.cfg.Dead, m.cfg.Orgs), m.result.Healthy.Some, m.result.Healthy.Ratio)
	return nil
}

// p99 streams into orgs of which some are dead. Every healthy one gets the same rate whatever their number.
func (m *bench) p99(ctx context.Context, orgs, dead int) (ms float64, err error) {
	rate := max(1, m.cfg.OrgsRate*orgs/m.cfg.Orgs)
	err = m.with(ctx, orgsLatency, orgs, dead, func(e *environment) error {
		first := e.sent
		if err := e.stream(ctx, rate, orgs); err != nil {
			return err
		}
		if err := e.await(ctx, first+e.toHealthy(e.sent-first, orgs, dead)); err != nil {
			return err
		}
		ms = float64(e.outcomes.p99(first).Microseconds()) / 1000
		return nil
	})
	return ms, err
}

// toHealthy is how many of n writes to the orgs in turn went to one that is not dead.
func (e *environment) toHealthy(n, orgs, dead int) int {
	return n/orgs*(orgs-dead) + min(n%orgs, orgs-dead)
}

// cpuTime is what the process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
