package stage

import (
	"context"
	"errors"
	"sync"

	"github.com/throughline-dev/throughline/libs/stage/internal/fault"
)

// port is a sink's Port. Calls that come while another batch is on its way are written together in the next one.
type port struct {
	sink *sink
	// life ends when the partition is given up; a write in flight is abandoned then.
	//nolint:containedctx // it is the life of the port, which no call of it bounds
	life   context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	pending []*call
	writing bool
	idle    *sync.Cond
}

// call is one Publish or Save.
type call struct {
	messages []Message
	entries  []Entry
	done     chan error
}

var errPortClosed = errors.New("the partition is no longer assigned")

func newPort(w *sink) *port {
	p := &port{sink: w}
	p.idle = sync.NewCond(&p.mu)
	p.life, p.cancel = context.WithCancel(context.Background())
	return p
}

// open ties the port's life to the worker's.
func (p *port) open(work context.Context) {
	context.AfterFunc(work, p.cancel)
}

// stop ends the port and waits for a write in flight.
func (p *port) stop() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.writing {
		p.idle.Wait()
	}
}

// Publish produces messages; see Port.
func (p *port) Publish(ctx context.Context, messages ...Message) error {
	if len(messages) == 0 {
		return nil
	}
	if err := p.do(ctx, &call{messages: messages, done: make(chan error, 1)}); err != nil {
		return err
	}
	p.sink.outCount.Add(int64(len(messages)))
	return nil
}

// Save writes state; see Port.
func (p *port) Save(ctx context.Context, entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if p.sink.table == nil {
		return errors.New("this stage has no state topic")
	}
	return p.do(ctx, &call{entries: entries, done: make(chan error, 1)})
}

// DeadLetter publishes a dead letter; see Port.
func (p *port) DeadLetter(ctx context.Context, rec Record, reason, detail string) error {
	d := DeadLetter{Record: rec, Reason: reason, Detail: detail, Attempts: 1}
	err := p.deadLetter(ctx, d)
	if isPermanent(err) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(p.life, cancel)() //nolint:contextcheck // it ends with the port as well
		d.Bare = true
		err = p.sink.retry(ctx, "dead-lettering", func() error { return lasting(p.deadLetter(ctx, d)) })
	}
	if err == nil {
		p.sink.countDead(ctx, []DeadLetter{d})
	}
	return err
}

func (p *port) deadLetter(ctx context.Context, d DeadLetter) error {
	messages, err := p.sink.buryAll(ctx, []DeadLetter{d})
	if err != nil {
		return err
	}
	return p.do(ctx, &call{messages: messages, done: make(chan error, 1)})
}

// Settle marks offsets as done; see Port.
func (p *port) Settle(offsets ...int64) { p.sink.settled(offsets) }

// do queues a call and waits for it. If ctx ends first, whether it will be written is unknown.
func (p *port) do(ctx context.Context, c *call) error {
	p.mu.Lock()
	if p.life.Err() != nil {
		p.mu.Unlock()
		return errPortClosed
	}
	p.pending = append(p.pending, c)
	if !p.writing {
		p.writing = true
		go p.write()
	}
	p.mu.Unlock()
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write writes what is pending until nothing is.
func (p *port) write() {
	for {
		p.mu.Lock()
		calls := p.pending
		p.pending = nil
		if len(calls) == 0 {
			p.writing = false
			p.idle.Broadcast()
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		p.writeCalls(calls)
	}
}

// writeCalls writes calls together. If the broker finds something too large, they are written one by one, so that only the
// one to blame fails.
func (p *port) writeCalls(calls []*call) {
	err := p.writeOnce(calls)
	if isPermanent(err) && len(calls) > 1 {
		for _, c := range calls {
			p.writeCalls([]*call{c})
		}
		return
	}
	for _, c := range calls {
		c.done <- err
	}
}

// writeOnce writes messages before entries, like a Pipeline does.
func (p *port) writeOnce(calls []*call) error {
	w := p.sink
	b := ProduceBatch{Source: w.cfg.Name, StateTopic: w.cfg.StateTopic, StatePartition: w.id}
	for _, c := range calls {
		b.Messages = append(b.Messages, c.messages...)
	}
	err := w.retry(p.life, "producing", func() error { return w.produce(p.life, b) })
	if err == nil {
		err = w.hook(fault.Produced, w.id)
	}
	if err != nil {
		return err
	}
	var entries []Entry
	for _, c := range calls {
		entries = append(entries, c.entries...)
	}
	if len(entries) == 0 {
		return nil
	}
	b.Messages, b.Entries = nil, entries
	err = w.retry(p.life, "saving the state", func() error {
		w.mu.Lock()
		next := w.next
		w.mu.Unlock()
		return w.produceState(p.life, b, next)
	})
	if err != nil {
		return err
	}
	for _, e := range entries {
		w.table.Apply(e)
	}
	return w.hook(fault.Saved, w.id)
}
