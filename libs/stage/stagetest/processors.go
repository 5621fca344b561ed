package stagetest

import (
	"context"
	"errors"
	"sync"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Copy returns a factory of processors that send every record on to a topic, with its key, value, id and trace.
func Copy(topic string) stage.NewProcessor {
	return Func(func(_ context.Context, batch []stage.Record, out *stage.Outbox) error {
		for i := range batch {
			r := &batch[i]
			out.Send(stage.Message{
				Topic: topic, Key: r.Key, Value: r.Value, ID: string(r.Header(stage.HeaderID)),
				Type: "test.v1", Time: r.Time, TraceParent: r.TraceParent(),
			})
		}
		return nil
	})
}

// Func returns a factory of processors that all call f.
func Func(f func(context.Context, []stage.Record, *stage.Outbox) error) stage.NewProcessor {
	return func(stage.Partition, *stage.Table) (stage.Processor, error) { return processorFunc(f), nil }
}

type processorFunc func(context.Context, []stage.Record, *stage.Outbox) error

// Process calls the function.
func (f processorFunc) Process(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
	return f(ctx, batch, out)
}

// ErrTransient is the error of a Faulty processor that should be tried again.
var ErrTransient = errors.New("a passing fault")

// Faulty wraps processors: what is set is what goes wrong. Safe for concurrent use.
type Faulty struct {
	// Poison decides which records fail, and how: nil, stage.Permanent, or any error. It may panic.
	Poison func(stage.Record) error

	mu      sync.Mutex
	failing bool
	calls   int
}

// Fail makes every batch fail with ErrTransient until it is called with false.
func (f *Faulty) Fail(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = on
}

// Calls returns how often a batch was handled.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Wrap returns a factory whose processors do what inner's do, if nothing goes wrong.
func (f *Faulty) Wrap(inner stage.NewProcessor) stage.NewProcessor {
	return func(p stage.Partition, t *stage.Table) (stage.Processor, error) {
		proc, err := inner(p, t)
		if err != nil {
			return nil, err
		}
		return processorFunc(func(ctx context.Context, batch []stage.Record, out *stage.Outbox) error {
			if err := proc.Process(ctx, batch, out); err != nil {
				return err
			}
			return f.check(batch)
		}), nil
	}
}

func (f *Faulty) check(batch []stage.Record) error {
	f.mu.Lock()
	f.calls++
	failing := f.failing
	f.mu.Unlock()
	if failing {
		return ErrTransient
	}
	if f.Poison == nil {
		return nil
	}
	for _, r := range batch {
		if err := f.Poison(r); err != nil {
			return err
		}
	}
	return nil
}
