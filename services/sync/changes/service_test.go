package changes_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/sync/changes"
)

const (
	created    = streamv1.ChangeType_CHANGE_TYPE_CREATE
	updated    = streamv1.ChangeType_CHANGE_TYPE_UPDATE
	deleted    = streamv1.ChangeType_CHANGE_TYPE_DELETE
	gap        = streamv1.ChangeType_CHANGE_TYPE_GAP
	everything = streamv1.ChangeType_CHANGE_TYPE_EVERYTHING
)

func lead(email string) map[string]any {
	return map[string]any{"LastName": "Name", "Company": "Company", "Email": email}
}

func TestWhatChangedIsToldWithoutAnyValue(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t, org("acme"))
	s, _ := b.serve()
	b.await(func() bool { return s.Stats().Subscribed == 4 }, "all four objects are subscribed to")
	workspace, _ := b.source.View().Workspace("acme")

	id := b.edit("acme", "editor", "POST", "sobjects/Lead", lead("Mia@Viewer.example"))
	c := b.awaitTold("acme", created, id)
	require.Equal(t, "Lead", c.GetObject())
	require.Equal(t, []string{workspace.Keys().PersonKey("mia@viewer.example")}, c.GetPersonKeys(), "whoever has the address is told by its hash")
	require.False(t, c.GetKeysUnknown())
	require.False(t, c.GetOwn())
	require.NotEmpty(t, c.GetReplayId())

	b.edit("acme", "editor", "PATCH", "sobjects/Lead/"+id, map[string]any{"Title": "CEO"})
	require.Empty(t, b.awaitTold("acme", updated, id).GetPersonKeys())
	b.edit("acme", "editor", "DELETE", "sobjects/Lead/"+id, nil)
	b.awaitTold("acme", deleted, id)

	account := b.edit("acme", "editor", "POST", "sobjects/Account", map[string]any{"Name": "A", "Website": "https://a.example"})
	require.True(t, b.awaitTold("acme", created, account).GetKeysUnknown(), "it may be the account of anybody with the domain")
	for _, c := range b.told("acme") {
		require.NotContains(t, c.String(), "viewer.example", "promise 8")
		require.NotContains(t, c.String(), "a.example")
	}
}

// What we write ourselves is told apart, so that nobody asks again for whoever was just written to; but an owner we changed is.
func TestOurOwnWritesCauseNoStorm(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t, org("acme"))
	// Long enough for many events to come meanwhile, however slowly they do.
	s, _ := b.serve(func(c *changes.Config) { c.FlushEvery = 500 * time.Millisecond })
	b.await(func() bool { return s.Stats().Subscribed == 4 }, "all four objects are subscribed to")
	noted := b.edit("acme", ourClient, "POST", "sobjects/Lead", lead("mia@viewer.example"))
	require.False(t, b.awaitTold("acme", created, noted).GetOwn(), "a new person matters whoever made it")
	b.edit("acme", ourClient, "PATCH", "sobjects/Lead/"+noted, map[string]any{"Title": "CEO"})
	require.True(t, b.awaitTold("acme", updated, noted).GetOwn())
	given := b.edit("acme", ourClient, "POST", "sobjects/Lead", lead("ren@viewer.example"))
	b.edit("acme", ourClient, "PATCH", "sobjects/Lead/"+given, map[string]any{"OwnerId": seller})
	require.False(t, b.awaitTold("acme", updated, given).GetOwn(), "to-dos go to the new owner")

	before := s.Stats().Told
	records := make([]map[string]any, 200)
	for i := range records {
		records[i] = map[string]any{"attributes": map[string]any{"type": "Lead"}, "LastName": fmt.Sprint("L", i), "Company": "C"}
	}
	b.edit("acme", ourClient, "POST", "composite/sobjects", map[string]any{"records": records})
	events := s.Stats().Events
	b.await(func() bool { return s.Stats().Events >= events && countCreated(b.told("acme")) == 202 }, "all are told")
	require.Less(t, s.Stats().Told-before, int64(100), "many records are told in few messages")
}

func countCreated(all []*streamv1.Change) (n int) {
	for _, c := range all {
		if c.GetChangeType() == created && c.GetObject() == "Lead" {
			n += len(c.GetRecordIds())
		}
	}
	return n
}

func TestASubscriptionGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t, org("acme"))
	first, stop := b.serve()
	b.await(func() bool { return first.Stats().Subscribed == 4 }, "all four objects are subscribed to")
	seen := b.edit("acme", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
	b.awaitTold("acme", created, seen)
	stop()
	meanwhile := b.edit("acme", "editor", "POST", "sobjects/Lead", lead("ren@viewer.example"))
	before := len(b.told("acme"))

	second, stop := b.serve()
	b.awaitTold("acme", created, meanwhile)
	for _, c := range b.told("acme")[before:] {
		if c.GetObject() == "Lead" {
			require.Equal(t, []string{meanwhile}, c.GetRecordIds(), "nothing twice, nothing missed: %s", c.GetChangeType())
		}
	}
	b.await(func() bool { return second.Stats().Subscribed == 4 }, "all four objects are subscribed to again")
	require.Zero(t, second.Stats().Missed)
	stop()

	// Salesforce keeps events for 72 h.
	lost := b.edit("acme", "editor", "POST", "sobjects/Lead", lead("yui@viewer.example"))
	b.clock.advance(73 * time.Hour)
	before = len(b.told("acme"))
	third, _ := b.serve()
	b.await(func() bool {
		for _, c := range b.told("acme")[before:] {
			if c.GetObject() == "Lead" && c.GetChangeType() == everything {
				return true
			}
		}
		return false
	}, "it is told that anything may have changed")
	b.await(func() bool { return third.Stats().Subscribed == 4 }, "the events from now on are read")
	now := b.edit("acme", "editor", "POST", "sobjects/Lead", lead("aoi@viewer.example"))
	b.awaitTold("acme", created, now)
	require.NotZero(t, third.Stats().Missed)
	for _, c := range b.told("acme") {
		require.NotContains(t, c.GetRecordIds(), lost, "what is lost is not invented")
	}
}

func TestEventsWithoutContentsAreTold(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	b := setup(t, org("acme"))
	s, _ := b.serve()
	b.await(func() bool { return s.Stats().Subscribed == 4 }, "all four objects are subscribed to")
	_, err := b.sim.AddFaults(simulator.Fault{Org: "acme", Object: "Lead", Action: "gap_event", Nth: []int{1}})
	require.NoError(t, err)
	id := b.edit("acme", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
	c := b.awaitTold("acme", gap, id)
	require.True(t, c.GetKeysUnknown(), "nobody knows whose address it has")
	before := len(b.told("acme"))
	_, err = b.sim.AddFaults(simulator.Fault{Org: "acme", Object: "Lead", Action: "gap_event", Code: "GAP_OVERFLOW", Nth: []int{1}})
	require.NoError(t, err)
	b.edit("acme", "editor", "POST", "sobjects/Lead", lead("ren@viewer.example"))
	b.await(func() bool {
		for _, c := range b.told("acme")[before:] {
			if c.GetChangeType() == everything {
				return true
			}
		}
		return false
	}, "an overflow is told")
}

// Promise 6: the one org answers nothing, the other has no change events of some objects; neither delays anybody.
func TestOneOrgsTroubleIsItsOwn(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	poor := org("poor")
	poor.Profiles = []simulator.Profile{{Name: "Narrow", Objects: map[string][]string{"Account": {"create"}}}}
	poor.Users[0].Profile = "Narrow"
	b := setup(t, org("dead"), poor, org("well"))
	_, err := b.sim.AddFaults(simulator.Fault{ID: "dead", Org: "dead", Action: "drop_before"})
	require.NoError(t, err)
	s, _ := b.serve()
	b.await(func() bool { return s.Stats().Subscribed >= 7 && s.Stats().Unavailable == 1 }, "the others are subscribed to")
	for _, key := range []string{"poor", "well"} {
		id := b.edit(key, "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
		b.awaitTold(key, created, id)
	}
	require.NoError(t, s.Ready())

	require.Equal(t, 1, b.sim.RemoveFaults("dead"))
	b.await(func() bool { return s.Stats().Subscribed >= 11 }, "the org is subscribed to once it is well")
	id := b.edit("dead", "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
	b.awaitTold("dead", created, id)
}

func TestEveryConnectionIsSubscribedToOnce(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-42")
	const n = 6
	var orgs []simulator.Org
	for i := range n {
		orgs = append(orgs, org(fmt.Sprint("org-", i)))
	}
	b := setup(t, orgs...)
	leads := func(c *changes.Config) { c.Objects = []string{"Lead"} }
	one, stop := b.serve(leads)
	b.await(func() bool { return one.Stats().Subscribed == n }, "one replica subscribes to all")
	two, _ := b.serve(leads)
	b.await(func() bool {
		return one.Stats().Subscribed > 0 && two.Stats().Subscribed > 0 && one.Stats().Subscribed+two.Stats().Subscribed == n
	}, "two replicas share them")
	for i := range n {
		key := fmt.Sprint("org-", i)
		id := b.edit(key, "editor", "POST", "sobjects/Lead", lead("mia@viewer.example"))
		b.awaitTold(key, created, id)
	}
	require.EqualValues(t, n, one.Stats().Events+two.Stats().Events, "each event is received once")
	stop()
	b.await(func() bool { return two.Stats().Subscribed == n }, "the one that is left takes over")
	for i := range n {
		key := fmt.Sprint("org-", i)
		id := b.edit(key, "editor", "POST", "sobjects/Lead", lead("ren@viewer.example"))
		b.awaitTold(key, created, id)
	}
}

func TestConfigNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	require.NoError(t, changes.DefaultConfig().Validate())
	for key, change := range map[string]func(*changes.Config){
		"endpoint":      func(c *changes.Config) { c.Endpoint = "nowhere" },
		"plaintext":     func(c *changes.Config) { c.Plaintext = true },
		"objects":       func(c *changes.Config) { c.Objects = []string{"Task"} },
		"refresh":       func(c *changes.Config) { c.Refresh = 0 },
		"flush_every":   func(c *changes.Config) { c.FlushEvery = 0 },
		"flush_records": func(c *changes.Config) { c.FlushRecords = 0 },
		"retry_min":     func(c *changes.Config) { c.RetryMin = 0 },
		"retry_max":     func(c *changes.Config) { c.RetryMax = 0 },
		"recheck":       func(c *changes.Config) { c.Recheck = 0 },
		"state_topic":   func(c *changes.Config) { c.Stage.StateTopic = "" },
	} {
		cfg := changes.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), key)
	}
	off := changes.DefaultConfig()
	off.Endpoint = ""
	require.NoError(t, off.Validate(), "without an endpoint identity works by age alone")
}

func TestStress(t *testing.T) {
	t.Parallel()
	b := setup(t, org("acme"))
	for range 30 {
		s, err := changes.New(b.cfg, changes.Deps{Broker: b.kafka, Partitioner: b.kafka, Settings: b.source, Orgs: b, UserAgent: ourClient})
		require.NoError(t, err)
		b.background(s.Run)()
		require.Error(t, s.Ready())
	}
}
