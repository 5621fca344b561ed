package bulk

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
)

// Chunk is what is written in one transaction.
type Chunk struct {
	Caller org.Caller
	Object string
	Inputs []dml.Input
	Op     dml.Op
	// Keep turns the results into what is stored together with the changes.
	Keep func([]dml.Result) ([]journal.Entry, error)
}

// Writer is the org as jobs need it.
type Writer interface {
	// WriteChunk writes with the org's rules, locks, faults and time. An error means that nothing is known to be kept.
	WriteChunk(ctx context.Context, c *Chunk) error
	// Trouble returns the scripted fault that hits a job's next chunk, or nil.
	Trouble(object string) *faults.Rule
	// Wait lets the simulated time of one request pass.
	Wait(ctx context.Context)
}

// Deps is what a store needs from outside.
type Deps struct {
	Org     *org.Org
	Writer  Writer
	Batches *quota.Quota
	Queries *quota.Quota
}

// Store keeps the jobs of one org. It is safe for concurrent use.
type Store struct {
	Deps
	running sync.WaitGroup
	slots   chan struct{}
	ctx     context.Context //nolint:containedctx // the life of the store, which outlasts requests
	cancel  context.CancelFunc

	mu     sync.Mutex
	closed bool
	next   uint64
	jobs   map[string]*work
	order  []*work // oldest first
}

// New returns a store without jobs.
func New(d Deps) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	return &Store{Deps: d, slots: make(chan struct{}, maxRunning), ctx: ctx, cancel: cancel, jobs: map[string]*work{}}
}

// Close stops the jobs that run and waits for them. They go on when the store is restored.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

// Create makes a job. An ingest job with content is complete at once, as a multipart request makes it; without, it waits for
// its data. A query job begins at once.
func (s *Store) Create(ctx context.Context, j Job, content *string) (Job, *Error) {
	now := s.Org.Now()
	j.Created, j.Modified, j.State = now, now, Open
	if j.Kind == Query && !s.Queries.Add(now, 1) {
		return Job{}, refuse("EXCEEDEDQUOTA", "ExceededQuota : DailyBulkV2QueryJobs Limit exceeded.")
	}
	if used, limit := s.Batches.Usage(now); j.Kind == Ingest && used >= limit {
		return Job{}, refuse("EXCEEDEDQUOTA", "ExceededQuota : "+batchesGone)
	}
	s.mu.Lock()
	s.next++
	w := &work{Job: j, num: s.next}
	w.ID = newID(s.Org.ID, w.num)
	var entries []journal.Entry
	if content != nil {
		w.data, w.Uploaded = *content, true
		entries = append(entries, s.dataEntry(w))
	}
	if content != nil || j.Kind == Query {
		w.State = UploadComplete
	}
	s.jobs[w.ID] = w
	s.order = append(s.order, w)
	forget := s.prune(now)
	made := w.Job
	ticket, err := s.keep(w, forget, entries...)
	s.mu.Unlock()
	if failed := settle(ctx, ticket, err); failed != nil {
		return Job{}, failed
	}
	s.start(w) //nolint:contextcheck // a job outlasts the request that starts it
	return made, nil
}

// prune drops what is too old, gives up jobs that got no data for too long, and returns the keys to forget. It needs the lock.
func (s *Store) prune(now time.Time) (forget []string) {
	over := len(s.order) - maxJobs
	s.order = slices.DeleteFunc(s.order, func(w *work) bool {
		if w.State == Open && now.Sub(w.Created) > openFor {
			w.State, w.Modified = Aborted, now
		}
		if !w.State.Final() || (now.Sub(w.Modified) <= keptFor && over <= 0) {
			return false
		}
		over--
		delete(s.jobs, w.ID)
		forget = append(forget, s.jobKey(w.ID))
		return true
	})
	return forget
}

// find needs the lock.
func (s *Store) find(kind Kind, id string) (*work, *Error) {
	now := s.Org.Now()
	w, found := s.jobs[long(id)]
	if !found || w.Kind != kind {
		return nil, unknownJob()
	}
	if w.State == Open && now.Sub(w.Created) > openFor {
		w.State, w.Modified = Aborted, now
	}
	if w.State.Final() && now.Sub(w.Modified) > keptFor {
		return nil, unknownJob()
	}
	return w, nil
}

// Get returns a job.
func (s *Store) Get(kind Kind, id string) (Job, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, err := s.find(kind, id)
	if err != nil {
		return Job{}, err
	}
	return w.Job, nil
}

// Upload takes the data of an open job. A second upload is taken as well, but then the job cannot be closed.
func (s *Store) Upload(ctx context.Context, id, data string) *Error {
	s.mu.Lock()
	w, refused := s.find(Ingest, id)
	if refused == nil && w.State != Open {
		refused = refuse("INVALIDJOBSTATE", "Data can be uploaded only to a job in the state Open, not "+string(w.State))
	}
	if refused != nil {
		s.mu.Unlock()
		return refused
	}
	w.data, w.Uploaded, w.Again, w.Modified = data, true, w.Uploaded, s.Org.Now()
	ticket, err := s.keep(w, nil, s.dataEntry(w))
	s.mu.Unlock()
	return settle(ctx, ticket, err)
}

// Change closes or aborts a job.
func (s *Store) Change(ctx context.Context, kind Kind, id string, to State) (Job, *Error) {
	s.mu.Lock()
	w, refused := s.find(kind, id)
	if refused == nil {
		refused = allowed(w, to)
	}
	if refused != nil {
		s.mu.Unlock()
		return Job{}, refused
	}
	w.State, w.Modified = to, s.Org.Now()
	if to == Aborted && w.stop != nil {
		w.stop()
	}
	changed := w.Job
	ticket, err := s.keep(w, nil)
	s.mu.Unlock()
	if failed := settle(ctx, ticket, err); failed != nil {
		return Job{}, failed
	}
	s.start(w) //nolint:contextcheck // a job outlasts the request that starts it
	return changed, nil
}

func allowed(w *work, to State) *Error {
	switch {
	case to != UploadComplete && to != Aborted, to == UploadComplete && w.Kind == Query:
		return refuse("INVALIDJOBSTATE", "Invalid job state: "+string(to))
	case to == Aborted && w.State.Final():
		return refuse("INVALIDJOBSTATE", "Aborting already "+past(w.State)+" Job not allowed")
	case to == UploadComplete && w.State == Aborted:
		return refuse("INVALIDJOBSTATE", "Closing already aborted Job not allowed")
	case to == UploadComplete && w.State != Open:
		return refuse("INVALIDJOBSTATE", "Closing already closed Job not allowed")
	case to == UploadComplete && w.Again:
		return refuse("INVALIDJOB", "Found multipe contents for job: <"+w.ID[:15]+">, please 'Close' / 'Abort' / 'Delete' the current Job "+ //nolint:misspell // as Salesforce spells it
			"then create a new Job and make sure you only do 'PUT' once on a given Job.")
	}
	return nil
}

// past is the word for a state in refusals to abort: "Aborting already Completed Job not allowed" ("Abort a Query Job").
func past(s State) string {
	if s == JobComplete {
		return "Completed"
	}
	return string(s)
}

// Delete forgets a job with its data and results. Open and running jobs cannot be deleted.
func (s *Store) Delete(ctx context.Context, kind Kind, id string) *Error {
	s.mu.Lock()
	w, refused := s.find(kind, id)
	if refused == nil && (w.State == Open || w.State == InProgress) {
		refused = refuse("INVALIDJOBSTATE", "Job can't be deleted in state "+string(w.State))
	}
	if refused != nil {
		s.mu.Unlock()
		return refused
	}
	if w.stop != nil {
		w.stop()
	}
	w.State = Aborted
	delete(s.jobs, w.ID)
	s.order = slices.DeleteFunc(s.order, func(other *work) bool { return other == w })
	ticket, err := s.Org.Keep(nil, []string{s.jobKey(w.ID)})
	s.mu.Unlock()
	return settle(ctx, ticket, err)
}

// List returns up to n jobs of a kind that come after the locator, and the locator of the next page: empty at the end.
func (s *Store) List(kind Kind, locator string, n int) (page []Job, next string, ok bool) {
	after := uint64(0)
	if locator != "" {
		var err error
		if after, err = strconv.ParseUint(locator, 10, 64); err != nil {
			return nil, "", false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := after
	for _, w := range s.order {
		if w.Kind != kind || w.num <= after {
			continue
		}
		if _, gone := s.find(kind, w.ID); gone != nil {
			continue
		}
		if len(page) == n {
			return page, strconv.FormatUint(last, 10), true
		}
		page, last = append(page, w.Job), w.num
	}
	return page, "", true
}
