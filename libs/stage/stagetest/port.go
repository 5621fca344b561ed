package stagetest

import (
	"context"
	"slices"
	"sync"

	"github.com/throughline-dev/throughline/libs/stage"
)

// Port is a stage.Port that records what a SinkHandler does. Safe for concurrent use.
type Port struct {
	table *stage.Table

	mu        sync.Mutex
	published []stage.Message
	saved     []stage.Entry
	dead      []stage.DeadLetter
	settled   []int64
	fail      error
	changed   chan struct{}
}

var _ stage.Port = (*Port)(nil)

// NewPort returns a port whose Save applies entries to table, which may be nil.
func NewPort(table *stage.Table) *Port { return &Port{table: table, changed: make(chan struct{})} }

// Fail makes Publish, Save and DeadLetter fail with err from now on; nil heals.
func (p *Port) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// do runs f under the lock unless the port fails, and wakes who awaits.
func (p *Port) do(f func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	f()
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// Publish records messages.
func (p *Port) Publish(_ context.Context, messages ...stage.Message) error {
	return p.do(func() { p.published = append(p.published, messages...) })
}

// Save records entries and applies them to the table.
func (p *Port) Save(_ context.Context, entries ...stage.Entry) error {
	return p.do(func() {
		p.saved = append(p.saved, entries...)
		for _, e := range entries {
			if p.table != nil {
				p.table.Apply(e)
			}
		}
	})
}

// DeadLetter records a dead letter.
func (p *Port) DeadLetter(_ context.Context, rec stage.Record, reason, detail string) error {
	return p.do(func() {
		p.dead = append(p.dead, stage.DeadLetter{Record: rec, Reason: reason, Detail: detail, Attempts: 1})
	})
}

// Settle records offsets. It never fails.
func (p *Port) Settle(offsets ...int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = append(p.settled, offsets...)
	close(p.changed)
	p.changed = make(chan struct{})
}

// Published returns what was published, in order.
func (p *Port) Published() []stage.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.published)
}

// Saved returns what was saved, in order.
func (p *Port) Saved() []stage.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.saved)
}

// DeadLetters returns what was given up, in order.
func (p *Port) DeadLetters() []stage.DeadLetter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dead)
}

// Settled returns the settled offsets, in the order they were settled.
func (p *Port) Settled() []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.settled)
}

// Await blocks until cond, which is called again after every change, is true, or ctx ends.
func (p *Port) Await(ctx context.Context, cond func(*Port) bool) error {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if cond(p) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
