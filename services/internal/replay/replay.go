package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	// Restart is where processing goes on, and how.
	Restart
	// Resume goes on where a replay with the same filter stopped: Report.Resume of that one. "" begins anew.
	Resume string
	// Progress is told how far a replay is: before the first record, and after each batch. The letters are counted first
	// for it. Optional.
	Progress func(Progress)
}

// Progress is how far a replay is.
type Progress struct {
	// Done of Total letters that match are dealt with: fed to their topic, or found not replayable.
	Done, Total int
}

// run is one pass over the dead letters.
type run struct {
	*Replayer
	filter  Filter
	limiter *rate.Limiter
	report  *Report
	// batch waits to be published; batchMax grows with the rate, so that nothing waits much longer than a second.
	batch    []pending
	bytes    int
	batchMax int
	total    int
	// began is what there was to read, left what is not read yet; safe is the same as of the last moment when nothing waited to be published.
	began, left, safe mark
}

// Run replays what the filter means. The report holds, also after an error, what was done until then, and the mark by which
// another Run goes on from there. A letter is fed twice only if it was in a batch whose fate is not known; its keys are the
// same then, so that no effect happens twice (promises 3 and 5).
func (r *Replayer) Run(ctx context.Context, f Filter) (*Report, error) {
	report := newReport(r.Publisher == nil)
	if err := errors.Join(f.Validate(), r.Restart.Validate()); err != nil {
		return report, err
	}
	perSecond := r.Rate
	if perSecond == 0 {
		perSecond = DefaultRate
	}
	if perSecond < 0 {
		return report, errors.New("--rate must be more than 0 records a second")
	}
	var todo mark
	if r.Resume != "" {
		var err error
		if todo, err = parseMark(r.Resume, &f); err != nil {
			return report, err
		}
	}
	total := 0
	if r.Publisher != nil && r.Progress != nil {
		counter := &run{Replayer: &Replayer{Log: r.Log, Opener: r.Opener, Restart: r.Restart}, filter: f, report: newReport(true)}
		if err := counter.scan(ctx, todo); err != nil {
			report.stop(err, r.Resume)
			return report, err
		}
		// The second pass reads what was counted, and not what was given up since.
		todo, total = counter.began, counter.report.Matched
		r.Progress(Progress{Total: total})
	}
	x := &run{
		Replayer: r, filter: f, report: report, total: total,
		limiter: rate.NewLimiter(rate.Limit(perSecond), 1), batchMax: int(min(maxBatch, max(1, perSecond))),
	}
	err := x.scan(ctx, todo)
	if err == nil {
		err = x.flush(ctx)
	}
	switch {
	case err == nil:
	case x.began == nil: // not even that is known
		report.stop(err, r.Resume)
	default:
		report.stop(err, x.safe.text(&f))
	}
	return report, err
}

// scan reads what is to be done, or everything.
func (x *run) scan(ctx context.Context, todo mark) error {
	var failed error
	scan := trace.Scan{Topic: topic.DeadLetters, Ranges: todo}
	scan.Began = func(ranges map[int]stage.OffsetRange) {
		x.began, x.left, x.safe = ranges, maps.Clone(ranges), maps.Clone(ranges)
	}
	scan.Visit = func(rec stage.Record) bool {
		failed = x.visit(ctx, &rec)
		return failed == nil
	}
	if !x.filter.From.IsZero() {
		scan.From = x.filter.From.Add(-slack)
	}
	if err := x.Log.Scan(ctx, scan); err != nil {
		return errors.Join(fmt.Errorf("read dead letters: %w", err), failed)
	}
	return failed
}

// visit looks at one dead letter and remembers that it has been.
func (x *run) visit(ctx context.Context, rec *stage.Record) error {
	if err := x.judge(ctx, rec); err != nil {
		return err
	}
	x.left[rec.Partition] = stage.OffsetRange{Start: rec.Offset + 1, End: x.left[rec.Partition].End}
	if len(x.batch) >= x.batchMax || x.bytes >= maxBatchBytes {
		return x.flush(ctx)
	}
	if len(x.batch) == 0 {
		x.safe[rec.Partition] = x.left[rec.Partition]
	}
	return nil
}

func (x *run) judge(ctx context.Context, rec *stage.Record) error {
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
		x.report.match(letter, identity{})
		x.report.unreadable(err.Error() + "; is it this installation's key?")
		return nil
	}
	if !x.filter.matchesRecord(&original) {
		return nil
	}
	sample := x.report.match(letter, describe(&original))
	switch {
	case err != nil:
		x.report.unreadable(fmt.Sprintf("%v: %s/%d@%d", err, original.Topic, original.Partition, original.Offset))
		return nil
	case !replayable(original.Topic):
		x.report.unreadable(fmt.Sprintf("dead letter %s comes from %s, which is not fed again", letter.GetDeadLetterId(), original.Topic))
		return nil
	}
	p, problem := x.prepare(&original, sample)
	switch {
	case problem != "":
		x.report.unreadable(problem)
		return nil
	case x.Publisher == nil:
		return nil
	}
	return x.add(ctx, &p)
}

// replayable keeps state and dead letters out: nobody reads those as input.
func replayable(name string) bool {
	switch name {
	case "", topic.DeadLetters, topic.VisitState, topic.TotalsState, topic.Ledger:
		return false
	}
	return true
}

func (x *run) add(ctx context.Context, p *pending) error {
	if err := x.limiter.Wait(ctx); err != nil {
		return fmt.Errorf("wait for the replay's rate: %w", err)
	}
	x.batch = append(x.batch, *p)
	x.bytes += p.size()
	return nil
}

// flush publishes what waits. An interrupt lets a batch on its way arrive, so that the report knows what became of it; the
// publisher bounds how long that takes.
func (x *run) flush(ctx context.Context) error {
	if err := x.complete(ctx); err != nil {
		return err
	}
	if n := len(x.batch); n > 0 {
		messages := make([]stage.Message, n)
		for i := range x.batch {
			messages[i] = x.batch[i].message
		}
		if err := x.Publisher.Publish(context.WithoutCancel(ctx), messages...); err != nil {
			x.report.Unsure = n
			return fmt.Errorf("replay %d records after %d; run it again, nothing happens twice: %w", n, x.report.Replayed, err)
		}
		x.report.Replayed += n
		x.report.Last = x.batch[n-1].sample
	}
	clear(x.batch)
	x.batch, x.bytes = x.batch[:0], 0
	maps.Copy(x.safe, x.left)
	if x.Progress != nil && x.Publisher != nil {
		x.Progress(Progress{Done: x.report.Matched, Total: x.total})
	}
	return nil
}
