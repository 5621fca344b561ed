package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Names of what is kept of a job below its key.
const (
	partJob    = "job"
	partData   = "data"
	partResult = "result"
	partChunk  = "chunk/"
)

func (s *Store) jobKey(id string) string { return org.JobsKey(s.Org.Key) + id + "/" }

func (s *Store) dataEntry(w *work) journal.Entry {
	return journal.Entry{Key: s.jobKey(w.ID) + partData, Value: append([]byte{}, w.data...)}
}

func (s *Store) chunkEntry(id string, chunk int, outcomes []Outcome) (journal.Entry, error) {
	value, err := json.Marshal(outcomes)
	return journal.Entry{Key: fmt.Sprintf("%s%s%08d", s.jobKey(id), partChunk, chunk), Value: value}, err
}

// header is a job as it is stored.
type header struct {
	Job
	Num uint64
}

// keep queues the job as it is now, with what else belongs to it. It needs the lock, so that changes are stored in order.
func (s *Store) keep(w *work, forget []string, more ...journal.Entry) (*journal.Ticket, error) {
	value, err := json.Marshal(header{w.Job, w.num})
	if err != nil {
		return nil, err
	}
	return s.Org.Keep(append(more, journal.Entry{Key: s.jobKey(w.ID) + partJob, Value: value}), forget)
}

// settle waits until what was queued is on disk.
func settle(ctx context.Context, ticket *journal.Ticket, err error) *Error {
	if err == nil && ticket != nil {
		err = ticket.Wait(ctx)
	}
	if err != nil {
		return unavailable()
	}
	return nil
}

// Restore reads the jobs that were kept and goes on with those that were not finished.
func (s *Store) Restore(ctx context.Context) error {
	kept := map[string]*work{}
	prefix := org.JobsKey(s.Org.Key)
	err := s.Org.Kept(ctx, prefix, func(key string, value []byte) error {
		id, part, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		if kept[id] == nil {
			kept[id] = &work{}
		}
		return kept[id].restore(part, value)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	for id, w := range kept {
		if w.ID == "" {
			continue // a rest of a job that is gone
		}
		s.jobs[id] = w
		s.order = append(s.order, w)
		s.next = max(s.next, w.num)
	}
	slices.SortFunc(s.order, func(a, b *work) int { return int(a.num) - int(b.num) })
	waiting := slices.Clone(s.order)
	s.mu.Unlock()
	for _, w := range waiting {
		s.start(w) //nolint:contextcheck // a job outlasts the request that starts it
	}
	return nil
}

// restore takes one entry back. Chunks come in the order of their keys, which is that of their rows.
func (w *work) restore(part string, value []byte) error {
	var err error
	switch {
	case part == partJob:
		h := header{Job: Job{}}
		if err = json.Unmarshal(value, &h); err == nil {
			h.Processed, h.Failed = w.Processed, w.Failed
			w.Job, w.num = h.Job, h.Num
		}
	case part == partData:
		w.data = string(value)
	case part == partResult:
		w.result = &answer{}
		err = json.Unmarshal(value, w.result)
	case strings.HasPrefix(part, partChunk):
		var outcomes []Outcome
		if err = json.Unmarshal(value, &outcomes); err == nil {
			w.add(outcomes)
		}
	}
	if err != nil {
		return fmt.Errorf("read bulk job: %w", err)
	}
	return nil
}

// long returns the 18-character form of an id, or the text as it is.
func long(id string) string {
	if l, err := sfid.Long(id); err == nil {
		return l
	}
	return id
}
