package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/internal/topic"
)

// pausedPlan is about an integration that one org refuses, and nothing else: after it was paused, writers die or go one after the
// other.
func pausedPlan() *plan {
	p := calm(kill{}, kill{at: afterProduce, in: 2}, kill{at: beforeProduce, in: 3}, kill{}, kill{at: beforeCommit, in: 1},
		kill{at: afterCommit, in: 1}, kill{}, kill{at: afterProduce, in: 5}, kill{})
	p.writes, p.events, p.ruled = nil, nil, true
	for life := range p.kills {
		for i := range perLife {
			w := taskOf(fmt.Sprintf("ruled%d-%d", life, i), "", ruled)
			w.connection, w.integration, w.version = "alpha", "refused", 1
			w.fields[0].text = "verboten"
			p.writes = append(p.writes, &w)
		}
	}
	return p
}

const perLife = 40

// lives runs one writer after the other on a part of the plan each, and returns how many writes were refused in the end.
func (w *world) lives() (refused int) {
	w.t.Helper()
	w.control(http.MethodPost, "rules?org=alpha", strings.NewReader("validation_rules: [{object: Task, when: \"Subject = 'verboten'\", message: Not here.}]"))
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for i, k := range w.plan.kills {
		part := w.plan.writes[i*perLife : (i+1)*perLife]
		w.publish(part)
		r := w.start(k)
		w.until(ctx, r.dead, func() bool { return w.said(part, "PARKED", "FAILED") })
		r.stop()
	}
	last := w.start(kill{})
	defer last.stop()
	w.until(ctx, nil, func() bool { return w.said(w.plan.writes, "PARKED", "FAILED") })
	for _, one := range w.plan.writes {
		if slices.Contains(w.tail.told[one.id()], "FAILED SF_VALIDATION") {
			refused++
		}
	}
	// Somebody corrects the rule and the integration; its next version lets what waits have its trial at once.
	w.control(http.MethodPost, "rules?org=alpha", strings.NewReader("validation_rules: []"))
	next := taskOf("ruled-next", "", ruled)
	next.connection, next.integration, next.version = "alpha", "refused", 2
	w.plan.writes = append(w.plan.writes, &next)
	w.publish(w.plan.writes[len(w.plan.writes)-1:])
	w.until(ctx, nil, func() bool { return w.said(w.plan.writes, "WRITTEN", "FAILED") && w.settled() })
	return refused
}

// until waits for something that is told, or for a death.
func (w *world) until(ctx context.Context, dead <-chan struct{}, ok func() bool) {
	w.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for w.tail.read(ctx, 10*time.Millisecond); !ok(); w.tail.read(ctx, 10*time.Millisecond) {
		select {
		case <-dead:
			return
		case <-ctx.Done():
			w.t.Fatal("nothing came of it")
		case <-look.C:
		}
	}
}

// said reports whether the newest that was told about each of these writes begins with one of these words.
func (w *world) said(writes []*write, words ...string) bool {
	for _, one := range writes {
		all := w.tail.told[one.id()]
		if len(all) == 0 || !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(all[len(all)-1], word) }) {
			return false
		}
	}
	return true
}

// TestAPauseOutlivesDeaths has writers die while an integration is paused. Whoever takes over goes on pausing: the org is not asked
// for more of it until somebody has corrected something, and then everything goes in.
func TestAPauseOutlivesDeaths(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")
	cfg := pausedPlan().config()
	// Those that make it certain, and the requests that were under way or answered then.
	most := cfg.Refusals.LeastWrites + 2*cfg.Lanes.Parallelism*cfg.Lanes.BatchRecords

	t.Run("TheOrgIsNotAskedAgain", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pausedPlan())
		require.LessOrEqual(t, w.lives(), most)
		made := map[string]int{}
		j := &judging{plan: w.plan, evidence: w.evidence()}
		for _, r := range j.records["alpha/Task"] {
			made[j.keyOf("alpha", "Task", r)]++
		}
		for _, one := range w.plan.writes {
			want := 0
			if slices.Contains(w.tail.told[one.id()], "WRITTEN") {
				want = 1
			}
			require.Equal(t, want, made[one.key], one.id())
		}
	})

	t.Run("WithoutItsStateItWouldBe", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, pausedPlan())
		w.wrap = func(l *life) { l.next = forgetful{Broker: l.next, ledger: true, topic: topic.Ledger} }
		require.Greater(t, w.lives(), most)
	})
}
