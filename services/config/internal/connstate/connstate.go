package connstate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// State is where a connection stands.
type State = configv1.ConnectionState

// The states, in short.
const (
	Unknown      = configv1.ConnectionState_CONNECTION_STATE_UNSPECIFIED
	NotConnected = configv1.ConnectionState_CONNECTION_STATE_NOT_CONNECTED
	Awaiting     = configv1.ConnectionState_CONNECTION_STATE_AWAITING_SF_ADMIN
	Authorised   = configv1.ConnectionState_CONNECTION_STATE_AUTHORISED
	NoPackage    = configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING
	Ready        = configv1.ConnectionState_CONNECTION_STATE_READY
	Degraded     = configv1.ConnectionState_CONNECTION_STATE_DEGRADED
	Revoked      = configv1.ConnectionState_CONNECTION_STATE_REVOKED
	Disconnected = configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED
)

// legal is the one table of transitions. A login that Salesforce refuses for a reason of the org's leads from Awaiting to
// Degraded, and another try back. From Unknown, which only connections saved by older programs have, every state can
// be reached.
var legal = map[State][]State{
	NotConnected: {Awaiting, Authorised},
	Awaiting:     {NotConnected, Authorised, Degraded, Disconnected},
	Authorised:   {NoPackage, Ready, Degraded, Revoked, Disconnected},
	NoPackage:    {Authorised, Ready, Degraded, Revoked, Disconnected},
	Ready:        {Authorised, NoPackage, Degraded, Revoked, Disconnected},
	Degraded:     {Awaiting, Authorised, NoPackage, Ready, Degraded, Revoked, Disconnected},
	Revoked:      {Authorised, Disconnected},
	Disconnected: {Awaiting, Authorised},
}

// Legal reports whether a connection may go from one state to another. DEGRADED may follow itself, for another reason.
func Legal(from, to State) bool {
	if from == Unknown {
		return to != Unknown
	}
	return slices.Contains(legal[from], to)
}

// ErrIllegal means that a connection in this state cannot get into that one. Nothing was changed.
var ErrIllegal = errors.New("a connection cannot go that way")

// ErrIncomplete means that a change does not say why, by whom or when.
var ErrIncomplete = errors.New("a change of state needs a cause, an actor and a time")

// Status is a state with how it came about, and what damping has to remember.
type Status struct {
	State  State
	Reason streamv1.Reason
	// Cause and Actor brought it about at Since.
	Cause, Actor string
	Since        time.Time
	// HeldUntil is until when an operator's decision stands against diagnosis; zero: there is none.
	HeldUntil time.Time
	// BetterSince is since when every look finds the connection well while damping still holds it back; zero: it does not.
	BetterSince time.Time
	// Recoveries counts how often it recovered since RecoveringSince.
	Recoveries      int
	RecoveringSince time.Time
}

// Change is what somebody found or decided.
type Change struct {
	To     State
	Reason streamv1.Reason
	// Cause is a code or, of an operator, a sentence.
	Cause, Actor string
	At           time.Time
	// Manual is an operator's decision. It is not damped, and stands for Hold against what diagnosis finds.
	Manual bool
	Hold   time.Duration
	// Recovery: it happened by itself that the connection is let in again; nobody put it right. It is damped like becoming
	// READY.
	Recovery bool
}

// Rules bound flapping.
type Rules struct {
	// Flaps is how often a connection may recover within Window and be believed at once.
	Flaps int `yaml:"flaps"`
	// Window is how long a recovery counts.
	Window time.Duration `yaml:"window"`
	// Hold is how long a connection that recovered more often must stay well before it counts as READY.
	Hold time.Duration `yaml:"hold"`
}

// DefaultRules believes three recoveries an hour, and wants 15 minutes of well-being for every further one.
func DefaultRules() Rules { return Rules{Flaps: 3, Window: time.Hour, Hold: 15 * time.Minute} }

// Validate names the key that is wrong.
func (r Rules) Validate() error {
	switch {
	case r.Flaps < 1:
		return errors.New("flaps: want at least 1")
	case r.Window <= 0:
		return errors.New("window: want more than 0")
	case r.Hold < 0 || r.Hold > r.Window:
		return errors.New("hold: want 0 to window")
	}
	return nil
}

// Verdict is what became of a change.
type Verdict int

// The verdicts.
const (
	// Same: the connection stood there already.
	Same Verdict = iota
	// Changed: the returned status is new.
	Changed
	// Held: an operator's decision stands.
	Held
	// Damped: it recovers too often, and has to stay well first; look again after Rules.Hold.
	Damped
)

// Next returns the status after a change. The status is to be kept even if the verdict is not Changed: damping remembers in
// it. The error is ErrIllegal or ErrIncomplete, and the status then the old one.
func (r Rules) Next(now Status, c Change) (Status, Verdict, error) {
	if c.Cause == "" || c.Actor == "" || c.At.IsZero() {
		return now, Same, ErrIncomplete
	}
	if c.At.Before(now.Since) {
		c.At = now.Since // another replica's clock is ahead
	}
	same := now.State == c.To && (c.To != Degraded || now.Reason == c.Reason)
	if same && !c.Manual {
		now.BetterSince = time.Time{}
		return now, Same, nil
	}
	if !same && !Legal(now.State, c.To) {
		return now, Same, fmt.Errorf("%w: from %s to %s", ErrIllegal, Name(now.State), Name(c.To))
	}
	if !c.Manual && found(c.To) && c.At.Before(now.HeldUntil) {
		return now, Held, nil
	}
	next := Status{
		State: c.To, Reason: c.Reason, Cause: c.Cause, Actor: c.Actor, Since: c.At,
		Recoveries: now.Recoveries, RecoveringSince: now.RecoveringSince,
	}
	if c.Manual {
		next.HeldUntil = c.At.Add(c.Hold)
		return next, Changed, nil
	}
	if c.Recovery || c.To == Ready && (now.State == Degraded || now.State == NoPackage) {
		return r.recover(now, next)
	}
	return next, Changed, nil
}

// found reports whether a state is one that diagnosis finds, and not a fact about tokens.
func found(s State) bool { return s == Ready || s == Degraded || s == NoPackage }

// recover lets a connection become READY again, or has it wait.
func (r Rules) recover(now, next Status) (Status, Verdict, error) {
	if next.Since.Sub(next.RecoveringSince) >= r.Window {
		next.Recoveries, next.RecoveringSince = 0, next.Since
	}
	if next.Recoveries >= r.Flaps {
		if now.BetterSince.IsZero() {
			now.BetterSince = next.Since
		}
		if next.Since.Sub(now.BetterSince) < r.Hold {
			return now, Damped, nil
		}
	}
	next.Recoveries++
	return next, Changed, nil
}

// Usable reports whether calls may be made through a connection in the state: there are credentials that Salesforce has not
// refused for good. What is in the way of a usable connection is for its writer to find out.
func Usable(s State) bool {
	switch s {
	case Unknown, Authorised, NoPackage, Ready, Degraded:
		return true
	case NotConnected, Awaiting, Revoked, Disconnected:
	}
	return false
}

// Name is the state as people read it.
func Name(s State) string { return strings.TrimPrefix(s.String(), "CONNECTION_STATE_") }
