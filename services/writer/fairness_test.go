package writer_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/writer"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// pacedOrg is an org that answers some calls, and then none until it is let go: as if each took for ever.
type pacedOrg struct {
	*orgtest.Org
	calls, ended chan struct{} // a place for each call it answers, and whether it is let go

	mu       sync.Mutex
	answered int
}

func newPacedOrg(t *testing.T, calls int) *pacedOrg {
	t.Helper()
	o := &pacedOrg{Org: orgtest.New(t), calls: make(chan struct{}, calls), ended: make(chan struct{})}
	o.Committed = func(orgtest.Request) {
		select {
		case o.calls <- struct{}{}:
		case <-o.ended:
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.answered++
	}
	return o
}

func (o *pacedOrg) answers() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answered
}

// workspaceOrgs hands out a client by workspace; each has one connection, main.
type workspaceOrgs map[string]*salesforce.Client

func (o workspaceOrgs) Client(workspace, connection string) (*salesforce.Client, error) {
	if c := o[workspace]; c != nil && connection == "main" {
		return c, nil
	}
	return nil, errors.New("no such connection")
}

// crowd is a writer with one partition, and three workspaces on it: one that floods it, one whose org takes its time, and one
// that is as it should be.
type crowd struct {
	*testBundle
	flood, slow, calm *pacedOrg
	service           *writer.Service
	clients           workspaceOrgs
	sent              map[string]int
	// letGo lets the flooded and the slow org answer everything.
	letGo func()
}

// floodCalls is how many calls the flooded org answers while the others are looked at. The slow org answers none: 10 s a call
// are for ever, to whoever must not wait for it.
const floodCalls = 3

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{
		testBundle: setup(t), flood: newPacedOrg(t, floodCalls), slow: newPacedOrg(t, 0), calm: newPacedOrg(t, 1000),
		clients: workspaceOrgs{}, sent: map[string]int{},
	}
	c.letGo = sync.OnceFunc(func() {
		close(c.flood.ended)
		close(c.slow.ended)
	})
	c.build = settingstest.New(t)
	for name, org := range map[string]*pacedOrg{"flood": c.flood, "slow": c.slow, "calm": c.calm} {
		c.build.Workspace(name).Connection("main")
		c.clients[name] = salesforce.NewClient(unhurried(), salesforce.StaticToken{
			AccessToken: secret.New("token"), InstanceURL: org.URL(),
		}, salesforce.Deps{})
	}
	c.views.Store(c.build.View())
	c.clock = stagetest.NewClock(time.Now())
	c.cfg.Lanes.LaneRecords, c.cfg.Lanes.HeldRecords = 500, 1000
	c.cfg.Parking.ReleasePerSecond = 50_000 // a look is every 10 ms here
	c.lookup = c.clients
	service, stop := c.start()
	c.service = service
	t.Cleanup(stop)
	t.Cleanup(c.letGo)
	return c
}

// sends appends writes of new records.
func (c *crowd) sends(workspace string, n int) {
	c.t.Helper()
	ws, ok := c.views.View().Workspace(workspace)
	require.True(c.t, ok)
	for range n {
		c.sent[workspace]++
		key := fmt.Sprint(workspace, c.sent[workspace])
		plain, err := proto.Marshal(&streamv1.FieldValues{Fields: []*streamv1.FieldValue{
			{Field: "Rev__c", Value: &streamv1.FieldValue_Number{Number: 1}},
		}})
		require.NoError(c.t, err)
		sealed, err := ws.Keys().Seal(plain)
		require.NoError(c.t, err)
		value, err := proto.Marshal(&streamv1.Write{
			WriteKey: key, Workspace: workspace, Connection: "main", Revision: 1, Object: "Engagement__c",
			Operation: streamv1.Operation_OPERATION_UPSERT, ExternalIdField: "External_Id__c", ExternalId: key,
			SealedFields: sealed, ContentHash: ws.Keys().Hash(plain), VisitId: "visit", OccurredAt: timestamppb.Now(),
		})
		require.NoError(c.t, err)
		c.broker.Append(topic.Writes, 0, stage.Record{Key: topic.ConnectionKey(workspace, "main"), Value: value})
	}
}

// written waits until an org has everything that was sent to it, while time passes in steps.
func (c *crowd) written(workspace string, org *pacedOrg, step time.Duration) {
	c.t.Helper()
	c.eventually(func() bool {
		c.clock.Advance(step)
		return len(org.Records("Engagement__c")) == c.sent[workspace]
	}, workspace+" is written")
}

func TestAFloodAndASlowOrgDelayNobodyElse(t *testing.T) {
	t.Attr("requirement", "XC-15")
	t.Parallel()
	c := newCrowd(t)
	// All in one partition, and before the others: a hundred times as much of one, and of another what its org never answers.
	c.sends("flood", 1000)
	c.sends("slow", 500)
	for range 20 {
		c.sends("calm", 1)
		c.sends("flood", 50)
	}
	c.written("calm", c.calm, 10*time.Millisecond)
	require.LessOrEqual(t, c.flood.answers(), floodCalls, "it was not waited for")
	require.Zero(t, c.slow.answers(), "nor this one")

	// Whoever comes later does not wait either.
	c.sends("calm", 5)
	c.written("calm", c.calm, 10*time.Millisecond)
	require.Zero(t, c.slow.answers())
	for _, o := range []*pacedOrg{c.flood, c.slow, c.calm} {
		require.LessOrEqual(t, o.Peak(), 4, "each has its own places")
	}

	// Nor is the flood lost, or the slow org's: they come to their turn.
	c.letGo()
	c.written("flood", c.flood, time.Second)
	c.written("slow", c.slow, time.Second)
	for _, o := range []*pacedOrg{c.flood, c.slow, c.calm} {
		require.Empty(t, o.Problems())
	}
	require.Empty(t, c.service.Stats().Failed)
}
