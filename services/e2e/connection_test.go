package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// TestADisconnectedOrgIsLeftAloneAndMissesNothing: services stop as soon as they hear of it, although the session that they
// hold is still good, and what came meanwhile is written once, after the org was connected again, where the administrator
// leaves the integrations on.
func TestADisconnectedOrgIsLeftAloneAndMissesNothing(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Attr("requirement", "LOOM-15")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example", "noa@viewer.example"}})
	data.AwaitSettings()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)

	gone, err := r.Connect.Disconnect(t.Context(), &configv1.DisconnectRequest{Workspace: "acme", Connection: rig.Connection, KeepIntegrations: true})
	require.NoError(t, err)
	data.AwaitSettings()
	calls := r.Salesforce.Stats()["acme"].Calls
	waits := func() int { return len(r.Topic(topic.Parked)) + len(r.Topic(topic.Unresolved)) }
	before := waits()
	r.Send(rig.Closed("acme", "mia@viewer.example"), rig.Closed("acme", "noa@viewer.example"))
	r.Eventually(func() bool { return waits() >= before+2 }, "both wait")
	r.Eventually(func() bool {
		parked := r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", Status: streamv1.Status_STATUS_PARKED})
		return len(parked) > 0 && parked[0].GetReason() == streamv1.Reason_REASON_SF_AUTH_REVOKED
	}, "what became of it can be seen")
	require.Equal(t, calls, r.Salesforce.Stats()["acme"].Calls, "nobody calls the org")

	again := gone.GetConnection()
	again.GetClientCredentials().ClientSecret = r.OrgSecret
	_, err = r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: again})
	require.NoError(t, err)
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 3, "nothing is lost, nothing is doubled")
}

// TestWithItsConnectionIntegrationsGoOff: nothing is done in Salesforce for what happens after the administrator has disconnected,
// viewing goes on, and what is restored works for what happens from then on.
func TestWithItsConnectionIntegrationsGoOff(t *testing.T) {
	t.Attr("requirement", "IMM-14")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}})
	data.AwaitSettings()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)

	gone, err := r.Connect.Disconnect(t.Context(), &configv1.DisconnectRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	require.Equal(t, []string{"document-close-task", "document-engagement", "video-engagement"}, gone.GetSuspended())
	data.AwaitSettings()
	calls, viewed := r.Salesforce.Stats()["acme"].Calls, len(r.Topic(topic.Visits))
	meanwhile := rig.Closed("acme", "mia@viewer.example")
	r.Send(meanwhile)
	r.Quiet()
	require.Greater(t, len(r.Topic(topic.Visits)), viewed, "viewing goes on")
	r.Eventually(func() bool {
		ended := r.Ended("acme", meanwhile.ID)
		return len(ended) == 1 && ended[0] == "identity SKIPPED(NO_WORKFLOW)"
	}, "what became of it can be seen")
	require.Equal(t, calls, r.Salesforce.Stats()["acme"].Calls, "nobody calls the org")

	again := gone.GetConnection()
	again.GetClientCredentials().ClientSecret = r.OrgSecret
	_, err = r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: again})
	require.NoError(t, err)
	restored, err := r.Connections().RestoreIntegrations(t.Context(), &configv1.RestoreIntegrationsRequest{
		Workspace: "acme", Connection: rig.Connection, Integrations: []string{"document-close-task"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"document-close-task"}, restored.GetRestored())
	data.AwaitSettings()
	rows := len(r.Records("acme", "Engagement__c"))
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 2, "of what happened since; not of what happened meanwhile")
	require.Len(t, r.Records("acme", "Engagement__c"), rows, "what was not chosen stays off")
}

// TestSandboxAndProductionHaveNothingOfEachOther: a sandbox that was copied from production has the same record ids. Each
// integration writes to its own org, and trouble in one is none in the other.
func TestSandboxAndProductionHaveNothingOfEachOther(t *testing.T) {
	t.Attr("requirement", "WALK-4")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	data := r.Start("data")
	const lead = "00Q000000000777EAA"
	same := func(o *simulator.Org) {
		o.Records = []simulator.Rows{{Object: "Lead", Rows: []map[string]any{
			{"Id": lead, "LastName": "Mia", "Company": "Company", "Email": "mia@viewer.example", "OwnerId": rig.Seller},
		}}}
	}
	r.Add(rig.Customer{ID: "acme", Org: same, Recipes: []string{"document-close-task"}})
	sandbox := r.AddOrg(rig.Customer{ID: "acme-uat", Org: func(o *simulator.Org) { same(o); o.Sandbox = true }})
	second := sandbox.Connect("acme", "uat")
	i, err := recipe.Build("document-close-task", recipe.Params{Workspace: "acme", ID: "task-uat", Connection: "uat", PackageInstalled: true})
	require.NoError(t, err)
	r.Put(i)
	data.AwaitSettings()

	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	for _, org := range []string{"acme", "acme-uat"} {
		tasks := r.Records(org, "Task")
		require.Len(t, tasks, 1, org)
		require.Equal(t, lead, tasks[0]["WhoId"])
	}
	require.NotEqual(t, r.Records("acme", "Organization")[0]["Id"], r.Records("acme-uat", "Organization")[0]["Id"])

	second.Paused = true
	_, err = r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: second})
	require.NoError(t, err)
	data.AwaitSettings()
	event := rig.Closed("acme", "mia@viewer.example")
	r.Send(event)
	r.Eventually(func() bool { return len(r.Records("acme", "Task")) == 2 }, "production goes on")
	require.Len(t, r.Records("acme-uat", "Task"), 1)
	calls := r.Salesforce.Stats()["acme-uat"].Calls
	r.Eventually(func() bool { return slices.Contains(r.Ended("acme", event.ID), "writer WRITTEN") }, "one wrote")
	require.Equal(t, calls, r.Salesforce.Stats()["acme-uat"].Calls)
}

// TestAPlanThatEndsStopsWritingAndAnUpgradeGoesOn: what happens without a plan is skipped, the org is left alone, and nobody has
// to log in again.
func TestAPlanThatEndsStopsWritingAndAnUpgradeGoesOn(t *testing.T) {
	t.Attr("requirement", "LOOM-1")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{Configure: func(cfg *app.Config) { cfg.Config.Plans.EnforceFrom = time.Now().Add(-time.Hour) }})
	r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}, Recipes: []string{"video-engagement"}})
	data.AwaitSettings()
	set := func(name string) {
		_, err := r.Plans().SetPlan(t.Context(), &configv1.SetPlanRequest{
			Workspace: "acme", Plan: &configv1.Plan{Source: configv1.SourceKind_SOURCE_KIND_VIDEO, Name: name},
		})
		require.NoError(t, err)
		data.AwaitSettings()
	}
	before := rig.Watched("acme", "mia@viewer.example")
	r.Send(before)
	r.Eventually(func() bool {
		return slices.Equal(r.Ended("acme", before.ID), []string{"ingest SKIPPED(PLAN_NOT_ENTITLED)"})
	}, "no plan yet")
	set("enterprise")
	got, err := r.Config.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	got.GetConnection().Settings = &configv1.ConnectSettings{Source: "loom"}
	_, err = r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: got.GetConnection()})
	require.NoError(t, err)
	r.Send(rig.Watched("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Engagement__c"), 1)

	opened := &rig.Event{Workspace: "acme", Type: "video.started", Email: "mia@viewer.example", Content: "other", Session: "long"}
	r.Send(opened)
	r.Quiet()
	rows := len(r.Records("acme", "Engagement__c"))
	set("business")
	calls := r.Salesforce.Stats()["acme"].Calls
	after := rig.Watched("acme", "mia@viewer.example")
	r.Send(after)
	r.Eventually(func() bool {
		return slices.Equal(r.Ended("acme", after.ID), []string{"ingest SKIPPED(PLAN_NOT_ENTITLED)"})
	}, "told, and kept nowhere")
	for _, rec := range r.Topic(topic.Activities) {
		require.NotContains(t, string(rec.Value), after.ID)
	}
	late := &rig.Event{Workspace: "acme", Type: "video.ended", Email: "mia@viewer.example", Content: "other", Session: "long", Time: opened.Time.Add(time.Millisecond)}
	r.Send(late)
	r.Eventually(func() bool {
		parked := r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", Status: streamv1.Status_STATUS_PARKED})
		return len(parked) > 0 && parked[0].GetReason() == streamv1.Reason_REASON_PLAN_NOT_ENTITLED
	}, "what happened before, and comes to be written now, waits")
	require.Equal(t, calls, r.Salesforce.Stats()["acme"].Calls, "nothing is written")
	require.Len(t, r.Records("acme", "Engagement__c"), rows)

	set("enterprise")
	r.Quiet()
	require.Empty(t, r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", Status: streamv1.Status_STATUS_PARKED}), "no new login")
	r.Send(rig.Watched("acme", "mia@viewer.example"))
	r.Quiet()
	require.Greater(t, r.Salesforce.Stats()["acme"].Calls, calls)
}

// TestARevokedOrgIsNoticedAndGoesOnAfterReconnecting: the org's administrator revokes the app in the middle of the work.
func TestARevokedOrgIsNoticedAndGoesOnAfterReconnecting(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Attr("requirement", "LOOM-15")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}})
	data.AwaitSettings()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)

	_, err := r.Salesforce.AddFaults(
		simulator.Fault{ID: "session", Org: "acme", Action: "expire_session", Nth: []int{1}},
		simulator.Fault{ID: "grant", Org: "acme", Route: "token", Action: "status", Status: 400, Body: `{"error":"invalid_grant","error_description":"expired access/refresh token"}`},
	)
	require.NoError(t, err)
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	state := func() *configv1.ConnectionStatus {
		got, err := r.Config.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: rig.Connection})
		require.NoError(t, err)
		return got.GetConnection().GetStatus()
	}
	r.Eventually(func() bool { return state().GetState() == configv1.ConnectionState_CONNECTION_STATE_REVOKED }, "the next call notices")
	require.Equal(t, "invalid_grant", state().GetCause())
	since := state().GetSince().AsTime()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Eventually(func() bool { return len(r.Topic(topic.Parked))+len(r.Topic(topic.Unresolved)) >= 2 }, "what comes meanwhile waits")
	require.Equal(t, since, state().GetSince().AsTime(), "told once")

	require.Equal(t, 1, r.Salesforce.RemoveFaults("grant"))
	got, err := r.Config.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	again := got.GetConnection()
	again.GetClientCredentials().ClientSecret = r.OrgSecret
	again.Name = "Acme, connected again"
	_, err = r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: again})
	require.NoError(t, err)
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 3, "nothing is lost, nothing is doubled")
}
