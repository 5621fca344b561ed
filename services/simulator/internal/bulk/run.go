package bulk

import (
	"context"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
)

// batchesGone is the text of a used up allocation of batches.
const batchesGone = "ApiBatchItems Limit exceeded."

// start runs a job that is complete or was cut short, unless it runs already.
func (s *Store) start(w *work) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || w.stop != nil || (w.State != UploadComplete && w.State != InProgress) {
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	w.stop = stop
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer stop()
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
			s.run(ctx, w)
		case <-ctx.Done():
		}
	}()
}

// run takes a job to its end, unless it is aborted or the store closes.
func (s *Store) run(ctx context.Context, w *work) {
	s.mu.Lock()
	if w.State != UploadComplete && w.State != InProgress {
		s.mu.Unlock()
		return
	}
	w.State, w.Modified = InProgress, s.Org.Now()
	job, data, done := w.Job, w.data, len(w.outcomes)
	ticket, err := s.keep(w, nil)
	s.mu.Unlock()
	if settle(ctx, ticket, err) != nil {
		return
	}
	caller, reason := s.caller(ctx, &job)
	switch {
	case reason != "":
	case job.Kind == Query:
		reason = s.query(ctx, w, &job, caller)
	default:
		reason = s.ingest(ctx, w, &task{job: job, data: data, done: done, caller: caller})
	}
	if ctx.Err() == nil && reason != cutShort {
		s.finish(w, reason)
	}
}

// cutShort is the reason of a job that is to go on later.
const cutShort = "cut short"

func (s *Store) caller(ctx context.Context, job *Job) (org.Caller, string) {
	user, found := s.Org.UserByID(ctx, job.User)
	if !found || !user.Active {
		return org.Caller{}, "InvalidUser : the user who made the job is inactive"
	}
	caller, _ := s.Org.Caller(user)
	caller.Origin = job.Origin
	return caller, ""
}

func (s *Store) finish(w *work, reason string) {
	s.mu.Lock()
	if w.State.Final() {
		s.mu.Unlock()
		return
	}
	w.State, w.Error, w.Modified = JobComplete, reason, s.Org.Now()
	if reason != "" {
		w.State = Failed
	}
	ticket, err := s.keep(w, nil)
	s.mu.Unlock()
	_ = settle(s.ctx, ticket, err) // a job whose end is not stored ends again after a restart
}

// task is one run of an ingest job.
type task struct {
	job    Job
	data   string
	done   int // rows that have their results already
	caller org.Caller
	plan   *plan
}

// ingest writes the rows that have no results yet, and returns why the job fails, or "".
func (s *Store) ingest(ctx context.Context, w *work, t *task) string {
	sh, reason := readSheet(&t.job, t.data)
	if reason != "" {
		return reason
	}
	if t.plan, reason = newPlan(s.Org, t.caller, &t.job, sh.header); reason != "" {
		return reason
	}
	for from := t.done; from < len(sh.rows); from += ChunkSize {
		if from%BatchSize == 0 && !s.Batches.Add(s.Org.Now(), 1) {
			return "ExceededQuota : " + batchesGone
		}
		if reason := s.trouble(ctx, t.job.Object); reason != "" {
			return reason
		}
		if ctx.Err() != nil {
			return cutShort
		}
		if reason := s.chunk(ctx, w, t, sh.rows[from:min(from+ChunkSize, len(sh.rows))], from/ChunkSize); reason != "" {
			return reason
		}
	}
	return ""
}

// trouble lets a scripted fault befall a job, and returns why the job fails, or "".
func (s *Store) trouble(ctx context.Context, object string) string {
	rule := s.Writer.Trouble(object)
	if rule == nil {
		return ""
	}
	if rule.Action == faults.SlowJob {
		pause(ctx, rule.Wait)
		return ""
	}
	code, message := rule.Code, rule.Message
	if code == "" {
		code = "InternalServerError"
	}
	if message == "" {
		message = "Unable to process the job"
	}
	return code + " : " + message
}

// chunk writes one chunk and stores what became of it in the same transaction.
func (s *Store) chunk(ctx context.Context, w *work, t *task, rows []row, number int) string {
	inputs := make([]dml.Input, len(rows))
	for i := range rows {
		inputs[i] = t.plan.bind(&rows[i])
	}
	began := s.Org.Now()
	var outcomes []Outcome
	err := s.Writer.WriteChunk(ctx, &Chunk{
		Caller: t.caller, Object: t.plan.object.Name, Inputs: inputs, Op: t.plan.op,
		Keep: func(results []dml.Result) ([]journal.Entry, error) {
			outcomes = outcomesOf(rows, results)
			entry, err := s.chunkEntry(t.job.ID, number, outcomes)
			return []journal.Entry{entry}, err
		},
	})
	if err != nil {
		return cutShort
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.add(outcomes)
	w.Took += s.Org.Now().Sub(began)
	if s.jobs[w.ID] != w { // deleted meanwhile: the results that were just stored go as well
		if _, err := s.Org.Keep(nil, []string{s.jobKey(w.ID)}); err != nil {
			return cutShort
		}
	}
	return ""
}

func outcomesOf(rows []row, results []dml.Result) []Outcome {
	outcomes := make([]Outcome, len(results))
	for i := range results {
		outcomes[i] = Outcome{ID: results[i].ID, Created: results[i].Created}
		if results[i].Failed() {
			outcomes[i].Error = errorText(&rows[i], results[i].Errors[0])
		}
	}
	return outcomes
}

// pause waits for d of real time, or until the job ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
