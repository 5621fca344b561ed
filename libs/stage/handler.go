package stage

import (
	"context"
	"errors"
	"time"
)

// Processor handles one partition of a Pipeline's input. The runtime builds one per assigned partition and calls it
// from one goroutine at a time.
type Processor interface {
	// Process handles a batch in offset order and puts everything it causes into out. The batch is settled once all of
	// that is acknowledged by every in-sync replica.
	//
	// An error made by Permanent means that some record of the batch can never be handled: the runtime repeats the batch
	// one record at a time and dead-letters the one that fails alone. So does a panic. Any other error means "try
	// again": the batch is repeated with backoff and, when the budget is used up, the partition pauses and keeps
	// trying, not ready, until it succeeds. Either way nothing that Process put into out or into its Table before it
	// failed takes effect.
	Process(ctx context.Context, batch []Record, out *Outbox) error
}

// Ticker is a Processor that also acts on the passing of time.
type Ticker interface {
	// Tick is called about once per Config.TickEvery, between batches, with the stage's clock, but not while the partition
	// cannot be read. Errors are treated as those
	// of Process, except that a permanent one is logged and the tick is given up.
	Tick(ctx context.Context, now time.Time, out *Outbox) error
}

// NewProcessor builds the processor of one partition. state holds what was saved for that partition, already read to
// its end; it is nil for a stage without state.
type NewProcessor func(p Partition, state *Table) (Processor, error)

// SinkHandler handles one partition of a Sink's input and settles records in any order.
type SinkHandler interface {
	// Accept takes one record over. It blocks while the handler is full; records come in offset order, from one goroutine.
	// A record is settled when the handler calls Port.Settle with its offset, which it must do exactly once for every
	// record it accepted, after every effect is acknowledged or recorded. An error made by Permanent dead-letters the
	// record; any other error is retried with backoff.
	Accept(ctx context.Context, rec Record) error
	// Drain finishes what is in flight, settles it, and returns; accepted records it could not finish before ctx ends stay
	// unsettled and come back. No Accept runs during or after Drain.
	Drain(ctx context.Context) error
}

// Port is what a SinkHandler may do to the outside. Safe for concurrent use.
type Port interface {
	// Publish produces messages and returns once every in-sync replica has them.
	Publish(ctx context.Context, messages ...Message) error
	// Save writes state entries to the compacted topic of the partition, applies them to the Table and returns once every
	// in-sync replica has them.
	Save(ctx context.Context, entries ...Entry) error
	// DeadLetter publishes a dead letter for a record, without the record's bytes if they are too large for it. It does not
	// settle the record. It fails only when ctx or the assignment has ended.
	DeadLetter(ctx context.Context, rec Record, reason, detail string) error
	// Settle marks offsets as done. The runtime commits the gapless prefix.
	Settle(offsets ...int64)
}

// NewSinkHandler builds the handler of one partition; see NewProcessor for state.
type NewSinkHandler func(p Partition, state *Table, port Port) (SinkHandler, error)

// Permanent marks err as one that the same input will always cause. The runtime dead-letters the record with the reason,
// a stable code, and err's text as the detail. A nil err stays nil.
func Permanent(reason string, err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{reason: reason, err: err}
}

// PermanentReason reports whether err, or an error it wraps, was made by Permanent, and with which reason.
func PermanentReason(err error) (string, bool) {
	var p *permanentError
	if errors.As(err, &p) {
		return p.reason, true
	}
	return "", false
}

type permanentError struct {
	reason string
	err    error
}

func (e *permanentError) Error() string { return e.reason + ": " + e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }
