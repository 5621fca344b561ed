package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// Config bounds how long a gate stays closed between two probes.
type Config struct {
	// RetryMin and RetryMax: the wait doubles from one to the other while probes fail.
	RetryMin time.Duration `yaml:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max"`
	// QuotaRetry is the wait when calls are used up.
	QuotaRetry time.Duration `yaml:"quota_retry"`
	// Failures is how many requests in a row may fail for a passing reason before the gate closes.
	Failures int `yaml:"failures"`
	// QuotaPercent is the share of the allocation we may use when the connection says nothing; QuotaTotal the share, used
	// by anybody, from which we stop, whatever we used ourselves.
	QuotaPercent int `yaml:"quota_percent"`
	QuotaTotal   int `yaml:"quota_total_percent"`
	// Shares divides our part among the classes of writes when the connection says nothing.
	Shares Shares `yaml:"shares"`
	// ProbeTimeout bounds one probe.
	ProbeTimeout time.Duration `yaml:"probe_timeout"`
}

// DefaultConfig returns 2 s to 5 min between probes, 1 min when calls are used up, three failures in a row, half of the
// allocation for us, giving way when 90 % of it is used by anybody, the default shares, and 30 s per probe.
func DefaultConfig() Config {
	return Config{
		RetryMin: 2 * time.Second, RetryMax: 5 * time.Minute, QuotaRetry: time.Minute, Failures: 3,
		QuotaPercent: 50, QuotaTotal: 90, Shares: DefaultShares(), ProbeTimeout: 30 * time.Second,
	}
}

// Validate names the first key that does not fit.
func (c Config) Validate() error {
	switch {
	case c.RetryMin <= 0 || c.RetryMax < c.RetryMin:
		return errors.New("retry_min: must be above 0 and at most retry_max")
	case c.QuotaRetry <= 0:
		return errors.New("quota_retry: must be above 0")
	case c.Failures < 1:
		return errors.New("failures: must be at least 1")
	case c.QuotaPercent < 1 || c.QuotaPercent > 100 || c.QuotaTotal < 1 || c.QuotaTotal > 100:
		return errors.New("quota_percent and quota_total_percent: must be 1 to 100")
	case c.ProbeTimeout <= 0:
		return errors.New("probe_timeout: must be above 0")
	}
	if err := c.Shares.Validate(); err != nil {
		return fmt.Errorf("shares.%w", err)
	}
	return nil
}

// Client is what a gate needs of the connection's client.
type Client interface {
	Limits(ctx context.Context) (map[string]salesforce.Allocation, error)
	Usage() (salesforce.Usage, bool)
	Calls() int64
}

// Connection returns the connection's settings and client, or an error when there is none.
type Connection func() (*configv1.Connection, Client, error)

// State is whether an org may be written to.
type State struct {
	Open bool
	// Reason and Detail say why not.
	Reason streamv1.Reason
	Detail string
}

// Gate is one connection's. Safe for concurrent use.
type Gate struct {
	cfg     Config
	connect Connection
	spawn   Spawn

	mu       sync.Mutex
	closed   bool
	reason   streamv1.Reason
	detail   string
	retryAt  time.Time
	wait     time.Duration
	probing  bool
	failures int
	budget   budget
	classes  [classCount]budget
	changed  chan struct{}
}

// Spawn runs work in a goroutine of its own, with a context that ends with the program: a probe outlives the call that
// starts it.
type Spawn func(work func(ctx context.Context))

// New returns an open gate.
func New(spawn Spawn, cfg Config, connect Connection) *Gate {
	return &Gate{cfg: cfg, connect: connect, spawn: spawn, changed: make(chan struct{})}
}

// State tells whether writes may go out at now. A closed gate whose wait is over starts a probe, which opens it later.
func (g *Gate) State(now time.Time) State {
	settings, client, err := g.connect()
	switch {
	case err != nil:
		return State{Reason: streamv1.Reason_REASON_SF_AUTH_REVOKED, Detail: "there is no such connection, or it is not authorised; connect the org"}
	case plan.Lapsed(settings.GetLapses(), now) != nil:
		// LOOM-1, HOPIN-1: the one place where writing stops when a plan ends, to the second and whatever is on its way. It waits
		// for a plan that includes it again.
		return State{
			Reason: streamv1.Reason_REASON_PLAN_NOT_ENTITLED,
			Detail: plan.Text(plan.Lapsed(settings.GetLapses(), now)) + ", which the workspace does not have; change it to go on",
		}
	case shut(settings.GetStatus()):
		return State{Reason: shutFor(settings.GetStatus()), Detail: "diagnosis found the org closed to us; see the connection"}
	case settings.GetPaused():
		return State{Reason: streamv1.Reason_REASON_SF_UNAVAILABLE, Detail: "the connection is paused by an administrator"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		if share := g.shareLocked(settings, client, now); share >= 1 {
			g.closeLocked(streamv1.Reason_REASON_SF_LIMIT, "the calls we may make in 24 hours are used up", g.cfg.QuotaRetry, now)
		}
	}
	if !g.closed {
		return State{Open: true}
	}
	if !g.probing && !now.Before(g.retryAt) {
		g.probing = true
		g.spawn(func(ctx context.Context) { g.probe(ctx, settings, client, now) })
	}
	return State{Reason: g.reason, Detail: g.detail}
}

// Share returns which part of the calls we may make is used, 0 to 1 and above.
func (g *Gate) Share(now time.Time) float64 {
	settings, client, err := g.connect()
	if err != nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shareLocked(settings, client, now)
}

// shareLocked compares our own calls with our share of the allocation, and everybody's with the point where we give way.
func (g *Gate) shareLocked(settings *configv1.Connection, client Client, now time.Time) float64 {
	g.budget.see(client.Calls(), now)
	usage, ok := client.Usage()
	if !ok || usage.Max <= 0 {
		return 0
	}
	own := float64(g.budget.used()) / g.ceiling(settings, usage)
	all := usage.Share() / (float64(g.cfg.QuotaTotal) / 100)
	return max(own, all)
}

// ceiling is how many calls we may make in 24 hours (XC-9).
func (g *Gate) ceiling(settings *configv1.Connection, usage salesforce.Usage) float64 {
	percent := int(settings.GetQuotaPercent())
	if percent == 0 {
		percent = g.cfg.QuotaPercent
	}
	return float64(usage.Max) * float64(percent) / 100
}

// Succeeded tells that a request went through.
func (g *Gate) Succeeded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures = 0
	if !g.closed {
		g.wait = 0
	}
}

// Failed tells that a request as a whole failed, for the error's reason. The gate may close.
func (g *Gate) Failed(e *salesforce.Error, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch e.Class {
	case salesforce.ClassAuth:
		g.closeLocked(ReasonOf(e), e.Detail, g.cfg.RetryMin, now)
	case salesforce.ClassQuota:
		g.closeLocked(streamv1.Reason_REASON_SF_LIMIT, e.Detail, g.cfg.QuotaRetry, now)
	case salesforce.ClassTransient, salesforce.ClassUnknown:
		if g.failures++; g.failures >= g.cfg.Failures {
			g.closeLocked(ReasonOf(e), e.Detail, g.cfg.RetryMin, now)
		}
	case salesforce.ClassConfig:
		// Without a usable address or token nothing can be sent, whatever the record.
		if e.Status == 0 && e.Code != salesforce.CodeBadRequest {
			g.closeLocked(ReasonOf(e), e.Detail, g.cfg.RetryMin, now)
		}
	case salesforce.ClassLock, salesforce.ClassData:
	}
}

func (g *Gate) closeLocked(reason streamv1.Reason, detail string, least time.Duration, now time.Time) {
	if g.closed {
		return
	}
	g.closed, g.reason, g.detail, g.failures = true, reason, detail, 0
	g.backOffLocked(least, now)
}

// backOffLocked doubles the wait from least to RetryMax. Promise 7.
func (g *Gate) backOffLocked(least time.Duration, now time.Time) {
	g.wait = min(max(2*g.wait, least), max(g.cfg.RetryMax, least))
	g.retryAt = now.Add(g.wait)
}

// probe asks the org one cheap question, which also tells what is left of its allocation.
func (g *Gate) probe(ctx context.Context, settings *configv1.Connection, client Client, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.ProbeTimeout)
	defer cancel()
	limits, err := client.Limits(ctx)
	if e, ok := asError(err); ok && letsUsIn(e) {
		err = nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing = false
	daily := limits["DailyApiRequests"]
	exhausted := daily.Max > 0 && daily.Remaining <= daily.Max*int64(100-g.cfg.QuotaTotal)/100
	if err != nil || exhausted || g.shareLocked(settings, client, now) >= 1 {
		if e, ok := asError(err); ok {
			g.reason, g.detail = ReasonOf(e), e.Detail
		}
		g.backOffLocked(g.cfg.RetryMin, now)
		return
	}
	g.closed, g.failures = false, 0
	close(g.changed)
	g.changed = make(chan struct{})
}

// letsUsIn reports whether the org knows us and only keeps its limits to itself: they are for users who may view its setup,
// which an integration user need not be.
func letsUsIn(e *salesforce.Error) bool {
	return e.Status == http.StatusForbidden && (e.Class == salesforce.ClassConfig || e.Class == salesforce.ClassUnknown)
}

// Opened returns a channel that is closed the next time a probe opens the gate.
func (g *Gate) Opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}
