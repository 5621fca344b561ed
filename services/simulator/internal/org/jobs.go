package org

import (
	"context"
	"fmt"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
)

// JobsKey begins the journal's entries about an org's bulk jobs. They go when the org goes.
func JobsKey(key string) string { return "bulk/" + key + "/" }

// EventsKey begins the journal's entries about an org's change events. They go when the org goes.
func EventsKey(key string) string { return "events/" + key + "/" }

// WriteWith is Write with entries that are stored together with the changes or not at all: the change returns them. When it
// returns an error, nothing is changed.
func (o *Org) WriteWith(ctx context.Context, caller Caller, change func(*dml.Writer) ([]journal.Entry, error)) error {
	ticket, err := o.transact(caller, change)
	if err != nil || ticket == nil {
		return err
	}
	if err := ticket.Wait(ctx); err != nil {
		return fmt.Errorf("keep records: %w", err)
	}
	return nil
}

// Keep queues entries beside the records, and forgets those whose keys begin with one of the prefixes. The ticket is nil
// when nothing is to be kept.
func (o *Org) Keep(entries []journal.Entry, forget []string) (*journal.Ticket, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.gone {
		return nil, ErrGone
	}
	if o.journal == nil {
		return nil, nil
	}
	return o.journal.Append(journal.Batch{Entries: entries, Forget: forget}), nil
}

// Kept calls visit for the entries whose keys begin with prefix, in the order of keys. Value is only good during the call.
func (o *Org) Kept(ctx context.Context, prefix string, visit func(key string, value []byte) error) error {
	if o.journal == nil {
		return nil
	}
	return o.journal.Entries(ctx, prefix, visit)
}
