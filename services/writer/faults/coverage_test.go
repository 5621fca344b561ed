package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// enoughSeeds is from how many seeds on every fault and every moment of death must have come up.
const enoughSeeds = 100

// count notes which faults have hit so far.
func (w *world) count() {
	w.t.Helper()
	answer := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/_sim/faults", nil))
	var rules []struct {
		Action, Route string
		Hit           int
	}
	require.NoError(w.t, json.Unmarshal(answer.Body.Bytes(), &rules))
	for _, r := range rules {
		w.hits[r.Action] += r.Hit
		if strings.HasPrefix(r.Route, "bulk.") {
			w.hits[r.Action+" on "+r.Route] += r.Hit
		}
	}
	w.chance.mu.Lock()
	defer w.chance.mu.Unlock()
	w.hits["broker"] += w.plan.broker.times - w.chance.faults.times
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

// check logs the sums. With enough seeds, a fault that never hit is an error: the suite would promise what it does not test.
func (c *coverage) check(t *testing.T, seeds uint64) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.hits)) {
		fmt.Fprintf(&text, "\n  %6d %s", c.hits[what], what)
	}
	t.Logf("%d seeds:%s", seeds, text.String())
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
	for m := range moments {
		require.Positive(t, c.hits["killed "+m.String()], m.String())
	}
}
