package connstate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

var all = []connstate.State{
	connstate.NotConnected, connstate.Awaiting, connstate.Authorised, connstate.NoPackage, connstate.Ready,
	connstate.Degraded, connstate.Revoked, connstate.Disconnected,
}

func to(state connstate.State, at time.Time) connstate.Change {
	return connstate.Change{To: state, Cause: "TEST", Actor: "aoi", At: at}
}

// must makes a change that is expected to be taken.
func must(t *testing.T, now connstate.Status, c connstate.Change) connstate.Status {
	t.Helper()
	next, verdict, err := connstate.DefaultRules().Next(now, c)
	require.NoError(t, err)
	require.Equal(t, connstate.Changed, verdict)
	return next
}

func TestTheWayFromNothingToReadyAndBack(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	s := connstate.Status{State: connstate.NotConnected}
	for i, state := range []connstate.State{
		connstate.Awaiting, connstate.Authorised, connstate.NoPackage, connstate.Ready, connstate.Revoked, connstate.Authorised,
		connstate.Ready, connstate.Disconnected, connstate.Awaiting, connstate.NotConnected, connstate.Authorised,
	} {
		s = must(t, s, to(state, epoch.Add(time.Duration(i)*time.Minute)))
		require.Equal(t, state, s.State)
		require.Equal(t, epoch.Add(time.Duration(i)*time.Minute), s.Since)
	}
}

func TestWhatIsNotInTheTableIsRefused(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	for _, c := range []struct{ from, to connstate.State }{
		{connstate.NotConnected, connstate.Ready},
		{connstate.NotConnected, connstate.Revoked},
		{connstate.Revoked, connstate.Ready},
		{connstate.Disconnected, connstate.Ready},
		{connstate.Disconnected, connstate.Revoked},
		{connstate.Ready, connstate.Awaiting},
		{connstate.Ready, connstate.NotConnected},
		{connstate.Awaiting, connstate.Ready},
	} {
		before := connstate.Status{State: c.from, Cause: "before", Actor: "x", Since: epoch}
		for _, manual := range []bool{false, true} {
			change := to(c.to, epoch)
			change.Manual = manual
			after, _, err := connstate.DefaultRules().Next(before, change)
			require.ErrorIs(t, err, connstate.ErrIllegal)
			require.ErrorContains(t, err, connstate.Name(c.to))
			require.Equal(t, before, after)
		}
	}
}

func TestAChangeSaysWhyByWhomAndWhen(t *testing.T) {
	t.Parallel()
	for _, c := range []connstate.Change{
		{To: connstate.Ready, Actor: "a", At: epoch}, {To: connstate.Ready, Cause: "c", At: epoch}, {To: connstate.Ready, Cause: "c", Actor: "a"},
	} {
		_, _, err := connstate.DefaultRules().Next(connstate.Status{State: connstate.Authorised}, c)
		require.ErrorIs(t, err, connstate.ErrIncomplete)
	}
}

func TestAnotherReasonIsAnotherState(t *testing.T) {
	t.Parallel()
	c := to(connstate.Degraded, epoch)
	c.Reason = streamv1.Reason_REASON_SF_APP_BLOCKED
	s := must(t, connstate.Status{State: connstate.Ready}, c)
	_, verdict, err := connstate.DefaultRules().Next(s, c)
	require.NoError(t, err)
	require.Equal(t, connstate.Same, verdict)
	c.Reason = streamv1.Reason_REASON_SF_IP_RESTRICTED
	require.Equal(t, streamv1.Reason_REASON_SF_IP_RESTRICTED, must(t, s, c).Reason)
}

func TestFlappingIsDamped(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	rules, at := connstate.DefaultRules(), epoch
	s := connstate.Status{State: connstate.Ready, Since: epoch}
	for range rules.Flaps {
		s = must(t, s, to(connstate.Degraded, at))
		at = at.Add(time.Minute)
		s = must(t, s, to(connstate.Ready, at))
	}
	s = must(t, s, to(connstate.Degraded, at))
	well := func(after time.Duration) (verdict connstate.Verdict) {
		at = at.Add(after)
		var err error
		s, verdict, err = rules.Next(s, to(connstate.Ready, at))
		require.NoError(t, err)
		return verdict
	}
	require.Equal(t, connstate.Damped, well(time.Minute))
	require.Equal(t, connstate.Degraded, s.State)
	require.Equal(t, connstate.Damped, well(rules.Hold-time.Second))
	// A relapse begins the waiting anew.
	s, _, _ = rules.Next(s, to(connstate.Degraded, at))
	require.Equal(t, connstate.Damped, well(time.Second))
	require.Equal(t, connstate.Changed, well(rules.Hold))
	require.Equal(t, connstate.Ready, s.State)
}

func TestBeingLetInAgainIsDampedToo(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	rules, at := connstate.DefaultRules(), epoch
	s := connstate.Status{State: connstate.Ready, Since: epoch}
	again := func(recovery bool) connstate.Change {
		at = at.Add(time.Minute)
		c := to(connstate.Authorised, at)
		c.Recovery = recovery
		return c
	}
	for range rules.Flaps {
		s = must(t, s, to(connstate.Revoked, at))
		s = must(t, s, again(true))
		s = must(t, s, to(connstate.Ready, at))
	}
	s = must(t, s, to(connstate.Revoked, at))
	s, verdict, err := rules.Next(s, again(true))
	require.NoError(t, err)
	require.Equal(t, connstate.Damped, verdict)
	require.Equal(t, connstate.Revoked, s.State)
	require.Equal(t, connstate.Authorised, must(t, s, again(false)).State, "somebody who authorises it anew need not wait")
}

func TestAnOperatorsDecisionStands(t *testing.T) {
	t.Parallel()
	c := to(connstate.Ready, epoch)
	c.Manual, c.Hold = true, time.Hour
	s := must(t, connstate.Status{State: connstate.Degraded, Since: epoch}, c)
	kept, verdict, err := connstate.DefaultRules().Next(s, to(connstate.Degraded, epoch.Add(time.Minute)))
	require.NoError(t, err)
	require.Equal(t, connstate.Held, verdict)
	require.Equal(t, s, kept)
	require.Equal(t, connstate.Revoked, must(t, s, to(connstate.Revoked, epoch.Add(time.Minute))).State, "tokens are facts")
	require.Equal(t, connstate.Degraded, must(t, s, to(connstate.Degraded, epoch.Add(time.Hour))).State)
}

// TestAnySequenceOfEvents throws everything at a connection in any order.
func TestAnySequenceOfEvents(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := connstate.Rules{Flaps: rapid.IntRange(1, 4).Draw(t, "flaps"), Window: time.Hour, Hold: 10 * time.Minute}
		s, at := connstate.Status{State: connstate.NotConnected, Since: epoch}, epoch
		var recoveries []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			at = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)
			c := to(rapid.SampledFrom(all).Draw(t, "state"), at)
			c.Reason = streamv1.Reason(rapid.IntRange(80, 82).Draw(t, "reason"))
			next, verdict, err := rules.Next(s, c)
			if err != nil {
				require.ErrorIs(t, err, connstate.ErrIllegal)
				require.False(t, connstate.Legal(s.State, c.To))
				require.Equal(t, s, next)
				continue
			}
			if verdict != connstate.Changed {
				require.Equal(t, [5]any{s.State, s.Reason, s.Cause, s.Actor, s.Since}, [5]any{next.State, next.Reason, next.Cause, next.Actor, next.Since})
				require.True(t, verdict == connstate.Same || c.To == connstate.Ready, "only recovery waits")
				s = next
				continue
			}
			require.True(t, connstate.Legal(s.State, next.State))
			require.Equal(t, [4]any{c.To, c.Cause, c.Actor, c.At}, [4]any{next.State, next.Cause, next.Actor, next.Since})
			if next.State == connstate.Ready && (s.State == connstate.Degraded || s.State == connstate.NoPackage) {
				recoveries = append(recoveries, at)
				if n := len(recoveries); n > 2*rules.Flaps && at.Sub(recoveries[n-1-2*rules.Flaps]) < rules.Window {
					// Whatever the window's phase, more than twice the allowance came only by waiting.
					require.GreaterOrEqual(t, at.Sub(s.BetterSince), rules.Hold)
				}
			}
			s = next
		}
	})
}

func TestRulesNameTheKeyThatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, connstate.DefaultRules().Validate())
	for key, r := range map[string]connstate.Rules{
		"flaps": {Window: 1}, "window": {Flaps: 1}, "hold": {Flaps: 1, Window: 1, Hold: 2},
	} {
		require.ErrorContains(t, r.Validate(), key)
	}
}
