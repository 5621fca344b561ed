package org

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/clock"
	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/query"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

// Org is one org. It is safe for concurrent use.
type Org struct {
	// Key, ID, Spec and Schema do not change. Spec has its defaults filled in and no records.
	Key    string
	ID     string
	Spec   scenario.Org
	Schema *schema.Schema
	Zone   *time.Location

	clock    *clock.Clock
	journal  *journal.Journal // nil keeps everything in memory only
	profiles map[string]*schema.Access
	noAPI    map[string]bool // profiles without API access
	numbers  map[*table.Table]int64
	observe  func(key string, object *schema.Object, rec *record.Record) // may be nil

	mu     sync.RWMutex
	rules  *dml.Rules
	tables map[*schema.Object]*table.Table
	gone   bool
	feed   Feed
}

// Commit is a transaction that has taken effect.
type Commit struct {
	Caller  Caller
	At      time.Time
	Changes []table.Change
}

// Feed is told of every commit, one after the other in their order, and must not call the org. What it returns is stored
// with the changes or not at all.
type Feed func(Commit) []journal.Entry

// Watch lets a feed be told of the commits from now on.
func (o *Org) Watch(feed Feed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.feed = feed
}

// ErrGone says that the org was deleted or reset while a request was under way; nothing was changed.
var ErrGone = errors.New("the org is gone")

// Deps is what an org needs from outside. Journal may be nil.
type Deps struct {
	Clock   *clock.Clock
	Journal *journal.Journal
	// Ordinal makes the org's ids differ from those of others.
	Ordinal int
	// Observe, if set, is told of every record that a transaction changed, in the order of transactions, while the org's
	// records are locked.
	Observe func(key string, object *schema.Object, rec *record.Record)
}

// build makes an org without records.
func build(spec scenario.Org, deps Deps) (*Org, error) {
	spec = spec.WithDefaults()
	s, err := buildSchema(&spec)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(spec.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("timezone: %w", err)
	}
	pod := sfid.Pod(deps.Ordinal)
	if spec.ID == "" {
		spec.ID = sfid.New("00D", pod, uint64(deps.Ordinal)+1)
	}
	if spec.ID, err = sfid.Long(spec.ID); err != nil {
		return nil, fmt.Errorf("id: %w", err)
	}
	o := &Org{
		Key: spec.Key, ID: spec.ID, Schema: s, Zone: zone, clock: deps.Clock, journal: deps.Journal,
		tables: map[*schema.Object]*table.Table{}, numbers: map[*table.Table]int64{},
		observe: deps.Observe,
	}
	for _, object := range s.Objects() {
		o.tables[object] = table.New(object, pod)
	}
	o.profiles, o.noAPI = profiles(spec.Profiles)
	o.Spec = spec
	o.Spec.Records = nil
	o.rules, err = o.buildRules(&spec)
	return o, err
}

// Table gives the table of an object. Only for use within View and Write.
func (o *Org) Table(object *schema.Object) *table.Table { return o.tables[object] }

// Now returns the org's time.
func (o *Org) Now() time.Time { return o.clock.Now() }

// View lets read look at the records while nobody changes them, then waits until what it saw is on disk.
func (o *Org) View(ctx context.Context, read func()) error {
	o.mu.RLock()
	read()
	o.mu.RUnlock()
	return o.settle(ctx)
}

func (o *Org) settle(ctx context.Context) error {
	if o.journal == nil {
		return nil
	}
	if err := o.journal.Last().Wait(ctx); err != nil {
		return fmt.Errorf("keep records: %w", err)
	}
	return nil
}

// Write lets change alter records in one transaction, then waits until it is on disk. Errors mean that the outcome is not
// known to be kept; refusals of single records are results, not errors.
func (o *Org) Write(ctx context.Context, caller Caller, change func(*dml.Writer)) error {
	ticket, err := o.commit(caller, func(w *dml.Writer) error { change(w); return nil })
	if err != nil || ticket == nil {
		return err
	}
	if err := ticket.Wait(ctx); err != nil {
		return fmt.Errorf("keep records: %w", err)
	}
	return nil
}

// commit runs a change and queues it with other entries. The ticket is nil when nothing is to be kept.
func (o *Org) commit(caller Caller, change func(*dml.Writer) error, extra ...journal.Entry) (*journal.Ticket, error) {
	return o.transact(caller, func(w *dml.Writer) ([]journal.Entry, error) { return extra, change(w) })
}

// transact runs a change and queues it together with the entries that the change returns.
func (o *Org) transact(caller Caller, change func(*dml.Writer) ([]journal.Entry, error)) (*journal.Ticket, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone {
		return nil, ErrGone
	}
	w := &dml.Writer{
		Schema: o.Schema, Data: o, Access: caller.Access, Rules: o.rules, User: caller.UserID,
		Now: record.NewDateTime(o.clock.Now()), Tx: &table.Tx{},
	}
	extra, err := change(w)
	if err != nil {
		w.Tx.RollbackTo(0)
		return nil, err
	}
	if o.journal == nil && o.feed == nil && o.observe == nil {
		return nil, nil
	}
	changes := w.Tx.Changes()
	o.tell(changes)
	if o.feed != nil && len(changes) > 0 {
		extra = append(extra, o.feed(Commit{Caller: caller, At: o.clock.Now(), Changes: changes})...)
	}
	if o.journal == nil {
		return nil, nil
	}
	if len(changes) == 0 && len(extra) == 0 {
		return o.journal.Last(), nil
	}
	return o.journal.Append(journal.Batch{Rows: o.rows(changes), Entries: extra}), nil
}

// tell shows the observer what a transaction left behind.
func (o *Org) tell(changes []table.Change) {
	if o.observe == nil {
		return
	}
	for _, c := range changes {
		if c.Record != nil {
			o.observe(o.Key, c.Table.Object, c.Record)
		}
	}
}

func (o *Org) rows(changes []table.Change) []journal.Row {
	rows := make([]journal.Row, len(changes))
	buf := make([]byte, 0, 512*len(changes))
	for i, c := range changes {
		start := len(buf)
		buf = record.Encode(buf, c.Record.Values)
		rows[i] = journal.Row{Table: o.numbers[c.Table], Num: c.Num, Data: buf[start:len(buf):len(buf)]}
	}
	return rows
}

// Query returns what a query of the caller runs against. Use it only within View.
func (o *Org) Query(caller Caller, path string) *query.Env {
	return &query.Env{Schema: o.Schema, Data: o, Access: caller.Access, Now: o.clock.Now(), Zone: o.Zone, Path: path, User: caller.UserID}
}

// Counts returns how many live records each object has.
func (o *Org) Counts() map[string]int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	out := map[string]int{}
	for object, t := range o.tables {
		out[object.Name] = t.Live()
	}
	return out
}
