package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/identity"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// secondSeller is a user of the org to whom a Lead is given.
const secondSeller = "005000000000102AAA"

// beforeTheyAreOld is nearly as long as it is remembered who was found.
const beforeTheyAreOld = 8 * time.Minute

// testFresh works in an org while its viewers read: who was not found is found once somebody has made a Lead, and whose Lead was
// given away, their to-do goes to the new owner.
func testFresh(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-42")
	p.customer(rig.Customer{ID: "fresh", Recipes: []string{"document-close-task"}, Org: func(o *simulator.Org) {
		o.Users = append(o.Users, simulator.User{ID: secondSeller, Username: "second@fresh.example", LastName: "Second"})
	}})
	p.Eventually(func() bool { return len(p.changes("fresh", "Lead")) > 0 }, "the org's Leads are subscribed to")

	stranger := rig.Closed("fresh", "mia@viewer.example")
	p.Send(stranger)
	p.Quiet()
	require.Equal(t, []string{"mapping SKIPPED(NO_TARGET)"}, p.Ended("fresh", stranger.ID))

	lead := p.Edit("fresh", "POST", "Lead", map[string]any{
		"LastName": "Mia", "Company": "Company", "Email": "Mia@viewer.example", "OwnerId": rig.Seller,
	})
	owners := func() (all []any) {
		p.Send(rig.Closed("fresh", "mia@viewer.example"))
		p.Quiet()
		for _, task := range p.Records("fresh", "Task") {
			require.Equal(t, lead, task["WhoId"])
			all = append(all, task["OwnerId"])
		}
		return all
	}
	p.heard("fresh", streamv1.ChangeType_CHANGE_TYPE_CREATE, lead)
	require.Equal(t, []any{rig.Seller}, owners(), "the next visit finds the Lead")

	p.Edit("fresh", "PATCH", "Lead/"+lead, map[string]any{"OwnerId": secondSeller})
	p.heard("fresh", streamv1.ChangeType_CHANGE_TYPE_UPDATE, lead)
	require.ElementsMatch(t, []any{rig.Seller, secondSeller}, owners(), "the next to-do goes to the new owner")

	p.Edit("fresh", "DELETE", "Lead/"+lead, nil)
	p.heard("fresh", streamv1.ChangeType_CHANGE_TYPE_DELETE, lead)
	after := rig.Closed("fresh", "mia@viewer.example")
	p.Send(after)
	p.Quiet()
	require.Equal(t, []string{"mapping SKIPPED(NO_TARGET)"}, p.Ended("fresh", after.ID), "who was deleted is not found any more")

	for _, rec := range p.Topic(topic.Changes) {
		require.NotContains(t, string(rec.Value), "viewer.example", "no address is told (promise 8)")
	}
}

// heard waits until identity has heard of a change. How long that takes says nothing: on a slow machine what is remembered may be too old
// by then, and asked for again anyway.
func (p *platform) heard(workspace string, kind streamv1.ChangeType, id string) {
	p.T.Helper()
	service, ok := p.process.Service("identity").(*identity.Service)
	require.True(p.T, ok)
	p.Eventually(func() bool {
		told := slices.ContainsFunc(p.changes(workspace, "Lead"), func(c *streamv1.Change) bool {
			return c.GetChangeType() == kind && slices.Contains(c.GetRecordIds(), id)
		})
		all := len(p.Topic(topic.Changes)) // identity was there before the first
		return told && service.Stats().Changes >= int64(all)
	}, "identity hears of the change")
}

// changes are those that were told of a workspace's objects of a kind.
func (p *platform) changes(workspace, object string) (all []*streamv1.Change) {
	for _, rec := range p.Topic(topic.Changes) {
		c := &streamv1.Change{}
		require.NoError(p.T, proto.Unmarshal(rec.Value, c))
		if c.GetWorkspace() == workspace && c.GetObject() == object {
			all = append(all, c)
		}
	}
	return all
}

// In an org without change events a person is known to be gone as soon as a write to them says so, and not ten minutes later.
func TestAWriteTellsThatAPersonIsGone(t *testing.T) {
	t.Attr("requirement", "XC-42")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	data := r.Start("data") // without sync
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}, Recipes: []string{"document-close-task"}})
	data.AwaitSettings()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)

	r.Edit("acme", "DELETE", "Lead/"+r.Records("acme", "Lead")[0]["Id"].(string), nil)
	first := rig.Closed("acme", "mia@viewer.example")
	r.Send(first)
	r.Quiet()
	require.Equal(t, []string{"writer FAILED(SF_RECORD_GONE)"}, r.Ended("acme", first.ID), "the person was remembered")
	require.Eventually(t, func() bool {
		next := rig.Closed("acme", "mia@viewer.example")
		r.Send(next)
		r.Quiet()
		ended := r.Ended("acme", next.ID)
		return len(ended) == 1 && ended[0] == "mapping SKIPPED(NO_TARGET)"
	}, beforeTheyAreOld, 100*time.Millisecond, "the org is asked again")
}
