package faults

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/writer"
)

// shift is what else changes among the writers at a death.
type shift string

const (
	stay  shift = "all stay"
	leave shift = "one leaves" // in an orderly way
	join  shift = "one joins"
)

// running is one writer at work.
type running struct {
	dead <-chan struct{}
	stop func() // in an orderly way, unless it is dead
}

// start runs a writer in this process that dies as told.
func (w *world) start(k kill) *running {
	w.t.Helper()
	l := newLife(w.kafka, w.chance, k)
	if w.wrap != nil {
		w.wrap(l)
	}
	clients := orgs{}
	for _, o := range w.plan.places() {
		clients[o.key] = salesforce.NewClient(unhurried(), &grant{url: w.url + "/orgs/" + o.key}, salesforce.Deps{Transport: l})
	}
	s, err := writer.New(w.plan.config(), writer.Deps{
		Broker: l, Settings: w, Orgs: &moves{orgs: clients, world: w}, DeadLetter: deadletter.Encode(w.inst),
	})
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return &running{dead: l.dead, stop: sync.OnceFunc(func() {
		if l.isGone() {
			l.groups.Wait()
			cancel() // it drains for a while, of which nobody hears
			return
		}
		cancel()
		require.NoError(w.t, <-done)
		l.calls.Wait()
	})}
}

// team is the writers that share the work. The first is the one that dies; the others take over from it.
type team struct {
	w       *world
	members []*running
}

func (w *world) assemble(first kill) *team {
	w.t.Helper()
	t := &team{w: w, members: make([]*running, w.plan.replicas)}
	for i := range t.members[1:] {
		t.members[1+i] = w.launch(kill{})
	}
	t.members[0] = w.launch(first)
	return t
}

func (t *team) first() *running { return t.members[0] }

// replace takes the first one away, dead or not, and starts another in its place. Meanwhile one of the others may leave, or
// somebody join.
func (t *team) replace(next kill, s shift) {
	t.w.t.Helper()
	t.first().stop()
	if last := len(t.members) - 1; t.w.plan.replicas > 1 {
		t.w.hits[string(s)]++
		switch {
		case s == leave && last > 0:
			t.members[last].stop()
			t.members = t.members[:last]
		case s == join:
			t.members = append(t.members, t.w.launch(kill{}))
		}
	}
	t.members[0] = t.w.launch(next)
}

// stop stops all of them at once: one after the other, each would wait for the work to be shared out anew.
func (t *team) stop() {
	var all sync.WaitGroup
	for _, m := range t.members {
		all.Go(m.stop)
	}
	all.Wait()
}

// config is how the plan's writer is set up.
func (p *plan) config() writer.Config {
	cfg := quick()
	if p.jobs {
		// Few requests at a time, and small ones: a backlog builds up, and every backlog is worth a job, or as many as requests.
		cfg.Lanes.Parallelism, cfg.Lanes.BatchRecords = p.jobsAtOnce, 5
		cfg.Lanes.BulkFrom, cfg.Lanes.BulkAfter, cfg.Lanes.BulkPause = salesforce.MaxCollection, 0, 10*time.Millisecond
		cfg.Lanes.BulkPollMin, cfg.Lanes.BulkPollMax = time.Millisecond, 5*time.Millisecond
	}
	if p.ruled {
		cfg.Lanes.Parallelism = 1
		cfg.Refusals.LeastWrites, cfg.Refusals.Pause, cfg.Refusals.TrialWrites = 20, time.Hour, 5
	}
	if p.replicas > 1 {
		// Whoever hands partitions over finishes what is under way: the next one does not wait for it.
		cfg.DrainTimeout = 5 * time.Second
	}
	return cfg
}

// quick is the default configuration with its waits shortened, so that hours of trouble pass in a second.
func quick() writer.Config {
	cfg := writer.DefaultConfig()
	cfg.Lanes.BatchRecords, cfg.Lanes.MinBatchRecords = 20, 2
	cfg.Lanes.Linger, cfg.Lanes.MaxLinger = time.Millisecond, 2*time.Millisecond
	cfg.Lanes.RetryMin, cfg.Lanes.RetryMax, cfg.Lanes.LookAfter = time.Millisecond, 10*time.Millisecond, 5*time.Millisecond
	cfg.Parking.Recheck, cfg.Parking.DelayMin, cfg.Parking.DelayMax = 5*time.Millisecond, time.Millisecond, 20*time.Millisecond
	cfg.Gate.RetryMin, cfg.Gate.RetryMax, cfg.Gate.QuotaRetry = 5*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond
	cfg.DrainTimeout, cfg.SessionTimeout = 50*time.Millisecond, 5*time.Second
	return cfg
}

// moves hands out the client of the org that a connection is with now, as the pool of a process does.
type moves struct {
	orgs
	world *world
}

// Client implements writer.Orgs.
func (m *moves) Client(workspace, connection string) (*salesforce.Client, error) {
	if connection == m.world.plan.moved && m.world.View() != m.world.next {
		connection = former
	}
	return m.orgs.Client(workspace, connection)
}

type orgs map[string]*salesforce.Client

// Client implements writer.Orgs.
func (o orgs) Client(_, connection string) (*salesforce.Client, error) {
	if c := o[connection]; c != nil {
		return c, nil
	}
	return nil, errors.New("no such connection")
}
