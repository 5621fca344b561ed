package delivery

import (
	"net/http"
	"slices"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// stray is a bulk job whose end nobody has seen: its process died, or the org stopped answering. Salesforce may be writing its
// rows at any time. Until it has ended the lane sends nothing, or an older revision could come after a newer one (promise 4).
// Its writes have not settled, so they come again and are written again by their keys.
type stray struct {
	id string
	// at is when to look next; looking while somebody does.
	at      time.Time
	looking bool
	// refusal says why the job cannot be looked at until somebody does something; zero when it is only a matter of time.
	refusal gate.State
	looks   int
}

// findStrays finds the jobs that an earlier process has left under way.
func (l *lane) findStrays(now time.Time) {
	ids, err := ledger.Jobs(l.h.table, l.key.workspace, l.key.connection)
	if err != nil {
		l.noteLedger(err)
		l.jobs.strays = []*stray{{at: now.Add(l.h.cfg.BulkPause), refusal: gate.State{
			Reason: streamv1.Reason_REASON_BAD_SCHEMA, Detail: err.Error(),
		}}}
		return
	}
	l.noted.ids = ids
	for _, id := range ids {
		l.h.deps.Logger.Info("a bulk job was left under way; writes wait for its end",
			"workspace", l.key.workspace, "connection", l.key.connection, "job", id)
		l.jobs.strays = append(l.jobs.strays, &stray{id: id, at: now})
	}
}

// barred returns why the lane can send nothing although the org is open, for an administrator; an open state when it can, or
// when it is only a matter of time.
func (l *lane) barred() gate.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.jobs.strays {
		if s.refusal.Reason != 0 {
			return s.refusal
		}
	}
	return gate.State{Open: true}
}

// seek looks after the stray jobs for which it is time, and reports whether the lane must wait for any. The caller holds the lock.
func (l *lane) seek(now time.Time, open bool) (waiting bool) {
	for _, s := range l.jobs.strays {
		if open && !s.looking && !l.draining && s.id != "" && !now.Before(s.at) {
			s.looking = true
			l.h.work.Go(func() { l.lookAfter(s) })
		}
	}
	return len(l.jobs.strays) > 0
}

// lookAfter asks for a stray job, ends it if it runs, and lets the lane go when it was the last one.
func (l *lane) lookAfter(s *stray) {
	defer signal(l.wake)
	over, wait, e := l.askForJob(s)
	if l.h.life.Err() != nil {
		return
	}
	if over {
		if err := l.noteEnd(l.h.life, s.id); err != nil {
			l.abandoned("note the end of a bulk job", err)
			return
		}
	}
	refusal := gate.State{}
	if e != nil && !e.Temporary() && !e.Ambiguous && e.Class != salesforce.ClassAuth {
		refusal = gate.State{
			Reason: gate.ReasonOf(e),
			Detail: "bulk job " + s.id + " was left under way and cannot be looked at; until it has ended nothing is written. " + e.Detail,
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.looking, s.refusal, s.at = false, refusal, l.h.deps.Clock.Now().Add(wait)
	if over {
		l.jobs.strays = slices.DeleteFunc(l.jobs.strays, func(other *stray) bool { return other == s })
	}
}

// askForJob reports whether the stray job is over, and else how long to wait before asking again.
func (l *lane) askForJob(s *stray) (over bool, wait time.Duration, e *salesforce.Error) {
	client, err := l.h.deps.Orgs.Client(l.key.workspace, l.key.connection)
	if err != nil {
		return false, l.h.cfg.RetryMax, nil //nolint:nilerr // without settings there is nothing to ask with; they may come back
	}
	s.looks++
	state, err := client.BulkJob(l.h.life, s.id)
	l.h.deps.Tally.Request(l.h.life, l.org(), apiBulk, resultOf(err))
	if err == nil && !state.State.Ended() {
		// Its rows come again, and some of them in newer revisions: there is no use in waiting for the rest. An abort that did not
		// get through is repeated, or a job that nobody closed would never end.
		state, err = client.AbortBulkJob(l.h.life, s.id)
		l.h.deps.Tally.Request(l.h.life, l.org(), apiBulk, resultOf(err))
	}
	switch {
	case err != nil:
		if e = asError(err); e.Status == http.StatusNotFound { // only what has ended can be removed
			return true, 0, nil
		}
		if e.Code == jobMovedOn {
			return false, l.h.cfg.BulkPollMin, nil
		}
		l.gate.Failed(e, l.h.deps.Clock.Now())
		return false, l.backoff(s.looks), e
	case !state.State.Ended():
		return false, l.h.cfg.BulkPollMin, nil
	case state.State == salesforce.BulkAborted:
		// Whoever aborted it did so a moment ago, for all we know, and what was being written then may still come through.
		pause(l.h.life, l.h.cfg.LookAfter, nil)
	}
	return true, 0, nil
}
