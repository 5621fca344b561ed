package delivery

import (
	"context"
	"slices"
	"sync"

	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// noted are the jobs that the ledger knows to be under way: those that run, and strays.
type noted struct {
	mu  sync.Mutex
	ids []string
}

// note changes and saves which jobs the ledger knows to be under way. One change is saved before the next is made: a successor must
// find every job that Salesforce may be at (promise 4).
func (l *lane) note(ctx context.Context, change func(ids []string) []string) error {
	l.noted.mu.Lock()
	defer l.noted.mu.Unlock()
	ids := change(slices.Clone(l.noted.ids))
	entry, err := ledger.JobsUnderWay(l.key.workspace, l.key.connection, ids, l.h.deps.Clock.Now())
	if err == nil {
		err = l.h.port.Save(ctx, entry)
	}
	if err == nil {
		l.noted.ids = ids
	}
	return err
}

// noteEnd is note for a job that has ended.
func (l *lane) noteEnd(ctx context.Context, id string) error {
	return l.note(ctx, func(ids []string) []string {
		return slices.DeleteFunc(ids, func(other string) bool { return other == id })
	})
}
