package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// TestAnOrgThatSalesforceWorksOnMissesNothing: it is read-only, down, moved to another instance, and behind a proxy that sends
// calls elsewhere. Writes wait, each is made once, and nobody is told of a change of state.
func TestAnOrgThatSalesforceWorksOnMissesNothing(t *testing.T) {
	t.Attr("requirement", "XC-43")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}})
	data.AwaitSettings()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	written := 1
	require.Len(t, r.Records("acme", "Task"), written)
	changes := func() int {
		resp, err := r.Connect.ListConnectionHistory(t.Context(), &configv1.ListConnectionHistoryRequest{Workspace: "acme", Connection: rig.Connection})
		require.NoError(t, err)
		return len(resp.GetChanges())
	}
	before := changes()
	waits := func() int { return len(r.Topic(topic.Parked)) + len(r.Topic(topic.Unresolved)) }
	// through lets a visit end while the faults are in force, and requires that its to-do waits, and is made when they are over.
	through := func(what string, faults ...simulator.Fault) {
		t.Helper()
		_, err := r.Salesforce.AddFaults(faults...)
		require.NoError(t, err, what)
		waiting := waits()
		event := rig.Closed("acme", "mia@viewer.example")
		r.Send(event)
		r.Eventually(func() bool { return waits() > waiting }, what+": the write waits")
		require.Len(t, r.Records("acme", "Task"), written, what)
		require.Equal(t, len(faults), r.Salesforce.RemoveFaults(""), what)
		r.Quiet()
		written++
		require.Len(t, r.Records("acme", "Task"), written, "%s: nothing is lost, nothing is doubled", what)
		require.Contains(t, r.Ended("acme", event.ID), "writer "+strings.TrimPrefix(streamv1.Status_STATUS_WRITTEN.String(), "STATUS_"), what)
	}

	const readOnly = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"
	through("read-only",
		simulator.Fault{Org: "acme", Method: http.MethodPost, Route: "collections*", Action: "status", Status: 400, Code: readOnly},
		simulator.Fault{Org: "acme", Method: http.MethodPatch, Route: "collections*", Action: "status", Status: 400, Code: readOnly},
		simulator.Fault{Org: "acme", Method: http.MethodPost, Route: "composite*", Action: "status", Status: 400, Code: readOnly},
		simulator.Fault{Org: "acme", Method: http.MethodPost, Route: "sobject*", Action: "status", Status: 400, Code: readOnly},
	)
	through("maintenance", simulator.Fault{Org: "acme", Action: "maintenance"})
	foreign := simulator.Fault{Org: "acme", Action: "status", Status: 307, Location: "https://evil.example/steal"}
	queries, collections := foreign, foreign
	queries.Route, collections.Route = "query", "collections*"
	through("a foreign host", queries, collections)

	// Moved for good: the old address sends calls away, and the token endpoint tells the new one.
	port := r.Salesforce.Addr()[strings.LastIndex(r.Salesforce.Addr(), ":"):]
	require.NoError(t, r.Salesforce.Move("acme", "localhost"+port))
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	written++
	require.Len(t, r.Records("acme", "Task"), written, "moved: nothing is lost, nothing is doubled")
	access, err := r.Service().GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	require.Equal(t, "http://localhost"+port+"/orgs/acme", access.GetInstanceUrl(), "the new address is adopted")

	require.Equal(t, before, changes(), "no alert storm")
}
