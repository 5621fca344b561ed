package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
)

// lockWait is how long a write waits for a locked record, unless the scenario says otherwise.
const lockWait = 10 * time.Second

// rowLocks are the records that writes under way have locked. It is safe for concurrent use.
type rowLocks struct {
	wait time.Duration

	mu   sync.Mutex
	held map[string]chan struct{} // closed when the lock is free
}

func newRowLocks(wait time.Duration) *rowLocks {
	if wait <= 0 {
		wait = lockWait
	}
	return &rowLocks{wait: wait, held: map[string]chan struct{}{}}
}

// acquire locks the ids, in order so that no two writes wait for each other, and returns those that stayed locked by others
// for too long. The caller must call release.
func (l *rowLocks) acquire(ctx context.Context, ids []string) (release func(), refused map[string]bool) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	timeout := time.NewTimer(l.wait)
	defer timeout.Stop()
	mine := map[string]chan struct{}{}
	refused = map[string]bool{}
	late := false
	for _, id := range ids {
		for {
			busy := l.take(id, mine)
			if busy == nil {
				break
			}
			if !late {
				select {
				case <-busy:
					continue
				case <-timeout.C:
					late = true
				case <-ctx.Done():
					late = true
				}
			}
			refused[id] = true
			break
		}
	}
	return func() { l.release(mine) }, refused
}

// take locks an id, or returns the channel that is closed when it becomes free.
func (l *rowLocks) take(id string, mine map[string]chan struct{}) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy, held := l.held[id]; held {
		return busy
	}
	free := make(chan struct{})
	l.held[id], mine[id] = free, free
	return nil
}

func (l *rowLocks) release(mine map[string]chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, free := range mine {
		delete(l.held, id)
		close(free)
	}
}

// locked runs a call after its simulated time has passed. Writes spend that time later, while they hold their locks.
func (s *Server) locked(c *call, run func() reply) reply {
	if s.locks == nil || c.Method == http.MethodGet || c.Method == http.MethodHead {
		s.latency.wait(c.Context())
	}
	return run()
}

// lock takes the locks of a write and lets its simulated time pass while it holds them. The returned function refuses the
// records whose locks could not be had.
func (s *Server) lock(ctx context.Context, inputs []dml.Input, op dml.Op) (release func(), fault func(*dml.Input) *dml.Error, err error) {
	if s.locks == nil {
		return func() {}, nil, nil
	}
	needs := make(map[*dml.Input][]string, len(inputs))
	var all []string
	err = s.org.View(ctx, func() {
		for i := range inputs {
			ids := inputs[i].Locks(op, s.org)
			needs[&inputs[i]] = ids
			all = append(all, ids...)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	release, refused := s.locks.acquire(ctx, all)
	s.latency.wait(ctx)
	if len(refused) == 0 {
		return release, nil, nil
	}
	return release, func(in *dml.Input) *dml.Error { return lockRefusal(needs[in], refused) }, nil
}

// lockTogether takes the locks of a transaction and lets its simulated time pass while it holds them. Which those are only
// the transaction itself can tell, because later subrequests use answers of earlier ones: it is run and taken back.
func (s *Server) lockTogether(c *call, subs []subrequest) (release func(), refused map[string]bool, err error) {
	if s.locks == nil {
		return func() {}, nil, nil
	}
	var needs []string
	if _, _, err := s.attempt(c, &atomic{needs: &needs}, subs); err != nil {
		return func() {}, nil, err
	}
	release, refused = s.locks.acquire(c.Context(), needs)
	s.latency.wait(c.Context())
	return release, refused, nil
}

// shared is lock for a write within a transaction: the locks are noted, or they have been asked for already.
func (s *Server) shared(tx *atomic, inputs []dml.Input, op dml.Op) (fault func(*dml.Input) *dml.Error) {
	if tx.needs != nil {
		for i := range inputs {
			*tx.needs = append(*tx.needs, inputs[i].Locks(op, s.org)...)
		}
	}
	if len(tx.refused) == 0 {
		return nil
	}
	return func(in *dml.Input) *dml.Error { return lockRefusal(in.Locks(op, s.org), tx.refused) }
}

func lockRefusal(ids []string, refused map[string]bool) *dml.Error {
	var busy []string
	for _, id := range ids {
		if refused[id] {
			busy = append(busy, id)
		}
	}
	if len(busy) == 0 {
		return nil
	}
	return &dml.Error{Code: "UNABLE_TO_LOCK_ROW", Message: fmt.Sprintf(
		"unable to obtain exclusive access to this record or %d records: %s", len(busy), strings.Join(busy, ","))}
}
