package gate_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
)

const (
	interactive = streamv1.Priority_PRIORITY_INTERACTIVE
	realTime    = streamv1.Priority_PRIORITY_REAL_TIME
	bulk        = streamv1.Priority_PRIORITY_BULK
)

// spender makes calls for classes of writes while the gate lets it. The org allows 10,000 a day, and 1,000 of them are ours.
type spender struct {
	t    *testing.T
	gate *gate.Gate
	org  *org
	now  time.Time
}

func spending(t *testing.T, change ...func(*gate.Config, *configv1.Connection)) *spender {
	t.Helper()
	cfg, c, o := gate.DefaultConfig(), &configv1.Connection{QuotaPercent: 10}, new(org)
	for _, f := range change {
		f(&cfg, c)
	}
	require.NoError(t, cfg.Validate())
	o.usage = salesforce.Usage{Max: 10_000}
	g := gate.New(func(func(context.Context)) {}, cfg, func() (*configv1.Connection, gate.Client, error) { return c, o, nil })
	return &spender{t: t, gate: g, org: o, now: start}
}

// spend makes up to n calls and returns how many were let through.
func (s *spender) spend(class streamv1.Priority, n int) (made int) {
	s.t.Helper()
	for range n {
		if state := s.gate.Admits(class, s.now); !state.Open {
			require.Equal(s.t, streamv1.Reason_REASON_BUDGET_EXHAUSTED, state.Reason)
			return made
		}
		s.org.set(func(o *org) { o.calls++ })
		s.gate.Spent(class, 1, s.now)
		made++
	}
	return made
}

func TestShares(t *testing.T) {
	t.Parallel()

	t.Run("WhatIsUnusedIsLentButNotAllOfWhatIsMoreUrgent", func(t *testing.T) {
		t.Parallel()
		s := spending(t)
		require.Equal(t, 650, s.spend(bulk, 5000), "all but half of 20 % and half of 50 %")
		require.Equal(t, 300, s.spend(realTime, 5000), "the rest, but for what nobody takes from interactive")
		require.Equal(t, 50, s.spend(interactive, 5000))
	})

	t.Run("TheMostUrgentTakesAllButTheFloors", func(t *testing.T) {
		t.Parallel()
		s := spending(t)
		require.Equal(t, 900, s.spend(interactive, 5000))
		require.Equal(t, 50, s.spend(realTime, 5000))
		require.Equal(t, 50, s.spend(bulk, 5000))
	})

	t.Run("NobodyStarvesAndNobodyGoesOverTheCeilingWhateverTheOrder", func(t *testing.T) {
		t.Parallel()
		for seed := range uint64(200) {
			s, rng := spending(t), rand.New(rand.NewPCG(seed, 1))
			made := map[streamv1.Priority]int{}
			for range 50 {
				class := streamv1.Priority(1 + rng.IntN(3))
				made[class] += s.spend(class, rng.IntN(120))
			}
			for _, class := range []streamv1.Priority{bulk, realTime, interactive} {
				made[class] += s.spend(class, 5000)
				require.GreaterOrEqual(t, made[class], 50, "seed %d: %v got less than 5 %%", seed, class)
			}
			require.LessOrEqual(t, made[bulk]+made[realTime]+made[interactive], 1000, "seed %d", seed)
		}
	})

	t.Run("AnExhaustedClassIsBackWhenItsCallsLeaveTheDay", func(t *testing.T) {
		t.Parallel()
		s := spending(t)
		require.Equal(t, 650, s.spend(bulk, 5000))
		s.now = start.Add(23 * time.Hour)
		require.Zero(t, s.spend(bulk, 1))
		s.now = start.Add(25 * time.Hour)
		require.Equal(t, 650, s.spend(bulk, 5000))
	})

	t.Run("CallsThatNoClassMadeCountForAll", func(t *testing.T) {
		t.Parallel()
		s := spending(t)
		s.org.set(func(o *org) { o.calls = 600 })
		require.Equal(t, 300, s.spend(bulk, 5000), "its share, and not what the others keep")
		s.org.set(func(o *org) { o.calls = 1000 })
		require.Zero(t, s.spend(interactive, 1))
	})

	t.Run("AConnectionHasItsOwnDivision", func(t *testing.T) {
		t.Parallel()
		s := spending(t, func(_ *gate.Config, c *configv1.Connection) {
			c.Budget = &configv1.BudgetShares{InteractivePercent: 5, RealTimePercent: 5, BulkPercent: 90}
		})
		require.Equal(t, 900, s.spend(bulk, 5000))
	})

	t.Run("NothingIsHeldBackWhileTheOrgHasSaidNothing", func(t *testing.T) {
		t.Parallel()
		s := spending(t)
		s.org.set(func(o *org) { o.usage = salesforce.Usage{} })
		require.Equal(t, 5000, s.spend(bulk, 5000))
	})

	t.Run("ADivisionThatCannotWorkIsRefused", func(t *testing.T) {
		t.Parallel()
		for key, change := range map[string]func(*gate.Shares){
			"shares.interactive": func(s *gate.Shares) { s.Interactive = 4 },
			"at most 100":        func(s *gate.Shares) { s.Bulk = 31 },
			"shares.floor":       func(s *gate.Shares) { s.Floor = 34 },
			"shares.lend":        func(s *gate.Shares) { s.Lend = 101 },
		} {
			cfg := gate.DefaultConfig()
			change(&cfg.Shares)
			require.ErrorContains(t, cfg.Validate(), key)
		}
	})
}
