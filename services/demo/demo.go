package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/oracle"
	"github.com/throughline-dev/throughline/services/visits"
)

// Options is what a user chooses.
type Options struct {
	// Dir keeps everything, so that a run that was killed can go on; empty: a temporary folder, removed at the end.
	Dir string
	// Events to send, and the Seed they are made from.
	Events int
	Seed   uint64
	// Rate limits how many events are sent per second; 0: as fast as it goes.
	Rate int
	// Stay keeps everything running after the summary until ctx ends.
	Stay bool
	// Brokers are a Kafka cluster to run on, whose topics are empty or left by an earlier run on Dir; none: an embedded one.
	Brokers []string
	// Version is the program's.
	Version string
	// Out takes the progress and the summary; Live draws the progress in place, for a terminal.
	Out  io.Writer
	Live bool

	// measured runs are without change events.
	measured bool
}

// customerTopic is where the demo's platform sends its events.
const customerTopic = "viewing-events"

// Run sends the stream through, waits until everything is written, and compares. An error means that the demo could not
// be run; what was lost or doubled is in the summary.
func Run(ctx context.Context, opts Options) (summary Summary, err error) {
	if opts.Dir == "" {
		if opts.Dir, err = os.MkdirTemp("", "throughline-demo-"); err != nil {
			return Summary{}, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(opts.Dir)) }()
	}
	env, err := start(ctx, opts)
	if err != nil {
		return Summary{}, err
	}
	summary, err = env.run(ctx)
	return summary, errors.Join(err, env.stop(ctx))
}

// open starts all services in one process and saves the customers' settings.
func (e *environment) open(ctx context.Context) error {
	if err := e.serve(ctx, "all"); err != nil {
		return err
	}
	if err := e.connect(); err != nil {
		return err
	}
	if err := e.seed(ctx); err != nil {
		return err
	}
	return e.awaitReady(ctx)
}

func (e *environment) run(ctx context.Context) (Summary, error) {
	if err := e.open(ctx); err != nil {
		return Summary{}, err
	}
	began := time.Now()
	feed := &feeder{client: e.kafka, topic: customerTopic, perSecond: e.opts.Rate}
	show := newProgress(e, feed)
	stopShowing := show.start(ctx)
	if err := e.drive(ctx, feed); err != nil {
		stopShowing()
		return Summary{}, err
	}
	elapsed := time.Since(began)
	stopShowing()

	report, err := verdict(ctx, e.judge)
	if err != nil {
		return Summary{}, err
	}
	summary, reasons, err := e.summarise(ctx, report, elapsed)
	if err != nil {
		return Summary{}, err
	}
	summary.render(e.opts.Out, reasons)
	if !report.OK() {
		fmt.Fprintln(e.opts.Out, report)
	}
	if e.opts.Stay {
		e.invite(ctx)
		<-ctx.Done()
	}
	return summary, nil
}

// drive sends all events, waits until they are in visits, and finishes.
func (e *environment) drive(ctx context.Context, feed *feeder) error {
	if err := feed.feed(ctx, e.traffic.Events()); err != nil {
		return err
	}
	// Promise 7: a pipeline that stands still ends the demo instead of holding it up for ever.
	ctx, cancel := context.WithTimeoutCause(ctx, quietWithin, errStandstill)
	defer cancel()
	err := flow.AwaitQuiet(ctx, e.kafka, flow.Entrance(customerTopic))
	if err == nil {
		err = e.finish(ctx)
	}
	if err != nil && errors.Is(context.Cause(ctx), errStandstill) {
		return errStandstill
	}
	return err
}

// quietWithin is far longer than any stream of the demo takes.
const quietWithin = 15 * time.Minute

var errStandstill = fmt.Errorf("the pipeline was not done %s after the last event; the last line of progress shows where it waits, the log why", quietWithin)

// finish moves the clock so that visits nobody closed end, and waits until all that follows is in Salesforce.
func (e *environment) finish(ctx context.Context) error {
	e.clock.advance(silence + time.Minute)
	// Visits look around by themselves for who has been silent; they are done when a while has closed no more.
	for closed := int64(-1); closed != e.closed(); {
		closed = e.closed()
		if err := pause(ctx, settleFor); err != nil {
			return err
		}
	}
	return flow.AwaitQuiet(ctx, e.kafka, flow.Hops(customerTopic))
}

// closed counts the visits that ended since this process started.
func (e *environment) closed() int64 {
	v, ok := e.service("visits").(*visits.Service)
	if !ok {
		return 0
	}
	st := v.Stats()
	return st.Closed + st.Anonymous
}

// pause waits for a while or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lateWithin is how long what is missing may still come, and lookEvery the time between two looks.
const (
	lateWithin = 30 * time.Second
	lookEvery  = time.Second
)

// verdict judges until everything is there, for a while at most: on a machine that stands still for moments a visit may end after
// finish took all of them for ended, and what comes late is not lost.
func verdict(ctx context.Context, judge func(context.Context) (*oracle.Report, error)) (*oracle.Report, error) {
	deadline := time.Now().Add(lateWithin)
	for {
		report, err := judge(ctx)
		if err != nil || report.OK() || !time.Now().Before(deadline) {
			return report, err
		}
		if err := pause(ctx, lookEvery); err != nil {
			return nil, err
		}
	}
}

// judge lets the oracle read the stream and compares what it expects with what the orgs hold.
func (e *environment) judge(ctx context.Context) (*oracle.Report, error) {
	o, err := oracle.New(e.traffic.World(), oracle.DefaultOptions())
	if err != nil {
		return nil, err
	}
	for event := range e.traffic.Events() {
		raw := oracle.Raw{Value: event.Value}
		for _, h := range event.Headers {
			raw.Headers = append(raw.Headers, oracle.Header(h))
		}
		o.Observe(raw)
	}
	actual, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	return oracle.Compare(o.Expect(), actual), nil
}
