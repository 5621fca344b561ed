package gate_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
)

var start = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

// org answers probes and counts calls.
type org struct {
	mu     sync.Mutex
	err    error
	limits map[string]salesforce.Allocation
	usage  salesforce.Usage
	calls  int64
	probes int

	running sync.WaitGroup // the gate's probes
}

func (o *org) Limits(context.Context) (map[string]salesforce.Allocation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probes++
	return o.limits, o.err
}

func (o *org) Usage() (salesforce.Usage, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.usage, o.usage.Max > 0
}

func (o *org) Calls() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls
}

func (o *org) set(f func(*org)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(o)
}

func setup(t *testing.T) (*gate.Gate, *org, *configv1.Connection) {
	t.Helper()
	o, c := new(org), &configv1.Connection{QuotaPercent: 10}
	g := gate.New(func(work func(context.Context)) { o.running.Go(func() { work(t.Context()) }) }, gate.DefaultConfig(), func() (*configv1.Connection, gate.Client, error) { return c, o, nil })
	return g, o, c
}

// probe lets a closed gate ask the org, and waits until the gate has drawn its conclusion.
func probe(t *testing.T, g *gate.Gate, o *org, at time.Time) {
	t.Helper()
	before := o.asked()
	g.State(at)
	require.Equal(t, before+1, o.asked())
}

// asked waits for what is under way and returns how many probes there were.
func (o *org) asked() int {
	o.running.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.probes
}

func auth() *salesforce.Error {
	return &salesforce.Error{Class: salesforce.ClassAuth, Reason: "SF_APP_BLOCKED", Detail: "blocked"}
}

func TestGate(t *testing.T) {
	t.Parallel()

	t.Run("ClosesAtOnceWhenTheOrgLocksUsOutAndOpensAfterAProbe", func(t *testing.T) {
		t.Parallel()
		g, o, _ := setup(t)
		require.True(t, g.State(start).Open)
		g.Failed(auth(), start)
		s := g.State(start)
		require.False(t, s.Open)
		require.Equal(t, streamv1.Reason_REASON_SF_APP_BLOCKED, s.Reason)
		require.Equal(t, "blocked", s.Detail)
		opened := g.Opened()
		probe(t, g, o, start.Add(2*time.Second))
		<-opened
		require.True(t, g.State(start.Add(2*time.Second)).Open)
	})

	t.Run("OpensForAUserWhoMayNotSeeTheLimits", func(t *testing.T) {
		t.Parallel()
		g, o, _ := setup(t)
		g.Failed(auth(), start)
		o.set(func(o *org) {
			o.err = &salesforce.Error{Class: salesforce.ClassUnknown, Status: 403, Code: "FORBIDDEN"}
		})
		opened := g.Opened()
		g.State(start.Add(2 * time.Second))
		<-opened
		require.True(t, g.State(start.Add(2*time.Second)).Open)
	})

	t.Run("WaitsLongerAfterEveryFailedProbe", func(t *testing.T) {
		t.Parallel()
		g, o, _ := setup(t)
		o.set(func(o *org) { o.err = auth() })
		g.Failed(auth(), start)
		at := start.Add(2 * time.Second)
		probe(t, g, o, at)
		require.False(t, g.State(at.Add(3*time.Second)).Open)
		require.Equal(t, 1, o.asked(), "4 s have not passed")
		probe(t, g, o, at.Add(4*time.Second))
	})

	t.Run("BearsSomePassingTrouble", func(t *testing.T) {
		t.Parallel()
		g, _, _ := setup(t)
		trouble := &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_UNAVAILABLE"}
		g.Failed(trouble, start)
		g.Failed(trouble, start)
		g.Succeeded()
		g.Failed(trouble, start)
		g.Failed(trouble, start)
		require.True(t, g.State(start).Open)
		g.Failed(trouble, start)
		require.False(t, g.State(start).Open)
	})

	t.Run("RecordTroubleIsNotTheOrgs", func(t *testing.T) {
		t.Parallel()
		g, _, _ := setup(t)
		for range 100 {
			g.Failed(&salesforce.Error{Class: salesforce.ClassLock}, start)
			g.Failed(&salesforce.Error{Class: salesforce.ClassData}, start)
			g.Failed(&salesforce.Error{Class: salesforce.ClassConfig, Status: 400}, start)
		}
		require.True(t, g.State(start).Open)
		g.Failed(&salesforce.Error{Class: salesforce.ClassConfig, Code: salesforce.CodeForeignHost, Reason: "SF_REJECTED"}, start)
		require.False(t, g.State(start).Open)
	})

	t.Run("OurShareOfADayIsACeilingThatMoves", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-9")
		g, o, _ := setup(t)
		o.set(func(o *org) { o.usage, o.calls = salesforce.Usage{Max: 1000}, 50 })
		require.InDelta(t, 0.5, g.Share(start), 1e-9)
		o.set(func(o *org) { o.calls = 100 })
		s := g.State(start.Add(time.Hour))
		require.False(t, s.Open)
		require.Equal(t, streamv1.Reason_REASON_SF_LIMIT, s.Reason)
		require.InDelta(t, 0.5, g.Share(start.Add(24*time.Hour)), 1e-9, "the first hour's calls left the window")
		require.Zero(t, g.Share(start.Add(100*time.Hour)))
	})

	t.Run("AClockThatWasAheadDoesNotKeepCallsInTheWindow", func(t *testing.T) {
		t.Parallel()
		g, o, _ := setup(t)
		o.set(func(o *org) { o.usage, o.calls = salesforce.Usage{Max: 1000}, 50 })
		require.InDelta(t, 0.5, g.Share(start.Add(12*time.Hour)), 1e-9)
		require.InDelta(t, 0.5, g.Share(start), 1e-9, "set back by half a day")
		require.Zero(t, g.Share(start.Add(26*time.Hour)))
		require.Zero(t, g.Share(start.Add(365*24*time.Hour)))
		o.set(func(o *org) { o.calls = 60 })
		require.InDelta(t, 0.1, g.Share(start.Add(27*time.Hour)), 1e-9, "and by a year")
		require.Zero(t, g.Share(start.Add(60*time.Hour)))
	})

	t.Run("GivesWayWhenOthersUseTheAllocation", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-9")
		g, o, _ := setup(t)
		o.set(func(o *org) { o.usage = salesforce.Usage{Used: 900, Max: 1000} })
		require.False(t, g.State(start).Open)
		o.set(func(o *org) {
			o.usage = salesforce.Usage{Used: 100, Max: 1000}
			o.limits = map[string]salesforce.Allocation{"DailyApiRequests": {Max: 1000, Remaining: 50}}
		})
		probe(t, g, o, start.Add(time.Minute))
		require.False(t, g.State(start.Add(time.Minute)).Open, "the limits resource still says used up")
	})

	t.Run("FollowsTheSettings", func(t *testing.T) {
		t.Parallel()
		g, _, c := setup(t)
		c.Paused = true
		require.Contains(t, g.State(start).Detail, "paused")
		gone := gate.New(func(work func(context.Context)) { go work(t.Context()) }, gate.DefaultConfig(), func() (*configv1.Connection, gate.Client, error) {
			return nil, nil, errors.New("no")
		})
		require.Equal(t, streamv1.Reason_REASON_SF_AUTH_REVOKED, gone.State(start).Reason)
		require.Zero(t, gone.Share(start))
	})
}

func TestTheConnectionsStateKeepsWritesOut(t *testing.T) {
	t.Attr("requirement", "LOOM-11")
	t.Attr("requirement", "XC-17")
	t.Attr("requirement", "IMM-1")
	t.Attr("requirement", "IMM-3")
	t.Attr("requirement", "LOOM-7")
	t.Parallel()
	g, o, c := setup(t)
	for _, step := range []struct {
		state  configv1.ConnectionState
		reason streamv1.Reason
		want   streamv1.Reason
	}{
		{configv1.ConnectionState_CONNECTION_STATE_READY, 0, 0},
		{configv1.ConnectionState_CONNECTION_STATE_AUTHORISED, 0, 0},
		{configv1.ConnectionState_CONNECTION_STATE_DEGRADED, streamv1.Reason_REASON_SF_APP_BLOCKED, streamv1.Reason_REASON_SF_APP_BLOCKED},
		{configv1.ConnectionState_CONNECTION_STATE_DEGRADED, streamv1.Reason_REASON_SF_IP_RESTRICTED, streamv1.Reason_REASON_SF_IP_RESTRICTED},
		{configv1.ConnectionState_CONNECTION_STATE_DEGRADED, streamv1.Reason_REASON_SF_API_DISABLED, streamv1.Reason_REASON_SF_API_DISABLED},
		{configv1.ConnectionState_CONNECTION_STATE_DEGRADED, streamv1.Reason_REASON_SF_NO_PERMISSION, 0},
		{configv1.ConnectionState_CONNECTION_STATE_DEGRADED, 0, 0},
		{configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING, 0, streamv1.Reason_REASON_SF_FIELD_GONE},
		{configv1.ConnectionState_CONNECTION_STATE_READY, 0, 0},
	} {
		c.Status = &configv1.ConnectionStatus{State: step.state, Reason: step.reason}
		got := g.State(start)
		require.Equal(t, step.want == 0, got.Open, step.state)
		require.Equal(t, step.want, got.Reason, step.state)
	}
	require.Zero(t, o.probes, "nobody asks an org that is known to be shut")
}

func TestWritingStopsWhenThePlanEnds(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	t.Attr("requirement", "HOPIN-1")
	t.Parallel()
	g, o, c := setup(t)
	c.Lapses = []*configv1.Lapse{{
		Source: configv1.SourceKind_SOURCE_KIND_VIDEO, Needed: []string{"enterprise"},
		From: timestamppb.New(start.Add(time.Hour)), Until: timestamppb.New(start.Add(24 * time.Hour)),
	}}
	require.True(t, g.State(start).Open)
	require.True(t, g.State(start.Add(time.Hour-time.Nanosecond)).Open)
	for _, at := range []time.Duration{time.Hour, 2 * time.Hour, 24*time.Hour - time.Nanosecond} {
		s := g.State(start.Add(at))
		require.False(t, s.Open, at)
		require.Equal(t, streamv1.Reason_REASON_PLAN_NOT_ENTITLED, s.Reason)
		require.Contains(t, s.Detail, "takes the plan enterprise")
	}
	require.True(t, g.State(start.Add(24*time.Hour)).Open, "an upgrade resumes by itself")
	require.Zero(t, o.probes, "nobody asks the org")
}

// A right that is missing keeps out the writes that need it, and no others.
func TestAMissingRightKeepsOutWhatNeedsIt(t *testing.T) {
	t.Attr("requirement", "IMM-2")
	t.Attr("requirement", "LOOM-8")
	t.Attr("requirement", "WALK-3")
	t.Parallel()
	g, _, c := setup(t)
	for cause, want := range map[string]map[string]bool{ // by object: may it be written?
		"tasks":             {"Task": false, "Engagement__c": true, "CampaignMember": true},
		"package":           {"Task": true, "Engagement__c": false, "Content__c": false},
		"object_Order__c":   {"Task": true, "Order__c": false, "Order": true},
		"full_access":       {"Task": true},
		"INSUFFICIENT_ELSE": {"Task": true},
	} {
		c.Status = &configv1.ConnectionStatus{
			State: configv1.ConnectionState_CONNECTION_STATE_DEGRADED, Reason: streamv1.Reason_REASON_SF_NO_PERMISSION, Cause: cause,
		}
		for object, open := range want {
			got := g.Object(object)
			require.Equal(t, open, got.Open, "%s: %s", cause, object)
			if !open {
				require.Equal(t, streamv1.Reason_REASON_SF_NO_PERMISSION, got.Reason)
			}
		}
		require.Equal(t, cause != "full_access", g.State(start).Open, cause)
	}
	c.Status = &configv1.ConnectionStatus{State: configv1.ConnectionState_CONNECTION_STATE_READY}
	require.True(t, g.Object("Task").Open)
}
