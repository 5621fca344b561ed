package catalogue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/catalogue"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func TestAnAnswerServesUntilItIsTooOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.connect(t, "acme")
	get := func() catalogue.Described {
		t.Helper()
		d, err := b.Object(t.Context(), acme, "Row__c")
		require.NoError(t, err)
		return d
	}
	get()
	b.clock.Advance(b.cfg.RefreshEvery - time.Second)
	get()
	b.reopen(t)
	require.Equal(t, epoch, get().AskedAt)
	require.Equal(t, []string{"acme/main Row__c in full"}, b.orgs.questions())

	at := b.clock.Advance(time.Second)
	d := get()
	require.Equal(t, at, d.AskedAt)
	require.Equal(t, "Row__c", d.Object.GetName(), "not modified: the last answer holds")
	require.Equal(t, []string{"acme/main Row__c since 09:00:00"}, b.orgs.questions())

	b.clock.Set(epoch.Add(b.cfg.ReadEvery)) // rights can change without the time stamp
	get()
	require.Equal(t, []string{"acme/main Row__c in full"}, b.orgs.questions())
}

func TestAnotherUserOfTheConnectionIsAskedAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.connect(t, "acme")
	_, err := b.Object(t.Context(), acme, "Row__c")
	require.NoError(t, err)
	acme.Version = 2
	b.orgs.set(func() { b.orgs.away["acme/main"] = true })
	_, err = b.Object(t.Context(), acme, "Row__c")
	require.ErrorIs(t, err, errAway, "what the other user saw is not taken for an answer")
}

func TestAnswersBelongToOneWorkspace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme, globex := b.connect(t, "acme", "Acme__c"), b.connect(t, "globex")
	for _, c := range []*configv1.Connection{acme, globex} {
		d, err := b.Object(t.Context(), c, "Row__c")
		require.NoError(t, err)
		require.Len(t, d.Object.GetFields(), map[string]int{"acme": 3, "globex": 2}[c.GetWorkspace()])
	}
	list, at, err := b.Objects(t.Context(), globex)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, epoch, at)
}

func TestAnOrgInTroubleIsLeftAloneForLongerAndLonger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.connect(t, "acme")
	b.orgs.set(func() { b.orgs.away["acme/main"] = true })
	for wait := b.cfg.RetryAfter; wait <= b.cfg.RefreshEvery; wait *= 2 {
		_, err := b.Object(t.Context(), acme, "Row__c")
		require.ErrorIs(t, err, errAway)
		require.Len(t, b.orgs.questions(), 1)
		b.clock.Advance(wait - time.Second)
		_, err = b.Object(t.Context(), acme, "Other__c")
		require.ErrorIs(t, err, errAway)
		require.ErrorContains(t, err, "it is asked again after")
		require.Empty(t, b.orgs.questions())
		b.clock.Advance(time.Second)
	}
	b.orgs.set(func() { b.orgs.away["acme/main"] = false })
	_, err := b.Refresh(t.Context(), acme, []string{"Row__c"})
	require.NoError(t, err, "an administrator who asks for it need not wait")
	_, err = b.Object(t.Context(), acme, "Other__c")
	require.NoError(t, err)
}

func TestACallerWhoGivesUpSaysNothingOfTheOrg(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.connect(t, "acme")
	b.orgs.set(func() { b.orgs.held["acme/main"] = make(chan struct{}) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.Object(ctx, acme, "Row__c")
		done <- err
	}()
	<-b.orgs.waiting
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	b.orgs.set(func() { b.orgs.held = nil })
	_, err := b.Object(t.Context(), acme, "Row__c")
	require.NoError(t, err)
}

// Promise 6: while one org keeps its questions waiting, others are answered, however many wait for the slow one.
func TestASlowOrgKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow, sound := b.connect(t, "slow"), b.connect(t, "sound")
	hold := make(chan struct{})
	b.orgs.set(func() { b.orgs.held["slow/main"] = hold })
	var group sync.WaitGroup
	for n := range 20 {
		group.Go(func() {
			_, err := b.Object(t.Context(), slow, fmt.Sprintf("Row%d__c", n%2))
			require.NoError(t, err)
		})
	}
	<-b.orgs.waiting
	_, err := b.Object(t.Context(), sound, "Row__c")
	require.NoError(t, err)
	require.Len(t, b.orgs.questions(), 2, "one question at a time to the slow one")
	close(hold)
	group.Wait()
	require.Len(t, b.orgs.questions(), 1, "those who waited share the answer")
}

func TestOnlySoManyObjectsAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *catalogue.Config) { c.MaxObjects, c.MaxObjectBytes = 3, 1<<16 })
	acme := b.connect(t, "acme")
	_, _, err := b.Objects(t.Context(), acme)
	require.NoError(t, err)
	for n := range 5 {
		b.clock.Advance(time.Second)
		_, err := b.Object(t.Context(), acme, fmt.Sprintf("Row%d__c", n))
		require.NoError(t, err)
	}
	times, err := b.store.DescribeTimes(t.Context(), "acme", "main")
	require.NoError(t, err)
	require.Len(t, times, 4, "three objects and the list")
	require.Contains(t, times, "")
	require.NotContains(t, times, "Row1__c", "the one asked for the longest ago went")

	b.orgs.set(func() { b.orgs.size = 1 << 17 })
	_, err = b.Object(t.Context(), acme, "Huge__c")
	require.ErrorContains(t, err, "larger than catalogue.max_object_bytes")
	b.orgs.set(func() { b.orgs.size = 0 })
	_, err = b.Object(t.Context(), acme, "Row0__c")
	require.NoError(t, err, "an object that is too large is no trouble of the org's")
}

func TestWhatIsDueIsAskedAndTheRestIsNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.connect(t, "acme")
	b.rule(t, acme, "Row__c", "Gone__c")
	off := b.rule(t, acme, "Off__c")
	off.Enabled, off.Version = false, 2
	b.save(t, store.Key{Workspace: "acme", Kind: store.KindIntegration, ID: "off"}, off, 1)
	b.rule(t, &configv1.Connection{Workspace: "acme", Id: "deleted"}, "Lost__c")
	require.NoError(t, b.RefreshDue(t.Context()))
	require.ElementsMatch(t, []string{"acme/main Gone__c in full", "acme/main Row__c in full"}, b.orgs.questions())
	broken, err := b.BrokenOf(t.Context(), "acme", "")
	require.NoError(t, err)
	require.Len(t, broken, 1)
	require.Equal(t, "actions[1].object", broken[0].GetProblems()[0].GetField())
	require.Equal(t, epoch, broken[0].GetFoundAt().AsTime())
	none, err := b.BrokenOf(t.Context(), "acme", "other")
	require.NoError(t, err)
	require.Empty(t, none)

	require.NoError(t, b.RefreshDue(t.Context()))
	require.Empty(t, b.orgs.questions())
	b.clock.Advance(b.cfg.RefreshEvery)
	require.NoError(t, b.RefreshDue(t.Context()))
	require.ElementsMatch(t, []string{"acme/main Gone__c in full", "acme/main Row__c since 09:00:00"}, b.orgs.questions())
}

func TestWhatIsNotKnownAcquitsNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acme := b.connect(t, "acme")
	rule := b.rule(t, acme, "Gone__c")
	require.NoError(t, b.RefreshDue(t.Context()))
	broken := func() int {
		t.Helper()
		found, err := b.BrokenOf(t.Context(), "acme", "")
		require.NoError(t, err)
		return len(found)
	}
	require.Equal(t, 1, broken())
	acme.Version = 2 // other credentials: nothing is known yet of what they can see
	b.save(t, store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"}, acme, 1)
	b.orgs.set(func() { b.orgs.away["acme/main"] = true })
	require.NoError(t, b.RefreshDue(t.Context()))
	require.NoError(t, b.Judge(t.Context(), acme))
	require.Equal(t, 1, broken())

	rule.Version = 2
	b.save(t, store.Key{Workspace: "acme", Kind: store.KindIntegration, ID: rule.GetId()}, rule, 1)
	require.NoError(t, b.JudgeSaved(t.Context(), rule))
	require.Zero(t, broken(), "nothing is known against the new version")
	b.orgs.set(func() { b.orgs.away["acme/main"] = false })
	b.clock.Advance(b.cfg.RetryAfter)
	require.NoError(t, b.RefreshDue(t.Context()))
	require.Equal(t, 1, broken())
}

func TestADeadOrgIsAskedOnceAndTheOthersAsEver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, ws := range []string{"dead", "one", "two"} {
		b.rule(t, b.connect(t, ws), "Row__c", "Other__c")
	}
	b.orgs.set(func() { b.orgs.away["dead/main"] = true })
	require.NoError(t, b.RefreshDue(t.Context()))
	require.ElementsMatch(t, []string{
		"dead/main Other__c in full", "one/main Other__c in full", "one/main Row__c in full",
		"two/main Other__c in full", "two/main Row__c in full",
	}, b.orgs.questions())
	require.NoError(t, b.RefreshDue(t.Context()))
	require.Empty(t, b.orgs.questions())
	b.clock.Advance(b.cfg.RefreshEvery)
	require.NoError(t, b.RefreshDue(t.Context()))
	asked := b.orgs.questions()
	require.Len(t, asked, 5)
	require.Contains(t, asked[4], "dead/main", "who is in trouble comes last")
}

func TestOnlyRefusalsForAFieldsSakeAreFollowed(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *catalogue.Config) { c.CheckEvery = time.Hour; c.Queue = 1 })
	acme := b.connect(t, "acme")
	rule := b.rule(t, acme, "Row__c")
	require.NoError(t, b.RefreshDue(t.Context()))
	b.orgs.questions()
	refusal := &streamv1.Outcome{
		Workspace: "acme", Connection: "main", Object: "Row__c", Stage: "writer", Status: streamv1.Status_STATUS_FAILED,
		Reason: streamv1.Reason_REASON_SF_FIELD_GONE, DecidedAt: timestamppb.New(epoch.Add(time.Minute)),
	}
	for _, change := range []func(*streamv1.Outcome){
		func(o *streamv1.Outcome) { o.Stage = "mapping" }, func(o *streamv1.Outcome) { o.Reason = streamv1.Reason_REASON_SF_LIMIT },
		func(o *streamv1.Outcome) { o.Status = streamv1.Status_STATUS_WRITTEN }, func(o *streamv1.Outcome) { o.Object = "" },
	} {
		o := proto.CloneOf(refusal)
		change(o)
		b.Observe(o)
	}
	b.clock.Advance(2 * time.Minute)
	b.orgs.set(func() { b.orgs.fields["acme/main"] = nil }) // the key field is gone
	b.Observe(refusal)
	b.Observe(refusal) // the queue is full, and nobody waits for that
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	require.Eventually(t, func() bool {
		broken, err := b.BrokenOf(t.Context(), "acme", "main")
		return err == nil && len(broken) == 1 && broken[0].GetIntegration() == rule.GetId()
	}, time.Minute, time.Millisecond)
	require.Equal(t, map[string]int64{"acme/main": 1}, b.brokenMetric(t))
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, b.brokenMetric(t), "who does not run tells nothing")
	require.Equal(t, []string{"acme/main Row__c in full"}, b.orgs.questions())
}

func TestItStartsAndStopsAtAnyMoment(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *catalogue.Config) { c.CheckEvery = time.Millisecond })
	for n := range 5 {
		b.rule(t, b.connect(t, fmt.Sprintf("ws-%d", n)), "Row__c", "Other__c")
	}
	refusal := &streamv1.Outcome{
		Workspace: "ws-1", Connection: "main", Object: "Row__c", Stage: "writer", Status: streamv1.Status_STATUS_FAILED,
		Reason: streamv1.Reason_REASON_SF_FIELD_GONE, DecidedAt: timestamppb.New(epoch.Add(time.Hour)),
	}
	for n := range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		b.clock.Advance(b.cfg.RefreshEvery)
		b.Observe(refusal)
		for range n % 3 {
			_, err := b.Object(t.Context(), &configv1.Connection{Workspace: "ws-2", Id: "main", Version: 1}, "Row__c")
			require.NoError(t, err)
		}
		cancel()
		require.NoError(t, <-done)
	}
	require.NoError(t, b.RefreshDue(t.Context()), "whatever was interrupted is made up for")
	for n := range 5 {
		d, err := b.Object(t.Context(), &configv1.Connection{Workspace: fmt.Sprintf("ws-%d", n), Id: "main", Version: 1}, "Other__c")
		require.NoError(t, err)
		require.NotNil(t, d.Object)
	}
}
