package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/simulator"
)

// replay feeds dead letters again as the command does; counting only unless really.
func (p *platform) replay(f replay.Filter, really bool, change ...func(*replay.Replayer)) (*replay.Report, error) {
	p.T.Helper()
	key, err := seal.LoadInstallation(p.Path("installation.key"))
	require.NoError(p.T, err)
	r := &replay.Replayer{Log: app.TopicLog{Client: p.Kafka}, Opener: key, Rate: 1e6}
	if really {
		r.Publisher = p.Kafka
	}
	for _, c := range change {
		c(r)
	}
	return r.Run(p.T.Context(), f)
}

// Promises 3 and 5: what an org refused for good is kept with the org's own words, and goes in once, and once only, when
// the org takes it.
func testReplay(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-7")
	const message = "To-dos need a campaign code."
	rule := simulator.ValidationRule{Object: "Task", When: "Subject LIKE '%closed%'", Message: message}
	viewers := []string{"mia@viewer.example", "ren@viewer.example", "yuki@viewer.example"}
	p.customer(rig.Customer{ID: "replay", Leads: viewers, Org: func(o *simulator.Org) { o.ValidationRules = []simulator.ValidationRule{rule} }})
	events := make([]*rig.Event, len(viewers))
	for i, viewer := range viewers {
		events[i] = rig.Closed("replay", viewer)
	}
	p.Send(events...)
	p.Quiet()

	// What an operator sees: the outcome, the dead letters, the way.
	for _, e := range events {
		require.Equal(t, []string{"writer FAILED(SF_VALIDATION)", "writer WRITTEN"}, p.Ended("replay", e.ID))
	}
	failed := p.Outcomes(&configv1.ListOutcomesRequest{Workspace: "replay", Status: streamv1.Status_STATUS_FAILED})
	require.Len(t, failed, len(events))
	for _, o := range failed {
		require.Contains(t, o.GetDetail(), message)
	}
	require.Empty(t, p.Records("replay", "Task"))
	filter := replay.Filter{Workspace: "replay", Connection: rig.Connection, Stage: "writer", Reason: "SF_VALIDATION"}
	found, err := p.replay(filter, false)
	require.NoError(t, err)
	require.Equal(t, []replay.Count{{Stage: "writer", Reason: "SF_VALIDATION", Count: len(events)}}, found.Counts)
	for _, sample := range found.First {
		require.True(t, slices.ContainsFunc(events, func(e *rig.Event) bool { return e.ID == sample.Event }), "the event to trace")
		require.Contains(t, sample.Detail, message)
		require.Positive(t, sample.Attempts)
	}

	// Without a filter nothing moves; with the rule still there it fails again and is kept again, and nothing is lost.
	_, err = p.replay(replay.Filter{}, true)
	require.ErrorIs(t, err, replay.ErrNoFilter)
	one := filter
	one.Event = events[0].ID
	report, err := p.replay(one, true)
	require.NoError(t, err)
	require.Equal(t, 1, report.Replayed)
	p.Quiet()
	require.Empty(t, p.Records("replay", "Task"))

	require.NoError(t, p.Salesforce.SetValidationRules("replay"))
	report, err = p.replay(filter, true)
	require.NoError(t, err)
	require.Equal(t, len(events)+1, report.Replayed, "the letter of the one that failed again is another one")
	p.Quiet()
	p.complete("replay", viewers)
	for _, e := range events {
		require.Equal(t, []string{"writer WRITTEN", "writer WRITTEN"}, p.Ended("replay", e.ID))
		j, text := p.follow("replay", e.ID)
		refused, written := strings.Index(text, "given up: SF_VALIDATION"), strings.Index(text, "WRITTEN Task")
		require.Positive(t, refused, text)
		require.Greater(t, written, refused, "both attempts, in their order")
		require.Contains(t, text, message)
		keys := map[string]bool{}
		for _, w := range j.Writes {
			if w.Write.GetObject() == "Task" {
				keys[w.Write.GetWriteKey()] = true
			}
		}
		require.Len(t, keys, 1, "the same key both times")
	}

	// Again: everything is there already.
	report, err = p.replay(filter, true)
	require.NoError(t, err)
	require.Equal(t, len(events)+1, report.Replayed)
	p.Quiet()
	p.complete("replay", viewers)
	left, err := p.replay(filter, false)
	require.NoError(t, err)
	require.Equal(t, report.Matched, left.Matched, "nothing was given up again")
}

// complete checks that every viewer has exactly one to-do and one row.
func (p *platform) complete(org string, viewers []string) {
	p.T.Helper()
	people := map[any]int{}
	for _, task := range p.Records(org, "Task") {
		people[task["WhoId"]]++
	}
	require.Len(p.T, people, len(viewers))
	for who, n := range people {
		require.Equal(p.T, 1, n, who)
	}
	require.Len(p.T, p.Records(org, "Engagement__c"), len(viewers))
}

// testReplayAnew is about an org that is right and a mapping that is not: a corrected one is used only if asked for.
func testReplayAnew(t *testing.T, p *platform) {
	t.Attr("requirement", "XC-7")
	viewers := []string{"mia@viewer.example", "ren@viewer.example"}
	p.customer(rig.Customer{
		ID: "remapped", Leads: viewers, Recipes: []string{"document-engagement"},
		Org: func(o *simulator.Org) {
			o.ValidationRules = []simulator.ValidationRule{{Object: "Task", When: "Priority != 'High'", Message: "Only urgent to-dos, please."}}
		},
	})
	task, err := recipe.Build("document-close-task", recipe.Params{
		Workspace: "remapped", ID: "document-close-task", Connection: rig.Connection, PackageInstalled: true,
	})
	require.NoError(t, err)
	task.EffectiveFrom = timestamppb.New(time.Now().Add(-time.Hour))
	task = p.Put(task)
	p.process.AwaitSettings()
	var events []*rig.Event
	for _, viewer := range viewers {
		events = append(events, rig.Closed("remapped", viewer))
	}
	p.Send(events...)
	p.Quiet()
	require.Empty(t, p.Records("remapped", "Task"))
	filter := replay.Filter{Workspace: "remapped", Stage: "writer", Reason: "SF_VALIDATION"}

	// The corrected version is for what happens from now on.
	task.Actions[0].Fields = append(task.Actions[0].Fields, &configv1.FieldMapping{
		Field: "Priority", Source: &configv1.FieldMapping_Expression{Expression: "'High'"},
	})
	task.EffectiveFrom = timestamppb.Now()
	p.Put(task)
	p.process.AwaitSettings()
	report, err := p.replay(filter, true)
	require.NoError(t, err)
	require.Equal(t, len(events), report.Replayed)
	p.Quiet()
	require.Empty(t, p.Records("remapped", "Task"), "as it was mapped it fails as it did")

	anew := func(r *replay.Replayer) { r.NewMapping = true }
	for range 2 {
		report, err = p.replay(filter, true, anew)
		require.NoError(t, err)
		require.Equal(t, 2*len(events), report.Replayed, "what failed again has letters of its own")
		require.Zero(t, report.Unreadable, report.Problems)
		p.Quiet()
		p.complete("remapped", viewers)
	}
	for _, task := range p.Records("remapped", "Task") {
		require.Equal(t, "High", task["Priority"])
	}
	_, text := p.follow("remapped", events[0].ID)
	require.Contains(t, text, "integration document-close-task version 1")
	require.Contains(t, text, "integration document-close-task version 2")

	_, err = p.replay(filter, true)
	require.NoError(t, err)
	p.Quiet()
	p.complete("remapped", viewers)
	for _, task := range p.Records("remapped", "Task") {
		require.Equal(t, "High", task["Priority"], "the older mapping does not undo it")
	}
}
