package faults

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/throughline-dev/throughline/libs/stage"
)

// moment is a place in the writer's work where it can die.
type moment int

const (
	beforeRequest moment = iota
	afterRequest
	beforeProduce
	afterProduce
	beforeCommit
	afterCommit
	ordinary // from here on they come up only where backlogs go by bulk jobs
	moments  = ordinary + 2
)

const (
	beforeStep = ordinary + iota
	afterStep
	afterOutcome // only of processes, whose produces and commits nobody can stop
)

// String names the moment.
func (m moment) String() string {
	return [...]string{
		"before a request", "after a request", "before a produce", "after a produce", "before a commit", "after a commit",
		"before a step of a job", "after a step of a job", "after an outcome",
	}[m]
}

// kill is one death: at the in-th moment of its kind.
type kill struct {
	at moment
	in int
}

var errDead = errors.New("the process is dead")

// life is one incarnation of the writer, as the world sees it: once it is dead, nothing that it does gets out any more, and
// what it had sent arrives.
type life struct {
	next   stage.Broker
	http   http.RoundTripper
	broker *brokerChance

	mu    sync.Mutex
	kill  kill
	gone  bool
	dead  chan struct{}
	calls sync.WaitGroup
	// groups are the consumer groups that it belongs to.
	groups sync.WaitGroup
}

func newLife(next stage.Broker, chance *brokerChance, k kill) *life {
	return &life{next: next, http: &http.Transport{}, broker: chance, kill: k, dead: make(chan struct{})}
}

// enter counts a call under way, unless the process is dead.
func (l *life) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.calls.Add(1)
	return true
}

// pass lets the process die here, and reports whether it is alive.
func (l *life) pass(m moment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone && l.kill.in > 0 && l.kill.at == m {
		if l.kill.in--; l.kill.in == 0 {
			l.gone = true
			close(l.dead)
		}
	}
	return !l.gone
}

// die lets the process die now.
func (l *life) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		l.gone = true
		close(l.dead)
	}
}

// isGone reports whether the process is dead.
func (l *life) isGone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// RoundTrip implements http.RoundTripper.
func (l *life) RoundTrip(req *http.Request) (*http.Response, error) {
	if !l.enter() {
		return nil, errDead
	}
	defer l.calls.Done()
	if !l.pass(beforeRequest) || step(req) && !l.pass(beforeStep) {
		return nil, errDead
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	// What is on the wire arrives, whether or not anybody waits for the answer.
	got := make(chan answer, 1)
	l.calls.Go(func() {
		resp, err := l.http.RoundTrip(req.Clone(context.WithoutCancel(req.Context()))) //nolint:bodyclose // whoever receives it closes it
		got <- answer{resp, err}
	})
	var a answer
	select {
	case a = <-got:
	case <-l.dead:
		l.calls.Go(func() { discard((<-got).resp) })
		return nil, errDead
	}
	if !l.pass(afterRequest) || step(req) && !l.pass(afterStep) {
		discard(a.resp)
		return nil, errDead
	}
	return a.resp, a.err
}

func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// Consume implements stage.Broker. A dead process is out of its groups once what it had sent has arrived; the others need not
// wait for its session to time out.
func (l *life) Consume(ctx context.Context, m stage.Membership, serve func(context.Context, stage.Generation)) error {
	if !l.enter() {
		return errDead
	}
	l.groups.Add(1)
	l.calls.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.dead:
			l.calls.Wait()
			cancel()
		case <-ctx.Done():
		}
	}()
	var serving sync.WaitGroup
	err := l.next.Consume(ctx, m, func(ctx context.Context, g stage.Generation) {
		served := make(chan struct{})
		serving.Go(func() {
			defer close(served)
			serve(ctx, generation{g, l})
		})
		select {
		case <-served:
		case <-l.dead:
			l.calls.Wait()
			cancel()
		}
	})
	l.groups.Done()
	serving.Wait()
	return err
}

// Fetch implements stage.Broker.
func (l *life) Fetch(ctx context.Context, req stage.FetchRequest) (stage.Fetched, error) {
	if !l.enter() {
		return stage.Fetched{}, errDead
	}
	defer l.calls.Done()
	return l.next.Fetch(ctx, req)
}

// Produce implements stage.Broker.
func (l *life) Produce(ctx context.Context, b stage.ProduceBatch) error {
	if !l.enter() {
		return errDead
	}
	defer l.calls.Done()
	if !l.pass(beforeProduce) {
		return errDead
	}
	if err := l.broker.fail(); err != nil {
		return err
	}
	if err := l.next.Produce(ctx, b); err != nil {
		return err
	}
	if !l.pass(afterProduce) {
		return errDead
	}
	return l.broker.fail()
}

type generation struct {
	stage.Generation
	life *life
}

// Commit implements stage.Generation.
func (g generation) Commit(ctx context.Context, offsets map[int]int64) error {
	if !g.life.enter() {
		return errDead
	}
	defer g.life.calls.Done()
	if !g.life.pass(beforeCommit) {
		return errDead
	}
	if err := g.life.broker.fail(); err != nil {
		return err
	}
	if err := g.Generation.Commit(ctx, offsets); err != nil {
		return err
	}
	if !g.life.pass(afterCommit) {
		return errDead
	}
	return nil
}

// brokerFaults are produces and commits that fail: before they take effect, or after.
type brokerFaults struct {
	seed        uint64
	probability float64
	times       int
}

// brokerChance draws them.
type brokerChance struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults brokerFaults
}

var errBroker = errors.New("the broker did not answer")

func (c *brokerChance) fail() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults.times > 0 && c.rand.Float64() < c.faults.probability {
		c.faults.times--
		return errBroker
	}
	return nil
}

// used is how many of the faults have happened.
func (c *brokerChance) used(planned brokerFaults) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return planned.times - c.faults.times
}

func (c *brokerChance) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.times = 0
}
