package faults

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// history is every change in the orgs, in the order in which each org's changes took effect.
type history struct {
	mu      sync.Mutex
	changes []simulator.Change
	// read is what an org told of its changes, by connection/object, where nobody could watch.
	read map[string][]record
}

// add is the simulator's observer.
func (h *history) add(c simulator.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes = append(h.changes, c)
}

// all returns what the records were set to, by connection/object.
func (h *history) all(t *testing.T) map[string][]record {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := maps.Clone(h.read)
	if out == nil {
		out = map[string][]record{}
	}
	for _, c := range h.changes {
		var r record
		require.NoError(t, json.Unmarshal(c.Record, &r))
		out[c.Org+"/"+c.Object] = append(out[c.Org+"/"+c.Object], r)
	}
	return out
}

// order checks promise 4 on the way: a record never goes back to an older revision, not even until something repairs it.
// The plan lets the field grow with the revision.
func (j *judging) order(c, object, field string) {
	last := map[string]any{}
	for _, r := range j.history[c+"/"+object] {
		id, now := r.text("Id"), r[field]
		if now == nil {
			continue
		}
		if before, ok := last[id]; ok && older(now, before) {
			name := cmp.Or(r.text("External_Id__c"), "update-"+r.text("LastName"))
			j.blame("stale on the way: %s %s of org %s was set to %v after %v; told were %s", object, name, c, now, before,
				j.revisions(c, name))
		}
		last[id] = now
	}
}

// revisions is what was told about each revision of a key.
func (j *judging) revisions(c, key string) string {
	var b strings.Builder
	for n := 1; n <= 8; n++ {
		if all := j.told[fmt.Sprintf("%s/%s/%d", c, key, n)]; len(all) > 0 {
			fmt.Fprintf(&b, " %d: %q", n, all)
		}
	}
	return b.String()
}

// older reports whether a value belongs to an older revision than another.
func older(a, b any) bool {
	if n, ok := a.(float64); ok {
		m, _ := b.(float64)
		return n < m
	}
	s, _ := a.(string)
	t, _ := b.(string)
	return s < t
}
