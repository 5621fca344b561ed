package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/simulator"
)

const (
	colleague = "005000000000201AAA"
	departed  = "005000000000202AAA"
)

// colleagues adds a user in Kiribati, where the day begins first, and one who left.
func colleagues(o *simulator.Org) {
	o.Users = append(o.Users,
		simulator.User{ID: colleague, Username: "colleague@" + o.Key, Email: "colleague@acme.example", TimeZone: "Pacific/Kiritimati"},
		simulator.User{ID: departed, Username: "departed@" + o.Key, Email: "departed@acme.example", Inactive: true},
	)
}

// toDo adds a rule that makes to-dos, in force for a week, and waits until it is.
func (p *platform) toDo(workspace string, change func(*recipe.Params)) {
	p.T.Helper()
	p.Put(p.toDoRule(workspace, change))
	p.process.AwaitSettings()
}

func (p *platform) toDoRule(workspace string, change func(*recipe.Params)) *configv1.Integration {
	p.T.Helper()
	params := recipe.Params{Workspace: workspace, ID: "to-do", Connection: rig.Connection, PackageInstalled: true, Language: "en"}
	change(&params)
	i, err := recipe.Build("document-close-task", params)
	require.NoError(p.T, err)
	i.EffectiveFrom = timestamppb.New(time.Now().Add(-7 * 24 * time.Hour))
	return i
}

// read is a document read and closed; nobody says who it was when email is empty.
func read(workspace, session, email string) []*rig.Event {
	e := rig.Event{Workspace: workspace, Session: session, Email: email, Content: "prices", Title: "Prices", Owner: "colleague@acme.example"}
	viewed, closed := e, e
	viewed.Type, viewed.Data = "document.page_viewed", map[string]any{"page": 2, "dwellSeconds": 65}
	closed.Type, closed.Data = "document.closed", map[string]any{"page": 2}
	return []*rig.Event{&viewed, &closed}
}

func testUnknownViewers(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-36")
	for workspace, packaged := range map[string]bool{"unknown-package": true, "unknown-plain": false} {
		p.customer(rig.Customer{
			ID: workspace, Org: colleagues, Leads: []string{"late@viewer.example"}, Recipes: []string{"document-engagement"}, Since: time.Now().Add(-time.Hour),
		})
		off := read(workspace, "before", "")
		p.Send(off...)
		p.Quiet()
		require.Contains(t, p.Ended(workspace, off[0].ID), "visits SKIPPED(IDENTITY_UNKNOWN)", "off by default")

		rule := p.toDoRule(workspace, func(r *recipe.Params) {
			r.UnknownViewers, r.PackageInstalled = true, packaged
			r.Assignees = []configv1.Assignee{configv1.Assignee_ASSIGNEE_CONTENT_OWNER}
		})
		rule.EffectiveFrom = timestamppb.Now()
		p.Put(rule)
		p.process.AwaitSettings()
		events := read(workspace, "unknown", "")
		p.Send(events...)
		p.Quiet()
		require.Equal(t, []string{"writer WRITTEN"}, p.Ended(workspace, events[1].ID), "told once")
		journey, _ := p.follow(workspace, events[1].ID)
		require.Len(t, journey.Resolved, 1, "a trace finds its way")
		require.Len(t, journey.Writes, 1)
		tasks := p.Records(workspace, "Task")
		require.Len(t, tasks, 1)
		require.Equal(t, colleague, tasks[0]["OwnerId"])
		require.Nil(t, tasks[0]["WhoId"])
		require.Equal(t, "Somebody closed the document “Prices”", tasks[0]["Subject"])
		require.Contains(t, tasks[0]["Description"], "Viewer: unknown")
		require.Empty(t, p.Records(workspace, "Engagement__c"), "a row is about somebody")

		p.Send(read(workspace, "unknown", "late@viewer.example")...)
		p.Quiet()
		require.Len(t, p.Records(workspace, "Task"), 1, "who becomes known later has the to-do already")
		rows := p.Records(workspace, "Engagement__c")
		require.Len(t, rows, 1, "and the visit counts for them")
		require.Equal(t, "late@viewer.example", rows[0]["Viewer_Email__c"])
		require.EqualValues(t, 130, rows[0]["Dwell_Seconds__c"])
	}
}

func testRepeats(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-21")
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)
	visits := []time.Time{noon.Add(-24 * time.Hour), noon.Add(-23 * time.Hour), noon, noon.Add(2 * time.Hour)}
	wants := map[string]int{}
	for repeat, want := range map[recipe.Repeat]int{recipe.EveryVisit: 4, recipe.OncePerDay: 2, recipe.OnceEver: 1} {
		for kind, packaged := range map[string]bool{"package": true, "plain": false} {
			workspace := strings.ReplaceAll(string(repeat), "_", "-") + "-" + kind
			wants[workspace] = want
			p.Add(rig.Customer{ID: workspace, Org: colleagues, Leads: []string{"mia@viewer.example"}, Recipes: []string{"video-engagement"}})
			p.Put(p.toDoRule(workspace, func(r *recipe.Params) { r.Repeat, r.PackageInstalled, r.TimeZone = repeat, packaged, "UTC" }))
		}
	}
	p.process.AwaitSettings()
	ended := map[string]map[string]int{}
	for n, at := range visits {
		closed := map[string]string{}
		for workspace := range wants {
			events := read(workspace, fmt.Sprintf("session-%d", n), "mia@viewer.example")
			events[0].Time, events[1].Time = at, at
			p.Send(events...)
			closed[workspace] = events[1].ID
		}
		p.Quiet()
		for workspace, event := range closed {
			if ended[workspace] == nil {
				ended[workspace] = map[string]int{}
			}
			for _, end := range p.Ended(workspace, event) {
				ended[workspace][end]++
			}
		}
	}
	for workspace, want := range wants {
		require.Len(t, p.Records(workspace, "Task"), want, workspace)
		require.Equal(t, want, ended[workspace]["writer WRITTEN"], workspace)
		require.Equal(t, len(visits)-want, ended[workspace]["writer SKIPPED(DUPLICATE_EVENT)"], workspace)
	}
}

func testChain(t *testing.T, p *platform) {
	t.Attr("requirement", "IMM-29")
	p.customer(rig.Customer{ID: "chain", Org: colleagues, Leads: []string{"mia@viewer.example"}, Recipes: []string{"video-engagement"}})
	chain := func(user string) func(*recipe.Params) {
		return func(r *recipe.Params) {
			r.Assignees = []configv1.Assignee{
				configv1.Assignee_ASSIGNEE_CONTENT_OWNER, configv1.Assignee_ASSIGNEE_FIXED_USER, configv1.Assignee_ASSIGNEE_RECORD_OWNER,
			}
			r.FixedUser, r.ZoneRule = user, recipe.AssigneeZone
		}
	}
	_, err := p.Config.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: p.toDoRule("chain", chain(departed))})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "a chain that names a user who left is not saved")

	p.toDo("chain", chain(colleague))
	events := read("chain", "s", "mia@viewer.example")
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)
	for _, e := range events {
		e.Owner, e.Time = "departed@acme.example", noon
	}
	p.Send(events...)
	p.Quiet()
	tasks := p.Records("chain", "Task")
	require.Len(t, tasks, 1)
	require.Equal(t, colleague, tasks[0]["OwnerId"])
	require.Equal(t, noon.AddDate(0, 0, 1).Format(time.DateOnly), tasks[0]["ActivityDate"], "by the assignee's own zone it is tomorrow")
	_, text := p.follow("chain", events[1].ID)
	require.Contains(t, text, "assignee: fixed user, because document owner: OWNER_INACTIVE", "the trace shows which link decided")
	require.Contains(t, text, "user "+colleague+", whom an integration names, is active")
}
