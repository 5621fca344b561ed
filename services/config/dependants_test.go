package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

func (b *testBundle) accounts(t *testing.T, token string) configv1.ConnectionListServiceClient {
	t.Helper()
	return configv1.NewConnectionListServiceClient(b.dial(t, token))
}

func named(id string, enabled bool) func(*configv1.Integration) {
	return func(i *configv1.Integration) { i.Id, i.Enabled = id, enabled }
}

// three saves three integrations of the connection main, one of which is off.
func (b *testBundle) three(t *testing.T) {
	t.Helper()
	b.admitRule(t, named("a-first", true))
	b.admitRule(t, named("b-second", true))
	b.admitRule(t, named("c-off", false))
}

// enabled are the ids of the integrations that are switched on now.
func (b *testBundle) enabled(t *testing.T) []string {
	t.Helper()
	resp, err := b.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
	require.NoError(t, err)
	out := []string{}
	for _, i := range resp.GetIntegrations() {
		if i.GetEnabled() {
			out = append(out, i.GetId())
		}
	}
	return out
}

// offered are the ids of those that can be restored.
func (b *testBundle) offered(t *testing.T) []string {
	t.Helper()
	resp, err := b.accounts(t, acmeViewer).ListDependants(t.Context(), &configv1.ListDependantsRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.Len(t, resp.GetDependants(), 3, "all stay stored")
	out := []string{}
	for _, d := range resp.GetDependants() {
		if d.GetSuspended() {
			out = append(out, d.GetIntegration())
		}
	}
	return out
}

// reconnect enters the secret again.
func (b *testBundle) reconnect(t *testing.T) {
	t.Helper()
	got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	c := got.GetConnection()
	c.GetClientCredentials().ClientSecret = "consumer-secret"
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	require.NoError(t, b.token(t))
}

func TestIntegrationsGoOffWithTheirConnectionAndComeBackAsTheAdministratorChooses(t *testing.T) {
	t.Attr("requirement", "IMM-14")
	t.Parallel()
	for name, c := range map[string]struct {
		restore *configv1.RestoreIntegrationsRequest
		want    []string
	}{
		"all":  {&configv1.RestoreIntegrationsRequest{All: true}, []string{"a-first", "b-second"}},
		"some": {&configv1.RestoreIntegrationsRequest{Integrations: []string{"b-second"}}, []string{"b-second"}},
		"none": {&configv1.RestoreIntegrationsRequest{}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.workspace(t, "acme")
			b.three(t)
			b.clock.Advance(time.Hour)
			before := b.clock.Now()

			resp := b.disconnect(t, false)
			require.Equal(t, []string{"a-first", "b-second"}, resp.GetSuspended())
			require.Empty(t, b.enabled(t))
			require.Equal(t, []string{"a-first", "b-second"}, b.offered(t))
			require.Equal(t, []string{"a-first", "b-second"}, b.disconnect(t, false).GetSuspended(), "twice is as once")
			view, err := settings.NewView(receive(t, b.watch(t, 0)), b.deps.Installation)
			require.NoError(t, err)
			ws, _ := view.Workspace("acme")
			require.Len(t, ws.IntegrationsAt(before.Add(-time.Minute)), 2, "what happened before keeps its rules")
			require.Empty(t, ws.IntegrationsAt(before), "what happens from then on has none")

			b.clock.Advance(time.Hour)
			b.reconnect(t)
			require.Empty(t, b.enabled(t), "nothing comes back by itself")
			req := c.restore
			req.Workspace, req.Connection = "acme", "main"
			restored, err := b.accounts(t, acmeToken).RestoreIntegrations(t.Context(), req)
			require.NoError(t, err)
			require.ElementsMatch(t, c.want, restored.GetRestored())
			require.Equal(t, c.want, b.enabled(t))
			require.Empty(t, b.offered(t), "the choice is made")
			view, err = settings.NewView(receive(t, b.watch(t, 0)), b.deps.Installation)
			require.NoError(t, err)
			ws, _ = view.Workspace("acme")
			require.Empty(t, ws.IntegrationsAt(b.clock.Now().Add(-time.Second)), "what happened meanwhile stays without")
			require.Len(t, ws.IntegrationsAt(b.clock.Now()), len(c.want))
		})
	}
}

func TestWhatIsSuspendedIsNobodysToSay(t *testing.T) {
	t.Attr("requirement", "IMM-14")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.three(t)
	b.disconnect(t, false)
	_, err := b.accounts(t, acmeViewer).RestoreIntegrations(t.Context(), &configv1.RestoreIntegrationsRequest{Workspace: "acme", Connection: "main", All: true})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = b.accounts(t, acmeToken).RestoreIntegrations(t.Context(), &configv1.RestoreIntegrationsRequest{
		Workspace: "acme", Connection: "main", Integrations: []string{"a-first", "c-off"},
	})
	require.Equal(t, []string{"integrations[1]"}, fieldsOf(t, err), "it was off before")
	require.Empty(t, b.enabled(t), "and nothing was done")

	get := func(id string) *configv1.Integration {
		resp, err := b.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: id})
		require.NoError(t, err)
		return resp.GetIntegration()
	}
	edited, off := get("a-first"), get("c-off")
	edited.Name, edited.Suspended, off.Suspended = "Renamed", false, true
	for _, i := range []*configv1.Integration{edited, off} {
		_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"a-first", "b-second"}, b.offered(t), "editing changes nothing about it")
	on := get("b-second")
	on.Enabled = true
	saved, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: on})
	require.NoError(t, err)
	require.False(t, saved.GetIntegration().GetSuspended(), "switched on by hand")
	require.Equal(t, []string{"a-first"}, b.offered(t))
}

func TestAnIntegrationThatNoLongerFitsIsNotRestored(t *testing.T) {
	t.Attr("requirement", "IMM-14")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.admitRule(t, named("a-first", true))
	b.org.users = []string{activeUser}
	b.admitRule(t, named("b-second", true), func(i *configv1.Integration) {
		i.Actions[0].Assignment = &configv1.Assignment{
			Chain: []configv1.Assignee{configv1.Assignee_ASSIGNEE_FIXED_USER}, FixedUserId: activeUser,
		}
	})
	b.disconnect(t, false)
	b.org.mu.Lock()
	b.org.users = nil
	b.org.mu.Unlock()
	b.reconnect(t)
	resp, err := b.accounts(t, acmeToken).RestoreIntegrations(t.Context(), &configv1.RestoreIntegrationsRequest{Workspace: "acme", Connection: "main", All: true})
	require.NoError(t, err)
	require.Equal(t, []string{"a-first"}, resp.GetRestored())
	require.Len(t, resp.GetNotRestored(), 1)
	require.Equal(t, "b-second", resp.GetNotRestored()[0].GetIntegration())
	require.Contains(t, resp.GetNotRestored()[0].GetProblem(), "no active user")
	require.Equal(t, []string{"a-first"}, b.enabled(t))
}

func TestIntegrationsMayStayOnWhenTheirConnectionEnds(t *testing.T) {
	t.Attr("requirement", "LOOM-15")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.three(t)
	resp, err := b.connects(t, acmeToken).Disconnect(t.Context(), &configv1.DisconnectRequest{Workspace: "acme", Connection: "main", KeepIntegrations: true})
	require.NoError(t, err)
	require.Empty(t, resp.GetSuspended())
	require.Equal(t, []string{"a-first", "b-second"}, b.enabled(t))
}

func TestDeletingAConnectionNamesWhatDependsOnIt(t *testing.T) {
	t.Attr("requirement", "WALK-5")
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	b.three(t)
	require.NoError(t, b.token(t))
	remove := func(token string, confirmed bool) (*configv1.DeleteConnectionResponse, error) {
		return b.accounts(t, token).DeleteConnection(t.Context(), &configv1.DeleteConnectionRequest{Workspace: "acme", Connection: "main", Confirmed: confirmed})
	}
	_, err := remove(acmeViewer, true)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = remove(acmeToken, false)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	reason, about := reasonOf(t, err)
	require.Equal(t, "HAS_DEPENDANTS", reason)
	require.Equal(t, "a-first,b-second,c-off", about["integrations"])
	require.NoError(t, b.token(t), "nothing was done")
	require.Equal(t, []string{"a-first", "b-second"}, b.enabled(t))

	resp, err := remove(acmeToken, true)
	require.NoError(t, err)
	require.Len(t, resp.GetDependants(), 3)
	require.Empty(t, b.enabled(t), "they are paused, and stay")
	_, err = b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Equal(t, codes.NotFound, status.Code(b.token(t)))
	require.Empty(t, receive(t, b.watch(t, 0)).GetWorkspaces()[0].GetConnections(), "services forget it, too")
	_, err = remove(acmeToken, true)
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: b.connection("acme")})
	require.Equal(t, codes.AlreadyExists, status.Code(err), "what is on its way for the old org must not reach another")

	// Without dependants there is nothing to confirm.
	spare := b.connection("acme")
	spare.Id = "spare"
	_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: spare})
	require.NoError(t, err)
	_, err = b.accounts(t, acmeToken).DeleteConnection(t.Context(), &configv1.DeleteConnectionRequest{Workspace: "acme", Connection: "spare"})
	require.NoError(t, err)
}
