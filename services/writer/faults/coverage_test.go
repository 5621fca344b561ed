package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// enoughSeeds is from how many seeds on every fault and every moment of death must have come up.
const enoughSeeds = 100

// count notes which faults have hit so far, and what the plan was made of.
func (w *world) count() {
	w.t.Helper()
	maps.Copy(w.hits, w.simulated.hits())
	w.hits["broker"] += w.chance.used(w.plan.broker)
	for _, o := range w.plan.orgs {
		w.hits["org "+string(o.fate)]++
		if o.bare {
			w.hits["org without the package"]++
		}
	}
}

// coverage sums up what befell the writer in all seeds.
type coverage struct {
	mu   sync.Mutex
	hits map[string]int
}

func (c *coverage) add(hits map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hits == nil {
		c.hits = map[string]int{}
	}
	for what, n := range hits {
		c.hits[what] += n
	}
}

// String lists the sums.
func (c *coverage) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.hits)) {
		fmt.Fprintf(&text, "\n  %6d %s", c.hits[what], what)
	}
	return text.String()
}

// deaths counts the writers that were killed.
func (c *coverage) deaths() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, times := range c.hits {
		if strings.HasPrefix(what, "killed") {
			n += times
		}
	}
	return n
}

// check logs the sums. With enough seeds, a fault that never hit is an error: the suite would promise what it does not test.
func (c *coverage) check(t *testing.T, seeds uint64) {
	t.Helper()
	t.Logf("%d seeds:%s", seeds, c)
	if seeds < enoughSeeds || t.Failed() {
		return
	}
	for _, what := range []string{
		"status", "maintenance", "drop_before", "drop_after", "delay", "expire_session", "quota_exceeded", "row_error", "lock_row", "broker",
	} {
		require.Positive(t, c.hits[what], what)
	}
	for what := range jobFaults() {
		require.Positive(t, c.hits[what], what)
	}
	for _, what := range []string{"org healthy", "org slow", "org dead", "org deaf", "org without the package", string(leave), string(join), replace, severalLeft} {
		require.Positive(t, c.hits[what], what)
	}
	for m := range moments {
		require.Positive(t, c.hits["killed "+m.String()], m.String())
	}
}
