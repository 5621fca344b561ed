package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// TestADisconnectedOrgIsLeftAloneAndMissesNothing: services stop as soon as they hear of it, although the session that they
// hold is still good, and what came meanwhile is written once, after the org was connected again.
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

	gone, err := r.Connect.Disconnect(t.Context(), &configv1.DisconnectRequest{Workspace: "acme", Connection: rig.Connection})
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
