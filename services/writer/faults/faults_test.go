package faults

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

var (
	seeds   = flag.Int("faults.seeds", 5, "how many seeds to run, from 1 on")
	theSeed = flag.Uint64("faults.seed", 0, "the one seed to run, 0 for many")
)

// TestFaults runs the writer through seeded trouble and judges what stands in the orgs.
func TestFaults(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14") // every second seed
	first, last := uint64(1), uint64(*seeds)
	if *theSeed != 0 {
		first, last = *theSeed, *theSeed
	}
	total := new(coverage)
	t.Cleanup(func() { total.check(t, last-first+1) })
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint("Seed", seed), func(t *testing.T) {
			t.Parallel()
			p := newPlan(seed)
			if *theSeed != 0 {
				t.Log(p)
			}
			w := newWorld(t, p)
			wrong, settled := w.run()
			total.add(w.hits)
			wrong = append(wrong, judge(p, w.evidence())...)
			wrong = append(wrong, w.judgeJobs()...)
			if !settled {
				wrong = append(wrong, "not everything settled after the faults had ended")
			}
			if len(wrong) > 0 {
				t.Errorf("%s\n\n%s\n\nrun it again:\n  go test ./services/writer/faults -run TestFaults -faults.seed=%d -v",
					p, strings.Join(wrong, "\n"), seed)
			}
		})
	}
}

// patience bounds the wait for a world that has come to rest; a run takes about a second on a machine that does nothing else.
const patience = 5 * time.Minute

// run publishes the plan, with the faults in force, kills the writer as planned, ends the faults and waits for everything to
// settle. Before the faults end it judges what must not depend on that: the orgs that are not dead must have everything
// (promise 6).
func (w *world) run() (wrong []string, settled bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.breakDown(w.plan.faults)
	kills := append(append([]kill{}, w.plan.kills...), kill{})
	writers := w.assemble(kills[0])
	defer func() { writers.stop() }()
	sent := 0
	for _, e := range w.plan.events {
		w.publish(w.plan.writes[sent:e.after])
		if e.path == replace {
			w.now.Store(w.next)
			w.hits[replace]++
		}
		w.happen(e)
		sent = e.after
	}
	w.publish(w.plan.writes[sent:])
	alive := w.plan.alive()
	for i, next := range kills[1:] {
		if !w.await(ctx, writers.first().dead, alive) {
			w.hits["killed "+kills[i].at.String()]++
			w.countLeft()
		}
		writers.replace(next, w.plan.shifts[i])
	}
	done := w.await(ctx, nil, alive)
	if len(w.plan.gone()) > 0 {
		e := w.evidence()
		wrong = append(judge(w.plan, e, alive...), judgeGone(w.plan, e)...)
		if !done {
			wrong = append(wrong, "not everything of the others ended while one org was dead")
		}
	}
	w.count()
	w.recover()
	w.chance.end()
	return wrong, w.await(ctx, nil, w.plan.with(func(org) bool { return true }))
}

// await waits until a writer is dead or all writes of these orgs have ended, and reports the latter. If that is all orgs, it
// waits until nothing is left to do.
func (w *world) await(ctx context.Context, dead <-chan struct{}, orgs []string) bool {
	w.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	all := len(orgs) == len(w.plan.orgs)
	for n := 1; ; n++ {
		w.tail.read(ctx, 10*time.Millisecond)
		ended := w.tail.ended(orgs)
		switch {
		case !all && ended:
			return true
		case all && (ended || n%settledEvery == 0) && w.settled(): // also if not everything was told: that is for the judge
			w.tail.read(ctx, 0)
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-dead:
			return false
		case <-look.C:
		}
	}
}

// settledEvery is how many looks there are at outcomes to one at offsets while some outcomes are missing.
const settledEvery = 20

// evidence gathers what can be seen from outside, with what was said until the last wait ended.
func (w *world) evidence() *evidence {
	w.t.Helper()
	e := &evidence{records: map[string][]record{}, told: map[string]told{}, letters: map[string]int{}, history: w.history.all(w.t)}
	for id, all := range w.tail.told {
		e.told[id] = slices.Clone(all)
	}
	for _, o := range w.plan.places() {
		for _, object := range append([]string{"Lead"}, madeObjects...) {
			e.records[o.key+"/"+object] = w.export(o.key, object)
		}
		if !o.bare {
			e.records[o.key+"/Engagement__c"] = w.export(o.key, "Engagement__c")
		}
	}
	require.NoError(w.t, w.kafka.Scan(w.t.Context(), kafka.ScanRequest{Topic: topic.DeadLetters, Visit: func(r stage.Record) bool {
		letter := new(streamv1.DeadLetter)
		require.NoError(w.t, proto.Unmarshal(r.Value, letter))
		original, err := deadletter.Open(w.inst, letter)
		require.NoError(w.t, err)
		m := new(streamv1.Write)
		require.NoError(w.t, proto.Unmarshal(original.Value, m))
		e.letters[idOf(m)]++
		return true
	}}))
	return e
}

// idOf is write.id of what a message is about.
func idOf(m interface {
	GetConnection() string
	GetWriteKey() string
	GetRevision() int64
},
) string {
	return fmt.Sprintf("%s/%s/%d", m.GetConnection(), m.GetWriteKey(), m.GetRevision())
}
