package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
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
	"github.com/throughline-dev/throughline/services/simulator"
)

var (
	seeds   = flag.Int("faults.seeds", 5, "how many seeds to run, from 1 on")
	theSeed = flag.Uint64("faults.seed", 0, "the one seed to run, 0 for many")
)

// TestFaults runs the writer through seeded trouble and judges what stands in the orgs.
func TestFaults(t *testing.T) {
	t.Parallel()
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
			settled := w.run()
			total.add(w.hits)
			wrong := judge(p, w.evidence())
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

// patience bounds the wait for a world that has come to rest; a run takes about a second.
const patience = 2 * time.Minute

// run publishes the plan, with the faults in force, kills the writer as planned, ends the faults and waits for everything to
// settle.
func (w *world) run() (settled bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	_, err := w.sim.AddFaults(w.plan.faults...)
	require.NoError(w.t, err)
	kills := append(append([]kill{}, w.plan.kills...), kill{})
	writer := w.start(kills[0])
	defer func() { writer.stop() }()
	sent := 0
	for _, e := range w.plan.events {
		w.publish(w.plan.writes[sent:e.after])
		w.happen(e)
		sent = e.after
	}
	w.publish(w.plan.writes[sent:])
	for i, next := range kills[1:] {
		if !w.await(ctx, writer) {
			w.hits["killed "+kills[i].at.String()]++
		}
		writer.stop()
		writer = w.start(next)
	}
	w.await(ctx, writer)
	w.count()
	w.sim.RemoveFaults("")
	w.chance.end()
	return w.await(ctx, writer)
}

// await waits until the writer is dead or has nothing left to do, and reports the latter.
func (w *world) await(ctx context.Context, r *running) bool {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-r.life.dead:
			return false
		case <-look.C:
			if w.settled() {
				return true
			}
		}
	}
}

func (w *world) export(connection, object string) []record {
	w.t.Helper()
	var out bytes.Buffer
	require.NoError(w.t, w.sim.Export(w.t.Context(), &out, simulator.Selection{Org: connection, Object: object}))
	var all []record
	for dec := json.NewDecoder(&out); dec.More(); {
		var r record
		require.NoError(w.t, dec.Decode(&r))
		all = append(all, r)
	}
	return all
}

// evidence gathers what can be seen from outside.
func (w *world) evidence() *evidence {
	w.t.Helper()
	e := &evidence{records: map[string][]record{}, told: map[string]told{}, letters: map[string]int{}, history: w.history.all(w.t)}
	for _, c := range connections {
		for _, object := range []string{"Engagement__c", "Task", "CampaignMember", "Lead"} {
			e.records[c+"/"+object] = w.export(c, object)
		}
	}
	w.scan(topic.Outcomes, func(r stage.Record) {
		o := new(streamv1.Outcome)
		require.NoError(w.t, proto.Unmarshal(r.Value, o))
		text := strings.TrimPrefix(o.GetStatus().String(), "STATUS_")
		if o.GetReason() != 0 {
			text += " " + strings.TrimPrefix(o.GetReason().String(), "REASON_")
		}
		if *theSeed != 0 && o.GetStatus() == streamv1.Status_STATUS_FAILED {
			w.t.Logf("%s failed: %s %s", idOf(o), o.GetSalesforceCode(), o.GetDetail())
		}
		e.told[idOf(o)] = append(e.told[idOf(o)], text)
	})
	w.scan(topic.DeadLetters, func(r stage.Record) {
		letter := new(streamv1.DeadLetter)
		require.NoError(w.t, proto.Unmarshal(r.Value, letter))
		original, err := deadletter.Open(w.build.Installation(), letter)
		require.NoError(w.t, err)
		m := new(streamv1.Write)
		require.NoError(w.t, proto.Unmarshal(original.Value, m))
		e.letters[idOf(m)]++
	})
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

func (w *world) scan(name string, visit func(stage.Record)) {
	w.t.Helper()
	require.NoError(w.t, w.kafka.Scan(w.t.Context(), kafka.ScanRequest{Topic: name, Visit: func(r stage.Record) bool {
		visit(r)
		return true
	}}))
}
