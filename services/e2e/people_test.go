package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/simulator"
)

// platform is what the tests of behaviours share: everything running, and a workspace of their own each.
type platform struct {
	*rig.Rig
	process *rig.Process
}

// customer adds a workspace and waits until the services know it.
func (p *platform) customer(c rig.Customer) {
	p.T.Helper()
	p.Add(c)
	p.process.AwaitSettings()
}

func TestPlatform(t *testing.T) {
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	process := r.Start("all", append([]string{"sync"}, rig.DataPlane...)...)
	for name, test := range map[string]func(*testing.T, *platform){
		"AToDoAppearsWhenTheViewerLeaves":            testToDo,
		"TheOrgsRefusalOfAToDoIsToldInItsOwnWords":   testToDoRefused,
		"PeopleAreFoundHoweverTheirAddressIsWritten": testAddresses,
		"TheRowLinksLeadAndContactAndTheToDoTheLead": testLinks,
		"AnonymousViewersLeaveNothingBehind":         testAnonymous,
		"TheTrackingSwitchDecidesAtViewTime":         testTracking,
		"EditsDoNotRewriteThePast":                   testEdits,
		"ATraceTellsTheWholeWayOfADeliveredEvent":    testTraceDelivered,
		"ATraceTellsWhyAnEventWentNowhere":           testTraceEnded,
		"ARepeatedEventHasNoFurtherEffect":           testRepeated,
		"TheOwnerHearsOfUnknownViewers":              testUnknownViewers,
		"ToDosAreMadeAsOftenAsWanted":                testRepeats,
		"TheFirstUsableAssigneeDecides":              testChain,
		"WhatAnOrgRefusedGoesInOnceByAReplay":        testReplay,
		"ACorrectedMappingIsUsedByAReplayIfAskedFor": testReplayAnew,
		"AReplayGoesOnAtTheStageThatIsChosen":        testReplayFromAStage,
		"EventsThatCameTooEarlyGoInByAReplay":        testReplayOfRefusedEvents,
		"PersonAccountsAreLinkedAsAPair":             testPersons,
		"ReadersJoinACampaignOnce":                   testCampaign,
		"WhatChangesInTheOrgCountsAtOnce":            testFresh,
		"PeopleAreMadeOfThoseNobodyKnows":            testCreatedPersons,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := r.For(t)
			test(t, &platform{Rig: mine, process: process.For(mine)})
		})
	}
}

func testToDo(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-20")
	p.customer(rig.Customer{ID: "to-do", Leads: []string{"mia@viewer.example"}})
	closed := &rig.Event{Workspace: "to-do", Session: "s", Type: "document.closed", Email: "mia@viewer.example", Content: "prices", Title: "Prices", Data: map[string]any{"page": 2}}
	p.Send(
		&rig.Event{Workspace: "to-do", Session: "s", Type: "document.opened", Email: "mia@viewer.example", Content: "prices", Title: "Prices"},
		&rig.Event{Workspace: "to-do", Session: "s", Type: "document.page_viewed", Email: "mia@viewer.example", Content: "prices", Title: "Prices", Data: map[string]any{"page": 2, "dwellSeconds": 65}},
		closed,
	)
	p.Eventually(func() bool { return len(p.Records("to-do", "Task")) == 1 }, "the to-do appears")
	p.Quiet()
	tasks := p.Records("to-do", "Task")
	require.Len(t, tasks, 1)
	task := tasks[0]
	require.Equal(t, p.Records("to-do", "Lead")[0]["Id"], task["WhoId"])
	require.Equal(t, rig.Seller, task["OwnerId"])
	require.Equal(t, "mia@viewer.example closed the document “Prices”", task["Subject"])
	require.Contains(t, task["Description"], "Left on page: 2")
	require.Contains(t, task["Description"], "Time spent: 1 min 5 s")
	require.Equal(t, closed.Time.In(losAngeles(t)).Format(time.DateOnly), task["ActivityDate"], "the day it is where the org is")
	require.Nil(t, task["WhatId"])
	require.Equal(t, "Not Started", task["Status"], "the org's own default")
	require.Equal(t, "Normal", task["Priority"], "the org's own default")
}

func testToDoRefused(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-20")
	p.customer(rig.Customer{ID: "refused", Leads: []string{"mia@viewer.example"}, Org: func(o *simulator.Org) {
		o.ValidationRules = []simulator.ValidationRule{{Object: "Task", When: "Subject LIKE '%closed%'", Message: "To-dos need a campaign code."}}
	}})
	closed := rig.Closed("refused", "mia@viewer.example")
	p.Send(closed)
	p.Quiet()
	require.Equal(t, []string{"writer FAILED(SF_VALIDATION)", "writer WRITTEN"}, p.Ended("refused", closed.ID), "the row is not held up")
	failed := p.Outcomes(&configv1.ListOutcomesRequest{Workspace: "refused", EventId: closed.ID, Status: streamv1.Status_STATUS_FAILED})
	require.Contains(t, failed[0].GetDetail(), "To-dos need a campaign code.")
	require.Equal(t, "FIELD_CUSTOM_VALIDATION_EXCEPTION", failed[0].GetSalesforceCode())
	require.Equal(t, "document-close-task", failed[0].GetIntegration())
}

func losAngeles(t *testing.T) *time.Location {
	t.Helper()
	where, err := time.LoadLocation("America/Los_Angeles")
	require.NoError(t, err)
	return where
}

func testAddresses(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-31")
	spelled := map[string]string{ // as the org has it: as the platform sends it
		"MIA@Viewer.example":            "  mia@viewer.EXAMPLE ",
		"ren@xn--bcher-kva.example":     "ren@bücher.example",
		"yuki+news@viewer.example":      "yuki+news@viewer.example",
		"o'neil@viewer.example":         "O'Neil@viewer.example",
		"percent%_under@viewer.example": "percent%_under@viewer.example",
	}
	strangers := map[string]string{ // alike, but somebody else, or no address at all
		"yuki@viewer.example":            "mapping SKIPPED(NO_TARGET)",
		"yu.ki+news@viewer.example":      "mapping SKIPPED(NO_TARGET)",
		"percentXXunder@viewer.example":  "mapping SKIPPED(NO_TARGET)",
		"' OR Email != '@viewer.example": "ingest REJECTED(BAD_EMAIL)",
		"mia@viewer.example\nmore":       "ingest REJECTED(BAD_EMAIL)",
	}
	var leads []string
	for address := range spelled {
		leads = append(leads, address)
	}
	p.customer(rig.Customer{ID: "addresses", Leads: leads, Recipes: []string{"document-close-task"}})
	ids := map[any]any{}
	for _, lead := range p.Records("addresses", "Lead") {
		ids[lead["Id"]] = lead["Email"]
	}
	for stored, sent := range spelled {
		e := rig.Closed("addresses", sent)
		e.Title = stored
		p.Send(e)
	}
	ended := map[string]*rig.Event{}
	for stranger := range strangers {
		ended[stranger] = rig.Closed("addresses", stranger)
		p.Send(ended[stranger])
	}
	p.Quiet()
	tasks := p.Records("addresses", "Task")
	require.Len(t, tasks, len(spelled))
	for _, task := range tasks {
		require.Contains(t, task["Description"], fmt.Sprintf("Document: %s\n", ids[task["WhoId"]]), "each to-do is at its own person")
	}
	for stranger, end := range strangers {
		require.Equal(t, []string{end}, p.Ended("addresses", ended[stranger].ID), stranger)
	}
}

func testLinks(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-32")
	t.Attr("requirement", "LOOM-33")
	const both = "both@viewer.example"
	p.customer(rig.Customer{ID: "links", Org: func(o *simulator.Org) {
		row := func(name, created, modified string, more map[string]any) map[string]any {
			fields := map[string]any{"LastName": name, "Email": both, "OwnerId": rig.Seller, "CreatedDate": created, "LastModifiedDate": modified}
			for k, v := range more {
				fields[k] = v
			}
			return fields
		}
		company := map[string]any{"Company": "C"}
		o.Records = []simulator.Rows{
			{Object: "Account", Rows: []map[string]any{{"ref": "account", "Name": "A"}}},
			{Object: "Lead", Rows: []map[string]any{
				row("Older", "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", company),
				row("Newer", "2026-01-01T00:00:00.000Z", "2026-01-03T00:00:00.000Z", company),
			}},
			{Object: "Contact", Rows: []map[string]any{
				row("Newest of all", "2026-02-01T00:00:00.000Z", "2026-02-02T00:00:00.000Z", map[string]any{"AccountId": "@account"}),
			}},
		}
	}})
	people := map[any]any{}
	for _, object := range []string{"Lead", "Contact"} {
		for _, row := range p.Records("links", object) {
			people[row["Id"]] = row["LastName"]
		}
	}
	p.Send(rig.Closed("links", both), rig.Watched("links", both))
	p.Quiet()
	tasks := p.Records("links", "Task")
	require.Len(t, tasks, 1)
	require.Equal(t, "Newer", people[tasks[0]["WhoId"]], "a Lead beats a Contact whatever the dates are")
	rows := p.Records("links", "Engagement__c")
	require.Len(t, rows, 2)
	for _, row := range rows {
		require.Equal(t, "Newer", people[row["Lead__c"]])
		require.Equal(t, "Newest of all", people[row["Contact__c"]])
		require.Equal(t, p.Records("links", "Account")[0]["Id"], row["Account__c"])
		require.Equal(t, both, row["Viewer_Email__c"])
	}
}

func testAnonymous(t *testing.T, p *platform) {
	t.Attr("requirement", "LOOM-26")
	p.customer(rig.Customer{ID: "anonymous", Leads: []string{"late@viewer.example"}})
	unknown := rig.Watched("anonymous", "")
	p.Send(unknown)
	p.Send(
		&rig.Event{Workspace: "anonymous", Session: "becomes-known", Type: "video.started", Content: "tour", Title: "Tour"},
		&rig.Event{Workspace: "anonymous", Session: "becomes-known", Type: "video.progress", Content: "tour", Title: "Tour", Data: map[string]any{"ranges": []any{map[string]any{"from": 0, "to": 20}}}},
		&rig.Event{Workspace: "anonymous", Session: "becomes-known", Type: "video.ended", Content: "tour", Title: "Tour", Email: "late@viewer.example"},
	)
	p.Quiet()
	require.Contains(t, p.Ended("anonymous", unknown.ID), "visits SKIPPED(IDENTITY_UNKNOWN)")
	rows := p.Records("anonymous", "Engagement__c")
	require.Len(t, rows, 1, "nothing is written of the one, all of the other")
	require.Equal(t, "late@viewer.example", rows[0]["Viewer_Email__c"])
	require.EqualValues(t, 20, rows[0]["Watch_Seconds__c"], "also what was watched before the address was known")
}

func testRepeated(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-21")
	p.customer(rig.Customer{ID: "repeated", Leads: []string{"mia@viewer.example"}})
	closed, watched := rig.Closed("repeated", "mia@viewer.example"), rig.Watched("repeated", "mia@viewer.example")
	for range 3 {
		p.Send(closed, watched)
		p.Quiet()
	}
	require.Len(t, p.Records("repeated", "Task"), 1)
	rows := p.Records("repeated", "Engagement__c")
	require.Len(t, rows, 2)
	for _, row := range rows {
		require.EqualValues(t, 1, row["Visit_Count__c"])
	}
	again := rig.Closed("repeated", "mia@viewer.example")
	p.Send(again)
	p.Quiet()
	require.Len(t, p.Records("repeated", "Task"), 2, "a later visit is another one")
}
