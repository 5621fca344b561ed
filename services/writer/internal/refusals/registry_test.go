package refusals_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
)

const (
	fine      = streamv1.Reason_REASON_UNSPECIFIED
	validated = streamv1.Reason_REASON_SF_VALIDATION
)

var views = refusals.Action{Workspace: "acme", Connection: "main", Integration: "views", Object: "Task", Version: 3}

// bundle is a registry at a time of its own.
type bundle struct {
	*refusals.Registry
	t       *testing.T
	now     time.Time
	changes []refusals.Change
}

func setup(t *testing.T, change ...func(*refusals.Config)) *bundle {
	t.Helper()
	cfg := refusals.DefaultConfig()
	for _, f := range change {
		f(&cfg)
	}
	require.NoError(t, cfg.Validate())
	b := &bundle{t: t, now: time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)}
	b.Registry = refusals.New(cfg, func(c refusals.Change) { b.changes = append(b.changes, c) })
	return b
}

func (b *bundle) ended(a refusals.Action, n int, reason streamv1.Reason) {
	for range n {
		b.Ended(b.now, refusals.Ending{Action: a, Reason: reason})
	}
}

// pause makes the action one that is paused now.
func (b *bundle) pause(a refusals.Action) {
	b.t.Helper()
	b.ended(a, 50, validated)
	require.False(b.t, b.State(a, b.now).Open)
}

// admitted counts how many of n writes may be sent.
func (b *bundle) admitted(a refusals.Action, n int) int {
	admitted := 0
	for range n {
		if b.Admit(a, b.now).Open {
			admitted++
		}
	}
	return admitted
}

func TestAnActionIsPausedAboveItsShare(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ended(views, 40, fine)
	b.ended(views, 10, validated)
	require.True(t, b.State(views, b.now).Open, "a fifth is not more than a fifth")
	b.ended(views, 1, validated)
	state := b.State(views, b.now)
	require.False(t, state.Open)
	require.Equal(t, validated, state.Reason)
	for _, part := range []string{"views", "version 3", "Task", "11 of its last 51", "21 %", "correct the integration", "2026-08-01T00:15:00Z"} {
		require.Contains(t, state.Detail, part)
	}
	require.False(t, b.Paused(views, b.now).Open)
	require.Zero(t, b.admitted(views, 5))
	require.Zero(t, b.Room(views, b.now))

	for name, other := range map[string]refusals.Action{
		"another integration of the connection": {Workspace: "acme", Connection: "main", Integration: "calls", Object: "Task", Version: 3},
		"another object of the integration":     {Workspace: "acme", Connection: "main", Integration: "views", Object: "Lead", Version: 3},
		"another connection":                    {Workspace: "acme", Connection: "other", Integration: "views", Object: "Task", Version: 3},
		"another workspace":                     {Workspace: "toyo", Connection: "main", Integration: "views", Object: "Task", Version: 3},
	} {
		require.True(t, b.State(other, b.now).Open, name)
		require.True(t, b.Admit(other, b.now).Open, name)
		require.Equal(t, math.MaxInt, b.Room(other, b.now), name)
	}
	require.Len(t, b.changes, 1, "told once")
	b.ended(views, 100, validated) // what was under way
	require.Len(t, b.changes, 1, "told once")
}

func TestWritesOfOneRequestAreJudgedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var endings []refusals.Ending
	for i := range 300 {
		e := refusals.Ending{Action: views}
		if i < 60 { // what is refused is known first
			e.Reason = validated
		}
		endings = append(endings, e)
	}
	b.Ended(b.now, endings...)
	require.True(t, b.State(views, b.now).Open)
	endings[60].Reason = validated
	b.Ended(b.now, endings...)
	require.Contains(t, b.State(views, b.now).Detail, "121 of its last 600")
}

func TestWritesOfOneRequestAreCountedForTheirOwnActions(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *refusals.Config) { c.LeastWrites = 10 })
	calls := views
	calls.Integration = "calls"
	var endings []refusals.Ending
	for range 10 {
		endings = append(endings,
			refusals.Ending{Action: views}, refusals.Ending{Action: calls, Reason: streamv1.Reason_REASON_SF_LOCKED},
			refusals.Ending{Action: calls, Reason: validated}, refusals.Ending{Action: views, Reason: streamv1.Reason_REASON_SF_RECORD_GONE})
	}
	b.Ended(b.now, endings...)
	require.True(t, b.State(views, b.now).Open)
	require.Contains(t, b.State(calls, b.now).Detail, "10 of its last 10")
}

func TestFewWritesSayNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ended(views, 49, validated)
	require.True(t, b.State(views, b.now).Open)
}

func TestOnlyRefusalsOfTheRecordCount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range streamv1.Reason_name {
		switch r := streamv1.Reason(n); r {
		case validated, streamv1.Reason_REASON_SF_NO_PERMISSION, streamv1.Reason_REASON_SF_DUPLICATE_RULE,
			streamv1.Reason_REASON_SF_FIELD_GONE, streamv1.Reason_REASON_SF_REJECTED:
			require.True(t, refusals.Counts(r), r)
		default:
			require.False(t, refusals.Counts(r), r)
			if r != fine {
				b.ended(views, 100, r)
			}
		}
	}
	require.True(t, b.State(views, b.now).Open)
	b.ended(views, 40, fine)
	b.ended(views, 11, streamv1.Reason_REASON_SF_LOCKED)
	require.True(t, b.State(views, b.now).Open)
}

func TestTheWindowSlides(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ended(views, 49, validated)
	b.now = b.now.Add(11 * time.Minute)
	b.ended(views, 30, validated)
	require.True(t, b.State(views, b.now).Open, "what is older than the window is forgotten")
	b.now = b.now.Add(5 * time.Minute)
	b.ended(views, 20, validated)
	require.False(t, b.State(views, b.now).Open, "what is not counts")
}

func TestWhatAClockCountedThatWasAheadLeavesTheWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.now = b.now.Add(24 * time.Hour)
	b.ended(views, 40, validated)
	b.now = b.now.Add(-24 * time.Hour)
	b.ended(views, 1, fine)
	b.now = b.now.Add(11 * time.Minute)
	b.ended(views, 60, fine)
	b.ended(views, 9, validated)
	require.True(t, b.State(views, b.now).Open, "9 of the last 69 were refused")
}

func TestAFewAreTriedAfterThePause(t *testing.T) {
	t.Parallel()

	t.Run("AndTheOthersFollowWhenTheyAreTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.pause(views)
		b.now = b.now.Add(15*time.Minute - 1)
		require.Zero(t, b.admitted(views, 100))
		b.now = b.now.Add(1)
		require.Equal(t, 20, b.Room(views, b.now))
		require.Equal(t, 20, b.admitted(views, 100))
		require.Zero(t, b.Room(views, b.now))
		require.False(t, b.State(views, b.now).Open)
		require.True(t, b.Paused(views, b.now).Open, "those that were let through are sent")
		b.ended(views, 4, validated)
		b.ended(views, 16, fine)
		require.True(t, b.State(views, b.now).Open)
		require.Equal(t, 1000, b.admitted(views, 1000))
		require.Len(t, b.changes, 2)
		require.Equal(t, refusals.Change{Action: views, Again: true, Refused: 4, Ended: 20}, b.changes[1])
		b.ended(views, 49, validated)
		require.True(t, b.State(views, b.now).Open, "counted anew")
	})

	t.Run("AndThePauseBeginsAnewWhenTheyAreRefused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.pause(views)
		for round := range 3 {
			b.now = b.now.Add(15 * time.Minute)
			require.Equal(t, 20, b.admitted(views, 100), "round %d", round)
			b.ended(views, 5, validated) // the rest cannot make good for it
			require.False(t, b.Paused(views, b.now).Open)
			require.Zero(t, b.admitted(views, 100))
		}
		require.Len(t, b.changes, 4)
		require.True(t, b.changes[3].Again)
		require.True(t, b.changes[3].Paused)
	})

	t.Run("AndOthersWhenNobodyKnowsWhatBecameOfThem", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.pause(views)
		b.now = b.now.Add(15 * time.Minute)
		require.Equal(t, 20, b.admitted(views, 100))
		b.ended(views, 15, fine)
		b.ended(views, 5, streamv1.Reason_REASON_SF_LOCKED) // parked, or overtaken, or looked for
		require.Zero(t, b.admitted(views, 100))
		b.now = b.now.Add(time.Minute)
		require.Equal(t, 5, b.Room(views, b.now))
		require.Equal(t, 5, b.admitted(views, 100))
		b.ended(views, 5, fine)
		require.True(t, b.State(views, b.now).Open)
	})
}

func TestANewVersionIsJudgedByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.pause(views)
	next, other := views, views
	next.Version++
	other.Version, other.Integration = 9, "calls"
	require.True(t, b.Admit(other, b.now).Open)
	require.Zero(t, b.Room(views, b.now), "it is not another integration's version that counts")
	require.True(t, b.State(next, b.now).Open)
	require.True(t, b.Admit(next, b.now).Open)
	require.Equal(t, 20, b.Room(views, b.now), "the earlier one has its trial")
	require.Equal(t, 20, b.admitted(views, 100))
	b.ended(views, 5, validated)
	require.Zero(t, b.Room(views, b.now))
	require.True(t, b.Admit(next, b.now).Open)
	require.Zero(t, b.Room(views, b.now), "once")
	earlier := views
	earlier.Version--
	require.True(t, b.Admit(earlier, b.now).Open)
	require.Zero(t, b.Room(views, b.now), "an earlier one corrects nothing")
}

func TestActionsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *refusals.Config) { c.MaxActions = 10 })
	b.pause(views)
	action := func(i int) refusals.Action {
		a := views
		a.Integration = strconv.Itoa(i)
		return a
	}
	for i := range 100 {
		b.now = b.now.Add(time.Second)
		b.ended(action(i), 49, validated)
	}
	b.ended(action(95), 1, validated)
	require.False(t, b.State(action(95), b.now).Open, "those heard of last are counted")
	b.ended(action(3), 1, validated)
	require.True(t, b.State(action(3), b.now).Open, "those of longest ago gave way")
	require.False(t, b.State(views, b.now).Open, "what is paused stays so")

	full := setup(t, func(c *refusals.Config) { c.MaxActions = 1 })
	full.pause(views)
	full.ended(action(1), 100, validated)
	require.True(t, full.State(action(1), full.now).Open, "no place to count it, so it is not held up")
	full.now = full.now.Add(31 * time.Minute)
	full.pause(action(1))
	require.True(t, full.State(views, full.now).Open, "a pause that nothing came back from is forgotten in the end")
}

func TestEachTellsWhatIsPaused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ended(refusals.Action{Workspace: "acme", Connection: "main", Integration: "fine"}, 100, fine)
	b.pause(views)
	var paused []refusals.Action
	b.Each(func(a refusals.Action) { paused = append(paused, a) })
	require.Equal(t, []refusals.Action{views}, paused)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*refusals.Config){
		"share_percent": func(c *refusals.Config) { c.SharePercent = 101 },
		"window":        func(c *refusals.Config) { c.Window = 0 },
		"least_writes":  func(c *refusals.Config) { c.LeastWrites = 0 },
		"pause":         func(c *refusals.Config) { c.Pause = 25 * time.Hour },
		"trial_writes":  func(c *refusals.Config) { c.TrialWrites = 0 },
		"trial_wait":    func(c *refusals.Config) { c.TrialWait = 0 },
		"max_actions":   func(c *refusals.Config) { c.MaxActions = 0 },
	} {
		cfg := refusals.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), key)
	}
	never := setup(t, func(c *refusals.Config) { c.SharePercent = 100 })
	never.ended(views, 1000, validated)
	require.True(t, never.State(views, never.now).Open)
}
