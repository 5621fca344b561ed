package resolve

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Retrier asks again for the engagements of one partition of the unresolved topic, each when it is due. An engagement
// that fails again goes back to the topic with a later due time, so that nothing waits for an org but its own.
type Retrier struct {
	cfg  Config
	deps Deps
	port stage.Port

	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	waiting []*waiting // by due time, the latest first
}

// waiting is one accepted record.
type waiting struct {
	rec stage.Record
	due time.Time
	job
}

// NewRetrier returns a retrier at work. cfg must be valid.
func NewRetrier(cfg Config, deps Deps, port stage.Port) *Retrier {
	ctx, stop := context.WithCancel(context.Background())
	r := &Retrier{cfg: cfg, deps: deps, port: port, stop: stop, done: make(chan struct{})}
	go r.run(ctx)
	return r
}

// Accept implements stage.SinkHandler. The runtime's MaxUnsettled bounds how many records wait here (promise 7).
func (r *Retrier) Accept(_ context.Context, rec stage.Record) error {
	w := &waiting{rec: clone(rec)}
	w.job.rec = &w.rec
	w.connection = string(rec.Header(headerConnection))
	w.attempt, _ = strconv.Atoi(string(rec.Header(headerAttempt)))
	w.due, w.since = instant(rec.Header(headerDue)), instant(rec.Header(headerSince))
	if latest := r.deps.Clock.Now().Add(r.cfg.RetryMax); w.due.After(latest) {
		w.due = latest // a clock that was ahead put it off for longer than anything is
	}
	if w.since.IsZero() {
		w.since = rec.Time
	}
	e, refused := decode(rec.Value)
	if refused != nil {
		return stage.Permanent(code(refused.reason), refused)
	}
	w.engagement = e
	r.wait(w)
	return nil
}

// Drain implements stage.SinkHandler. What waits stays unsettled and comes back.
func (r *Retrier) Drain(ctx context.Context) error {
	r.stop()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Retrier) wait(records ...*waiting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range records {
		i, _ := slices.BinarySearchFunc(r.waiting, w, func(a, b *waiting) int {
			return cmp.Or(b.due.Compare(a.due), cmp.Compare(b.rec.Offset, a.rec.Offset))
		})
		r.waiting = slices.Insert(r.waiting, i, w)
	}
}

// take removes those that are due, at most RetryRecords.
func (r *Retrier) take(now time.Time) []*waiting {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.waiting) && n < r.cfg.RetryRecords && !r.waiting[len(r.waiting)-1-n].due.After(now) {
		n++
	}
	due := slices.Clone(r.waiting[len(r.waiting)-n:])
	clear(r.waiting[len(r.waiting)-n:])
	r.waiting = r.waiting[:len(r.waiting)-n]
	slices.Reverse(due)
	return due
}

func (r *Retrier) run(ctx context.Context) {
	defer close(r.done)
	ticker := time.NewTicker(r.cfg.RetryPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due := r.take(r.deps.Clock.Now()); len(due) > 0 && ctx.Err() == nil; due = r.take(r.deps.Clock.Now()) {
			if failed := r.guarded(ctx, due); len(failed) > 0 {
				// The broker or the settings are away; the records stay here until they are back.
				now := r.deps.Clock.Now()
				for _, w := range failed {
					w.due = now.Add(r.cfg.RetryMin)
				}
				r.wait(failed...)
			}
		}
	}
}

// guarded is again. A record that makes it panic is found as the runtime does it, by halves, and dead-lettered; the others are asked about
// as if it had not been there (promise 6).
func (r *Retrier) guarded(ctx context.Context, due []*waiting) (failed []*waiting) {
	defect := stage.Guarded(func() error {
		failed = r.again(ctx, due)
		return nil
	})
	if defect == nil {
		return failed
	}
	if half := len(due) / 2; half > 0 {
		return append(r.guarded(ctx, due[:half]), r.guarded(ctx, due[half:])...)
	}
	err := stage.Guarded(func() error {
		return r.port.DeadLetter(ctx, due[0].rec, stage.ReasonPanic, "asking again "+defect.Error())
	})
	if err != nil {
		return due
	}
	r.port.Settle(due[0].rec.Offset)
	return nil
}

// again asks about records that are due and settles them. It returns those that it could not settle.
func (r *Retrier) again(ctx context.Context, due []*waiting) (failed []*waiting) {
	view := r.deps.Settings.View()
	if view == nil {
		return due
	}
	var asked []*waiting
	var jobs []job
	results := make(map[*waiting]result, len(due))
	for _, w := range due {
		planned, res := r.plan(view, w)
		if len(planned) == 0 {
			results[w] = res
			continue
		}
		for _, j := range planned {
			asked, jobs = append(asked, w), append(jobs, j)
		}
	}
	answers := look(ctx, r.deps.Directory, jobs, true) // they are of orgs in trouble: nobody else waits for them
	if ctx.Err() != nil {
		return nil // Stopping: the records come back.
	}
	for i := range jobs {
		res := results[asked[i]]
		r.conclude(&jobs[i], &answers[i], view, &res)
		results[asked[i]] = res
	}
	return r.settle(ctx, due, results)
}

// result is what becomes of one record.
type result struct {
	messages []stage.Message
	// reason and detail of a dead letter; "" for none.
	reason, detail string
	err            error
}

// plan returns what must be asked. A record without a connection was put off before its settings were known.
func (r *Retrier) plan(view *settings.View, w *waiting) ([]job, result) {
	var res result
	ws, policy, refused := place(view, w.engagement)
	if refused != nil {
		r.putOff(&w.job, refused, &res)
		return nil, res
	}
	if erased(ws, w.engagement) {
		var m stage.Message
		if m, res.err = erasure(&w.rec, w.engagement, r.deps.Clock.Now()); res.err == nil {
			res.messages = append(res.messages, m)
			r.deps.Stats.Erased.Add(1)
		}
		return nil, res
	}
	var jobs []job
	for _, t := range whereTo(ws, w) {
		j := w.job
		j.workspace, j.policy, j.connection, j.users, j.account = ws, policy, t.connection, t.users, t.account
		jobs = append(jobs, j)
	}
	if len(jobs) == 0 {
		var m stage.Message
		var ok bool
		if m, ok, res.err = noWorkflow(&w.rec, w.engagement, view, r.deps.Clock.Now()); ok {
			res.messages = append(res.messages, m)
		}
	}
	return jobs, res
}

// whereTo returns where a record must be resolved: in the connection it was put off for, or in all.
func whereTo(ws *settings.Workspace, w *waiting) []target {
	all := targets(ws, w.engagement)
	if w.connection == "" {
		return all
	}
	for _, t := range all {
		if t.connection == w.connection {
			return []target{t}
		}
	}
	return []target{{connection: w.connection}}
}

// conclude adds what became of one job.
func (r *Retrier) conclude(j *job, a *directory.Answer, view *settings.View, res *result) {
	if a.Err != nil {
		r.putOff(j, refusalOf(a.Err), res)
		return
	}
	m, err := resolved(j, a, view.Revision())
	if err != nil {
		res.err = err
		return
	}
	res.messages = append(res.messages, m)
	r.deps.Stats.Resolved.Add(1)
}

// putOff decides between another attempt and giving up.
func (r *Retrier) putOff(j *job, why *refusal, res *result) {
	now := r.deps.Clock.Now()
	j.attempt++
	switch {
	case why.permanent:
		res.reason, res.detail = code(why.reason), why.Error()
	case now.Sub(j.since) < r.cfg.MaxAge:
		res.messages = append(res.messages, unresolved(j, now.Add(r.cfg.backoff(j.attempt))))
		r.deps.Stats.Unresolved.Add(1)
	default:
		m, err := gaveUp(j, why, now)
		res.messages, res.err = append(res.messages, m), err
		res.reason, res.detail = code(why.reason), fmt.Sprintf("given up after %d attempts: %v", j.attempt, why)
		r.deps.Stats.GivenUp.Add(1)
	}
}

// settle makes results permanent. Promise 2: a record is settled after everything it caused is acknowledged.
func (r *Retrier) settle(ctx context.Context, due []*waiting, results map[*waiting]result) (failed []*waiting) {
	var messages []stage.Message
	var settled []*waiting
	for _, w := range due {
		if results[w].err != nil {
			failed = append(failed, w)
			continue
		}
		messages = append(messages, results[w].messages...)
		settled = append(settled, w)
	}
	if len(messages) > 0 && r.port.Publish(ctx, messages...) != nil {
		return due
	}
	for _, w := range settled {
		res := results[w]
		if res.reason != "" && r.port.DeadLetter(ctx, w.rec, res.reason, res.detail) != nil {
			failed = append(failed, w)
			continue
		}
		r.port.Settle(w.rec.Offset)
	}
	return failed
}

// clone copies what the runtime owns.
func clone(rec stage.Record) stage.Record {
	rec.Key, rec.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
	rec.Headers = slices.Clone(rec.Headers)
	for i := range rec.Headers {
		rec.Headers[i].Value = bytes.Clone(rec.Headers[i].Value)
	}
	return rec
}

// instant reads a header written by millis; anything else is the zero time, which is due at once.
func instant(header []byte) time.Time {
	ms, err := strconv.ParseInt(string(header), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
