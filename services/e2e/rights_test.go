package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/simulator"
)

// TestARightThatIsLostParksWhatNeedsItAndIsToldOnce: an administrator takes the right to create to-dos away while everything
// runs, and gives it back later.
func TestARightThatIsLostParksWhatNeedsItAndIsToldOnce(t *testing.T) {
	t.Attr("requirement", "IMM-2")
	rig.Parallel(t)
	r := rig.New(t, rig.Options{Configure: func(c *app.Config) {
		c.Config.Connect.Diagnosis.Tick = 50 * time.Millisecond
		c.Config.RunLog.Stage.BatchWait = 50 * time.Millisecond
	}})
	r.StartConfig()
	data := r.Start("data")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}, Org: func(o *simulator.Org) {
		o.Profiles = []simulator.Profile{{Name: "Integration", Objects: map[string][]string{"Task": {"read"}}}}
		o.PermissionSets = []simulator.PermissionSet{{Name: "Todos", Objects: map[string][]string{"Task": {"read", "create", "edit"}}}}
		o.Users[0].Profile, o.Users[0].PermissionSets = "Integration", []string{"Todos"}
		o.Apps = append(o.Apps, simulator.App{ClientID: "admin", ClientSecret: "hush", RunAs: "seller@acme.example"})
	}})
	data.AwaitSettings()
	r.Send(rig.Closed("acme", "mia@viewer.example"))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), 1)
	status := func() *configv1.ConnectionStatus {
		got, err := r.Config.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: rig.Connection})
		require.NoError(t, err)
		return got.GetConnection().GetStatus()
	}
	r.Eventually(func() bool { return status().GetState() == configv1.ConnectionState_CONNECTION_STATE_READY }, "the connection is ready")

	admin := administrator(t, r)
	assignment := admin.assignment("Todos")
	admin.call(http.MethodDelete, "/sobjects/PermissionSetAssignment/"+assignment["Id"], "")
	first := rig.Closed("acme", "mia@viewer.example")
	r.Send(first)
	r.Eventually(func() bool { return status().GetState() == configv1.ConnectionState_CONNECTION_STATE_DEGRADED }, "the first refused write has it looked at")
	require.Equal(t, streamv1.Reason_REASON_SF_NO_PERMISSION, status().GetReason())
	require.Equal(t, "tasks", status().GetCause())
	since := status().GetSince().AsTime()
	data.AwaitSettings()
	var waiting []*rig.Event
	for range 3 {
		event := rig.Closed("acme", "mia@viewer.example")
		waiting = append(waiting, event)
		r.Send(event)
	}
	r.Eventually(func() bool {
		parked := r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", Status: streamv1.Status_STATUS_PARKED})
		n := 0
		for _, o := range parked {
			if o.GetObject() == "Task" && o.GetReason() == streamv1.Reason_REASON_SF_NO_PERMISSION {
				n++
			}
		}
		return n >= 3
	}, "the to-dos wait")
	require.Equal(t, since, status().GetSince().AsTime(), "told once")
	r.Eventually(func() bool { return len(r.Records("acme", "Engagement__c")) == 1 }, "what needs no such right goes on")

	body, err := json.Marshal(map[string]string{"AssigneeId": assignment["AssigneeId"], "PermissionSetId": assignment["PermissionSetId"]})
	require.NoError(t, err)
	admin.call(http.MethodPost, "/sobjects/PermissionSetAssignment", string(body))
	_, err = r.Connect.DiagnoseConnection(t.Context(), &configv1.DiagnoseConnectionRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	r.Quiet()
	for _, event := range waiting {
		require.Contains(t, r.Ended("acme", event.ID), "writer WRITTEN", "what waited is written")
	}
	require.Len(t, r.Records("acme", "Task"), 4, "once each; the first refused one is a dead letter, to be replayed")
	require.Contains(t, r.Ended("acme", first.ID), "writer FAILED(SF_NO_PERMISSION)")
}

// orgAdmin changes an org as its administrator does.
type orgAdmin struct {
	t           *testing.T
	base, token string
}

func administrator(t *testing.T, r *rig.Rig) *orgAdmin {
	t.Helper()
	a := &orgAdmin{t: t, base: r.Salesforce.BaseURL("acme")}
	res, err := http.PostForm(a.base+"/services/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"admin"}, "client_secret": {"hush"},
	})
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	a.token = answer.AccessToken
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return a
}

func (a *orgAdmin) call(method, path, body string) map[string]any {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.base+"/services/data/v66.0"+path, strings.NewReader(body))
	require.NoError(a.t, err)
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(a.t, err)
	defer func() { _ = res.Body.Close() }()
	require.Less(a.t, res.StatusCode, 300, "%s %s", method, path)
	out := map[string]any{}
	_ = json.NewDecoder(res.Body).Decode(&out) // a deletion answers nothing
	return out
}

// assignment is the one of a permission set.
func (a *orgAdmin) assignment(set string) map[string]string {
	a.t.Helper()
	answer := a.call(http.MethodGet, "/query?q="+url.QueryEscape(
		"SELECT Id, AssigneeId, PermissionSetId FROM PermissionSetAssignment WHERE PermissionSet.Name = '"+set+"'"), "")
	row := answer["records"].([]any)[0].(map[string]any)
	out := map[string]string{}
	for _, field := range []string{"Id", "AssigneeId", "PermissionSetId"} {
		out[field] = row[field].(string)
	}
	return out
}
