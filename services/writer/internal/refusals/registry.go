package refusals

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
)

// Action is what is counted and paused: what one version of an integration writes to one object of an org.
type Action struct {
	Workspace, Connection, Integration, Object string
	Version                                    int64
}

// Of returns the action that asked for a write.
func Of(w *streamv1.Write) Action {
	return Action{
		Workspace: w.GetWorkspace(), Connection: w.GetConnection(), Integration: w.GetIntegration(),
		Object: w.GetObject(), Version: w.GetIntegrationVersion(),
	}
}

// elder reports whether the action is an earlier version of another.
func (a Action) elder(of Action) bool {
	version := a.Version
	a.Version = of.Version
	return a == of && version < of.Version
}

// Counts reports whether a refusal is about the record or the integration's rights, so that repeating it uses up calls for
// nothing. Locks, lost answers and an org that is away are not, nor is a record that somebody deleted.
func Counts(r streamv1.Reason) bool {
	switch r {
	case streamv1.Reason_REASON_SF_VALIDATION, streamv1.Reason_REASON_SF_NO_PERMISSION, streamv1.Reason_REASON_SF_DUPLICATE_RULE,
		streamv1.Reason_REASON_SF_FIELD_GONE, streamv1.Reason_REASON_SF_REJECTED:
		return true
	default:
		return false
	}
}

// Change is told when an action is paused, paused again after a trial, or goes on.
type Change struct {
	Action Action
	// Paused: nothing of it is sent before Until. Otherwise it goes on.
	Paused bool
	Until  time.Time
	// Again: a trial has failed, or the action goes on after one.
	Again bool
	// Refused of Ended writes were refused, the last one for Reason.
	Refused, Ended int
	Reason         streamv1.Reason
}

// Registry counts the actions of all connections. Safe for concurrent use.
type Registry struct {
	cfg  Config
	tell func(Change)

	// paused is how many actions are: without any, as nearly always, the questions before a write cost nothing.
	paused atomic.Int64

	mu      sync.Mutex
	actions map[Action]*state
}

// state is what is known of one action.
type state struct {
	window window
	heard  time.Time
	reason streamv1.Reason // of the last refusal

	// While it is paused: nothing is sent until then, and then some for trial.
	paused  bool
	until   time.Time
	why     count
	trial   count
	tried   int
	triedAt time.Time
}

// New returns a registry that pauses nothing yet. tell is called for every change, without a lock held.
func New(cfg Config, tell func(Change)) *Registry {
	return &Registry{cfg: cfg, tell: tell, actions: map[Action]*state{}}
}

// State tells whether a write of an action may be taken in; it is parked when not, for the reason.
func (r *Registry) State(a Action, now time.Time) gate.State {
	if r.paused.Load() == 0 {
		return gate.State{Open: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.actions[a]
	if s == nil || r.room(s, now) > 0 {
		return gate.State{Open: true}
	}
	return r.closed(a, s)
}

// Paused tells whether nothing of an action may be sent at now, whether it was admitted before or not.
func (r *Registry) Paused(a Action, now time.Time) gate.State {
	if r.paused.Load() == 0 {
		return gate.State{Open: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.actions[a]; s != nil && s.paused && now.Before(s.until) {
		return r.closed(a, s)
	}
	return gate.State{Open: true}
}

// Admit tells whether a write that is about to be sent may be. After a pause it lets some through for trial. An action that
// was not heard of before lets earlier versions of it have their trial at once: somebody has corrected the integration, or the
// org with it.
func (r *Registry) Admit(a Action, now time.Time) gate.State {
	if r.paused.Load() == 0 {
		return gate.State{Open: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state(a, now)
	if s == nil || !s.paused {
		return gate.State{Open: true}
	}
	if r.room(s, now) == 0 {
		return r.closed(a, s)
	}
	if s.tried >= r.cfg.TrialWrites {
		s.tried = s.trial.ended // nobody knows what became of the others
	}
	s.tried++
	s.triedAt = now
	return gate.State{Open: true}
}

// Room tells how many writes of an action may come back from parking at now.
func (r *Registry) Room(a Action, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.actions[a]; s != nil {
		return r.room(s, now)
	}
	return math.MaxInt
}

func (r *Registry) room(s *state, now time.Time) int {
	switch {
	case !s.paused:
		return math.MaxInt
	case now.Before(s.until):
		return 0
	case s.tried >= r.cfg.TrialWrites && now.Sub(s.triedAt) >= r.cfg.TrialWait:
		return r.cfg.TrialWrites - s.trial.ended
	default:
		return r.cfg.TrialWrites - s.tried
	}
}

// Ending is how a write of an action ended; no reason: it was confirmed.
type Ending struct {
	Action Action
	Reason streamv1.Reason
}

// Ended tells how writes ended that were sent together. It may pause their actions, or let them go on, and returns the changes,
// whose Entry is to be saved.
func (r *Registry) Ended(now time.Time, endings ...Ending) []Change {
	changes := r.ended(now, endings)
	for _, change := range changes {
		r.tell(change)
	}
	return changes
}

func (r *Registry) ended(now time.Time, endings []Ending) (changes []Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var judged []Action
	var s *state
	var of Action
	for _, e := range endings {
		refused := Counts(e.Reason)
		if e.Reason != 0 && !refused {
			continue
		}
		if s == nil || e.Action != of { // most of a batch are of one action
			s, of = r.state(e.Action, now), e.Action
		}
		if s == nil {
			continue
		}
		if refused {
			s.reason = e.Reason
		}
		if s.paused {
			changes = append(changes, r.tryEnded(e.Action, s, refused, now)...)
			continue
		}
		s.window.see(now, r.cfg.Window).add(refused)
		if !slices.Contains(judged, e.Action) {
			judged = append(judged, e.Action)
		}
	}
	for _, a := range judged {
		changes = append(changes, r.judge(a, now)...)
	}
	return changes
}

// judge pauses an action that is refused too often.
func (r *Registry) judge(a Action, now time.Time) []Change {
	s := r.actions[a]
	if s == nil || s.paused { // it gave way to another
		return nil
	}
	sum := s.window.sum()
	if sum.ended < r.cfg.LeastWrites || !sum.above(r.cfg.SharePercent, sum.ended) {
		return nil
	}
	return r.pause(a, s, sum, now)
}

// tryEnded judges the trial. What was under way when the pause began does not count.
func (r *Registry) tryEnded(a Action, s *state, refused bool, now time.Time) []Change {
	if now.Before(s.until) {
		return nil
	}
	s.trial.add(refused)
	switch trial := s.trial; {
	case trial.above(r.cfg.SharePercent, r.cfg.TrialWrites):
		return r.pause(a, s, trial, now)
	case trial.ended >= r.cfg.TrialWrites:
		*s = state{heard: now}
		r.paused.Add(-1)
		return []Change{{Action: a, Again: true, Refused: trial.refused, Ended: trial.ended}}
	}
	return nil
}

func (r *Registry) pause(a Action, s *state, why count, now time.Time) []Change {
	again := s.paused
	if !again {
		r.paused.Add(1)
	}
	*s = state{heard: now, reason: s.reason, paused: true, until: now.Add(r.cfg.Pause), why: why}
	return []Change{{
		Action: a, Paused: true, Again: again, Until: s.until, Refused: why.refused, Ended: why.ended, Reason: s.reason,
	}}
}

// state returns what is known of an action, nil when there is no place to note it. The caller holds the lock.
func (r *Registry) state(a Action, now time.Time) *state {
	if s := r.actions[a]; s != nil {
		s.heard = now
		return s
	}
	if len(r.actions) >= r.cfg.MaxActions && !r.giveWay(now) {
		return nil
	}
	for other, s := range r.actions {
		if s.paused && other.elder(a) && now.Before(s.until) {
			s.until = now
		}
	}
	s := &state{heard: now}
	r.actions[a] = s
	return s
}

// giveWay forgets the actions that nothing was heard of within the window, or the one of longest ago; paused ones stay for
// another pause (promise 7).
func (r *Registry) giveWay(now time.Time) bool {
	type known struct {
		action Action
		heard  time.Time
	}
	var idle []known
	before := len(r.actions)
	for a, s := range r.actions {
		switch {
		case s.paused && now.Sub(s.until) < r.cfg.Pause:
		case now.Sub(s.heard) > r.cfg.Window:
			r.forget(a)
		default:
			idle = append(idle, known{a, s.heard})
		}
	}
	if len(r.actions) < before {
		return true
	}
	if len(idle) == 0 {
		return false
	}
	oldest := slices.MinFunc(idle, func(x, y known) int {
		return cmp.Or(x.heard.Compare(y.heard), cmp.Compare(x.action.Version, y.action.Version))
	})
	r.forget(oldest.action)
	return true
}

func (r *Registry) forget(a Action) {
	if r.actions[a].paused {
		r.paused.Add(-1)
	}
	delete(r.actions, a)
}

// Each calls f for every action that is paused or on trial.
func (r *Registry) Each(f func(Action)) {
	r.mu.Lock()
	var paused []Action
	for a, s := range r.actions {
		if s.paused {
			paused = append(paused, a)
		}
	}
	r.mu.Unlock()
	for _, a := range paused {
		f(a)
	}
}

func (r *Registry) closed(a Action, s *state) gate.State {
	return gate.State{Reason: s.reason, Detail: fmt.Sprintf(
		"integration %s, version %d, is paused for %s: the org refused %d of its last %d writes (%d %%); correct the integration or "+
			"the org's rule; %d writes are tried from %s, or when a new version of the integration writes, and the others follow",
		a.Integration, a.Version, a.Object, s.why.refused, s.why.ended, s.why.refused*100/max(1, s.why.ended),
		r.cfg.TrialWrites, s.until.UTC().Format(time.RFC3339),
	)}
}
