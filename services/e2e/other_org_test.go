package e2e_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/replay"
	"github.com/throughline-dev/throughline/services/simulator"
)

// TestAConnectionIsGivenToAnotherOrg: while writes wait for one org, an administrator points the connection to another. Nothing
// reaches that one before it is accepted; then what waited is given up, each with its reason, and everything begins anew there.
func TestAConnectionIsGivenToAnotherOrg(t *testing.T) {
	t.Attr("requirement", "LOOM-14")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	p := &platform{Rig: r, process: r.Start("all")}
	const viewer = "mia@viewer.example"
	r.Add(rig.Customer{ID: "acme", Leads: []string{viewer}})
	r.Add(rig.Customer{ID: "uat", Leads: []string{viewer}})
	p.process.AwaitSettings()
	before := rig.Closed("acme", viewer)
	r.Send(before)
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)

	// The org refuses calls that write; what comes waits.
	_, err := r.Salesforce.AddFaults(simulator.Fault{ID: "away", Org: "acme", Route: "collections*", Action: "status", Status: 503, Code: "SERVER_UNAVAILABLE"})
	require.NoError(t, err)
	waits := rig.Closed("acme", viewer)
	r.Send(waits)
	r.Eventually(func() bool { return slices.Contains(r.Ended("acme", waits.ID), "writer PARKED(SF_UNAVAILABLE)") }, "it is parked")

	got, err := r.Config.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	c := got.GetConnection()
	c.LoginUrl = r.Salesforce.BaseURL("uat")
	c.GetClientCredentials().ClientId, c.GetClientCredentials().ClientSecret = "app-uat", r.OrgSecret
	_, err = r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	p.process.AwaitSettings()
	check := &configv1.CheckConnectionRequest{Workspace: "acme", Connection: rig.Connection}
	_, err = r.Config.CheckConnection(t.Context(), check)
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "it is asked first")
	require.Empty(t, r.Records("uat", "Task"))
	require.NotContains(t, r.Ended("acme", waits.ID), "writer FAILED(SF_RECORD_GONE)", "and nothing is given up before")

	check.AcceptOtherOrg = true
	_, err = r.Config.CheckConnection(t.Context(), check)
	require.NoError(t, err)
	r.Eventually(func() bool { return slices.Contains(r.Ended("acme", waits.ID), "writer FAILED(SF_RECORD_GONE)") }, "what waited is given up")
	r.Quiet()
	require.Empty(t, r.Records("uat", "Task"), "none of it reached the other org")

	after := rig.Closed("acme", viewer)
	r.Send(after)
	r.Quiet()
	require.Len(t, r.Records("uat", "Task"), 1)
	require.Len(t, r.Records("uat", "Engagement__c"), 1, "the totals go on, in a row of the new org's")
	require.Equal(t, r.Records("uat", "Lead")[0]["Id"], r.Records("uat", "Task")[0]["WhoId"], "its own lead")

	// What was given up may be had in the new org, once.
	given := replay.Filter{Workspace: "acme", Stage: "writer", Reason: "SF_RECORD_GONE"}
	for range 2 {
		report, err := p.replay(given, true, func(r *replay.Replayer) { r.FromStage = replay.AtIdentity })
		require.NoError(t, err)
		require.Positive(t, report.Replayed)
		require.Zero(t, report.Unreadable, report.Problems)
		r.Quiet()
		require.Len(t, r.Records("uat", "Task"), 2)
		require.Len(t, r.Records("uat", "Engagement__c"), 1)
	}
	require.Len(t, r.Records("acme", "Task"), 1, "the first org is left alone")
}
