package e2e_test

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/oracle"
	"github.com/throughline-dev/throughline/services/simulator"
)

// Promises 3, 5 and 6: whatever befalls an org, nothing is lost or doubled, and the others are served meanwhile.
func TestOrgsInTrouble(t *testing.T) {
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	traffic := r.Traffic(21, pick(1500, 20_000))
	// A to-do is made of the first closed revision that reaches its org. While an org is away that need not be the first one there
	// was: still exactly one, and of a close that happened.
	traffic.AnyClose()
	r.Start("data")
	orgs := traffic.Orgs()

	// Passing trouble, everywhere: answers lost after the records were saved, locked rows, ended sessions, no calls left.
	for _, org := range orgs {
		_, err := r.Salesforce.AddFaults(
			simulator.Fault{Org: org, Route: "collections*", Method: "POST", Action: "drop_after", Every: 2, Times: 3},
			simulator.Fault{Org: org, Route: "collections*", Method: "PATCH", Action: "drop_after", Every: 3, Times: 3},
			simulator.Fault{Org: org, Route: "collections*", Action: "lock_row", Probability: 0.1, Seed: 1, Times: 20},
			simulator.Fault{Org: org, Action: "expire_session", Nth: []int{4, 9, 15}},
			simulator.Fault{Org: org, Action: "quota_exceeded", Nth: []int{12, 13, 20}},
			simulator.Fault{Org: org, Action: "drop_before", Nth: []int{7}},
		)
		require.NoError(t, err)
	}
	traffic.Send(0.5)
	traffic.AwaitEntered()

	// Then one org is gone, while the rest of the stream comes and every visit ends.
	_, err := r.Salesforce.AddFaults(simulator.Fault{ID: "gone", Org: orgs[0], Action: "maintenance"})
	require.NoError(t, err)
	traffic.Send(1)
	traffic.AwaitEntered()
	r.Advance(time.Hour)
	var others *oracle.Report
	defer func() {
		if t.Failed() {
			t.Log(others)
		}
	}()
	r.Eventually(func() bool {
		others = traffic.Verdict(orgs[1:]...)
		return others.OK()
	}, "the other orgs have everything while one is gone")
	require.NotZero(t, traffic.Verdict(orgs[0]).Lost, "the one that is gone lacks what came meanwhile")
	r.Eventually(func() bool { return len(r.Topic(topic.Parked))+len(r.Topic(topic.Unresolved)) > 0 },
		"what it lacks waits on a topic of its own")

	require.Equal(t, 1, r.Salesforce.RemoveFaults("gone"))
	traffic.Finish()
}

// sign is set once a text was written.
type sign struct {
	text string
	up   atomic.Bool
}

// Write implements io.Writer.
func (f *sign) Write(p []byte) (int, error) {
	if strings.Contains(string(p), f.text) {
		f.up.Store(true)
	}
	return len(p), nil
}

// Promises 1 to 3: a broker that goes away in the middle of a stream and comes back.
func TestTheBrokerGoesAwayAndComesBack(t *testing.T) {
	rig.Parallel(t)
	trouble := &sign{text: "trying until it works"} // a fetch that failed
	r := rig.New(t, rig.Options{OwnBroker: true, Log: trouble})
	r.StartConfig()
	traffic := r.Traffic(31, pick(1000, 10_000))
	data := r.Start("data")
	for share := range 2 {
		traffic.Send(0.3 + 0.1*float64(share))
		trouble.up.Store(false)
		r.StopBroker()
		// Trouble is logged once: a fetch that was still waiting to be tried again when the broker came back, and went away
		// once more, says nothing new. Then readiness tells.
		r.Eventually(func() bool { return trouble.up.Load() || data.Ready() != nil }, "the services notice")
		r.StartBroker()
		r.Eventually(func() bool { return data.Ready() == nil }, "the services recover")
	}
	traffic.Finish()
}

// A plane full of services goes on without config, from what it last received.
func TestConfigGoesAwayAndComesBack(t *testing.T) {
	t.Attr("requirement", "XC-23")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	config := r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}})
	data.AwaitSettings()
	before := rig.Closed("acme", "mia@viewer.example")
	r.Send(before)
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)

	// The services that run have settings and tokens.
	config.Stop()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Eventually(func() bool { return len(r.Records("acme", "Task")) == 2 }, "the to-do appears without config")

	// A session that ends meanwhile: nobody can get another token, so writes wait.
	_, err := r.Salesforce.AddFaults(simulator.Fault{Org: "acme", Action: "expire_session", Nth: []int{1}})
	require.NoError(t, err)
	revoked := rig.Closed("acme", "mia@viewer.example")
	r.Send(revoked)
	r.Eventually(func() bool { return len(r.Topic(topic.Parked))+len(r.Topic(topic.Unresolved)) > 0 }, "the write waits")

	// Services that start meanwhile have what was saved, and no token.
	data.Stop()
	r.Start("data")
	after := rig.Closed("acme", "mia@viewer.example")
	r.Send(after)
	r.Eventually(func() bool {
		return slices.ContainsFunc(r.Topic(topic.Unresolved), func(rec stage.Record) bool { return bytes.Contains(rec.Value, []byte(after.ID)) })
	}, "the event waits")

	// One that has nothing saved waits rather than guesses.
	empty := r.Launch("empty", "ingest")
	require.ErrorContains(t, empty.Ready(), "no settings yet")
	empty.Stop()

	r.StartConfig()
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 4, "nothing is lost, nothing is doubled")
	for _, e := range []*rig.Event{before, revoked, after} {
		require.Contains(t, r.Ended("acme", e.ID), "writer "+strings.TrimPrefix(streamv1.Status_STATUS_WRITTEN.String(), "STATUS_"))
	}
}
