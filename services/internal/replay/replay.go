package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

const (
	// DefaultRate is how many records a second are replayed unless told otherwise.
	DefaultRate = 100
	// maxBatch and maxBatchBytes bound what is held in memory and what is repeated after a crash.
	maxBatch      = 100
	maxBatchBytes = 8 << 20
	// slack is how far the clock of who gave a record up may be ahead of the one that stamped its dead letter.
	slack = 10 * time.Minute
)

// Publisher writes messages and returns once they are safe. *kafka.Client is one.
type Publisher interface {
	Publish(ctx context.Context, messages ...stage.Message) error
}

// Replayer reads dead letters and, with a Publisher, replays them.
type Replayer struct {
	// Log reads tl.deadletters.v1.
	Log trace.Log
	// Opener holds the installation's key.
	Opener deadletter.Opener
	// Publisher takes the originals; nil is a dry run, which only counts.
	Publisher Publisher
	// Rate limits the replay, in records a second. Default DefaultRate.
	Rate float64
}

// run is one call of Run.
type run struct {
	*Replayer
	filter  Filter
	limiter *rate.Limiter
	report  *Report
	batch   []stage.Message
	bytes   int
}

// Run replays what the filter means. The report holds, also after an error, what was done until then. Records may be
// published twice after an error and another Run: their keys are the same, so that no effect is (promise 3).
func (r *Replayer) Run(ctx context.Context, f Filter) (*Report, error) {
	report := newReport(r.Publisher == nil)
	if err := f.Validate(); err != nil {
		return report, err
	}
	perSecond := r.Rate
	if perSecond == 0 {
		perSecond = DefaultRate
	}
	if perSecond < 0 {
		return report, errors.New("--rate must be more than 0 records a second")
	}
	x := &run{Replayer: r, filter: f, limiter: rate.NewLimiter(rate.Limit(perSecond), 1), report: report}
	scan := trace.Scan{Topic: topic.DeadLetters}
	if !f.From.IsZero() {
		scan.From = f.From.Add(-slack)
	}
	var failed error
	scan.Visit = func(rec stage.Record) bool {
		failed = x.visit(ctx, &rec)
		return failed == nil
	}
	if err := r.Log.Scan(ctx, scan); err != nil {
		return report, errors.Join(fmt.Errorf("read dead letters: %w", err), failed)
	}
	if failed != nil {
		return report, failed
	}
	return report, x.flush(ctx)
}

func (x *run) visit(ctx context.Context, rec *stage.Record) error {
	x.report.Read++
	letter := &streamv1.DeadLetter{}
	if proto.Unmarshal(rec.Value, letter) != nil {
		x.report.unreadable(fmt.Sprintf("%s/%d@%d is no dead letter", rec.Topic, rec.Partition, rec.Offset))
		return nil //nolint:nilerr // a record that is no dead letter is a finding of the report
	}
	if !x.filter.matchesLetter(letter) {
		return nil
	}
	original, err := deadletter.Open(x.Opener, letter)
	if err != nil && !errors.Is(err, deadletter.ErrValueNotCopied) {
		// Whether the other conditions hold cannot be told: it counts, so that nobody believes it was replayed.
		x.report.match(letter)
		x.report.unreadable(err.Error() + "; is it this installation's key?")
		return nil
	}
	if !x.filter.matchesRecord(&original) {
		return nil
	}
	x.report.match(letter)
	switch {
	case err != nil:
		x.report.unreadable(fmt.Sprintf("%v: %s/%d@%d", err, original.Topic, original.Partition, original.Offset))
		return nil
	case !replayable(original.Topic):
		x.report.unreadable(fmt.Sprintf("dead letter %s comes from %s, which is not fed again", letter.GetDeadLetterId(), original.Topic))
		return nil
	case x.Publisher == nil:
		return nil
	}
	return x.add(ctx, &original)
}

// replayable keeps state and dead letters out: nobody reads those as input.
func replayable(name string) bool {
	switch name {
	case "", topic.DeadLetters, topic.VisitState, topic.TotalsState, topic.Ledger:
		return false
	}
	return true
}

func (x *run) add(ctx context.Context, r *stage.Record) error {
	if err := x.limiter.Wait(ctx); err != nil {
		return fmt.Errorf("wait for the replay's rate: %w", err)
	}
	// Without a type the client adds no headers of its own: the original's are all there are.
	x.batch = append(x.batch, stage.Message{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers})
	x.bytes += len(r.Key) + len(r.Value)
	if len(x.batch) < maxBatch && x.bytes < maxBatchBytes {
		return nil
	}
	return x.flush(ctx)
}

func (x *run) flush(ctx context.Context) error {
	if len(x.batch) == 0 {
		return nil
	}
	if err := x.Publisher.Publish(ctx, x.batch...); err != nil {
		return fmt.Errorf("replay %d records after %d; run it again, nothing happens twice: %w", len(x.batch), x.report.Replayed, err)
	}
	x.report.Replayed += len(x.batch)
	clear(x.batch)
	x.batch, x.bytes = x.batch[:0], 0
	return nil
}
