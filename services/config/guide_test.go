package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/simulator"
)

func (b *testBundle) setups(t *testing.T, token string) configv1.SetupServiceClient {
	t.Helper()
	return configv1.NewSetupServiceClient(b.dial(t, token))
}

func TestTheGuideHasEveryFieldOfBothKindsOfApp(t *testing.T) {
	t.Attr("requirement", "IMM-12")
	t.Parallel()
	b := connectable(t)
	resp, err := b.setups(t, acmeViewer).GetAppGuide(t.Context(), &configv1.GetAppGuideRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, configv1.AppKind_APP_KIND_EXTERNAL_CLIENT_APP, resp.GetGuides()[0].GetKind(), "the kind that can be made comes first")
	require.Equal(t, configv1.AppKind_APP_KIND_CONNECTED_APP, resp.GetGuides()[1].GetKind())
	both := func(text *configv1.GuideText) {
		require.NotEmpty(t, text.GetEn())
		require.NotEmpty(t, text.GetJa())
		require.NotEqual(t, text.GetEn(), text.GetJa())
	}
	for _, g := range resp.GetGuides() {
		both(g.GetAbout())
		both(g.GetWhere())
		values := map[string]string{}
		for _, f := range g.GetFields() {
			both(f.GetLabel())
			if f.GetNote() != nil {
				both(f.GetNote())
			}
			values[f.GetName()] = strings.Join(f.GetValues(), " ")
		}
		require.Equal(t, map[string]string{
			"name": "Throughline", "api_name": "Throughline", "contact_email": "", "distribution": "Local", "enable_oauth": "true",
			"callback_url": callbackURL, "scopes": "api refresh_token", "pkce": "true", "secret_web": "true", "secret_refresh": "true",
			"rotation": "true",
		}, values)
		require.Len(t, g.GetAfter(), 6)
		for _, step := range g.GetAfter() {
			both(step)
		}
		require.Contains(t, g.GetAfter()[0].GetEn(), "Reveal key and secret")
	}
	require.Contains(t, resp.GetGuides()[1].GetAbout().GetEn(), "Spring '26")
	_, err = b.setups(t, acmeToken).GetAppGuide(t.Context(), &configv1.GetAppGuideRequest{Workspace: "globex"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}

func TestTheSetupGuideTellsWhatIsLeftToDo(t *testing.T) {
	t.Attr("requirement", "LOOM-7")
	t.Attr("requirement", "LOOM-12")
	t.Attr("requirement", "IMM-4")
	t.Parallel()
	from := epoch.Add(45 * 24 * time.Hour)
	b := connectable(t, func(b *testBundle) {
		b.cfg.Connect.OutgoingAddresses = []string{"203.0.113.0/28"}
		b.cfg.Connect.OutgoingChanges = []config.OutgoingChange{{Network: "198.51.100.0/28", From: from.Format(time.RFC3339)}}
		b.cfg.Connect.Diagnosis.Package.ProductionURL = "https://login.salesforce.com/packaging/installPackage.apexp?p0=04tA"
	})
	sim := newSimulator(t, b, withLimits(func(o *simulator.Org) { o.Package, o.PackageVersion = true, "1.1" }))
	guide := func() *configv1.GetSetupGuideResponse {
		resp, err := b.setups(t, acmeViewer).GetSetupGuide(t.Context(), &configv1.GetSetupGuideRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		return resp
	}
	started := b.startConnect(t, options(sim.login("acme"), needing("")))
	require.Equal(t, "198.51.100.0/28", started.GetFlow().GetOutgoingChanges()[0].GetNetwork(), "who connects an org is told as well")
	g := guide()
	require.Nil(t, g.GetAskedAt())
	require.Len(t, g.GetPolicies(), 3, "the three policies are stated before anything was observed")
	for _, p := range g.GetPolicies() {
		require.Equal(t, unknown, p.GetStatus())
		require.NotEmpty(t, p.GetEn().GetFinding())
	}

	b.browser(t).connect(started.GetLink())
	g = guide()
	require.Equal(t, ready, g.GetStatus().GetState())
	require.Equal(t, epoch, g.GetAskedAt().AsTime())
	require.Equal(t, "1.1", g.GetPackage().GetInstalledVersion())
	require.Equal(t, "1.0", g.GetPackage().GetRequiredVersion())
	require.Equal(t, "https://login.salesforce.com/packaging/installPackage.apexp?p0=04tA", g.GetPackage().GetInstallUrl())
	require.Equal(t, "calls_to_action", g.GetPackage().GetUnavailable()[0].GetFeature())
	require.Equal(t, []string{"203.0.113.0/28"}, g.GetOutgoing().GetNetworks())
	require.Equal(t, from, g.GetOutgoing().GetAnnounced()[0].GetFrom().AsTime())
	require.Contains(t, g.GetOutgoing().GetWhere().GetEn(), "Login IP Ranges")
	require.Contains(t, g.GetOutgoing().GetWhere().GetJa(), "ログイン IP アドレスの制限")
	for _, f := range g.GetFindings() {
		require.NotEqual(t, configv1.ProbeStatus_PROBE_STATUS_OK, f.GetStatus())
	}
	b.clock.Advance(45 * 24 * time.Hour)
	require.Equal(t, []string{"203.0.113.0/28", "198.51.100.0/28"}, guide().GetOutgoing().GetNetworks())
}

func TestAChangeOfAddressesThatIsTooNearIsRefused(t *testing.T) {
	t.Attr("requirement", "IMM-4")
	t.Parallel()
	b := prepare(t)
	b.cfg.Connect.OutgoingAddresses = []string{"203.0.113.0/28"}
	b.cfg.Connect.OutgoingChanges = []config.OutgoingChange{{Network: "198.51.100.0/28", From: epoch.Add(29 * 24 * time.Hour).Format(time.RFC3339)}}
	_, err := config.New(b.cfg, b.deps)
	require.ErrorContains(t, err, "connect.outgoing_changes[0].from")
	b.cfg.Connect.OutgoingChanges[0].From = "soon"
	require.ErrorContains(t, b.cfg.Validate(), "connect.outgoing_changes[0].from")
}

func TestFieldsToMakeAreListedToBeHandedOn(t *testing.T) {
	t.Attr("requirement", "WALK-7")
	t.Parallel()
	b := setupCatalogue(t)
	long := from("Story__c", "content.title")
	long.MaxLength = 4000
	i := scoring(text("Note__c", "x"), from("Mood__c", "content.title"), from("Watched_Seconds__c", "engagement.watched_seconds"),
		from("Last_Seen__c", "visit.last_activity_at"), long)
	i.Actions[0].ExternalIdField = "Match_Key__c"
	ask := func() *configv1.ListMissingFieldsResponse {
		resp, err := b.setups(t, acmeToken).ListMissingFields(t.Context(), &configv1.ListMissingFieldsRequest{
			Workspace: "acme", Subject: &configv1.ListMissingFieldsRequest_Integration{Integration: i},
		})
		require.NoError(t, err)
		return resp
	}
	resp := ask()
	list := map[string]*configv1.MissingField{}
	for _, f := range resp.GetFields() {
		require.Equal(t, "Score__c", f.GetObject())
		require.NotEmpty(t, f.GetUsedBy())
		list[f.GetField()] = f
	}
	require.Len(t, list, 5)
	require.Equal(t, "Watched Seconds", list["Watched_Seconds__c"].GetLabel())
	require.Equal(t, "Number", list["Watched_Seconds__c"].GetType())
	require.Equal(t, "Text", list["Mood__c"].GetType())
	require.EqualValues(t, 255, list["Mood__c"].GetLength())
	require.Equal(t, "Long Text Area", list["Story__c"].GetType())
	require.Equal(t, "Date/Time", list["Last_Seen__c"].GetType())
	require.True(t, list["Match_Key__c"].GetExternalId())
	for _, line := range []string{"Score__c\tMood__c\tMood\tText(255)", "Score__c\tMatch_Key__c\tMatch Key\tText(24) (External ID) (Unique)", "not visible to"} {
		require.Contains(t, resp.GetText().GetEn(), line)
	}
	require.Contains(t, resp.GetText().GetJa(), "Score__c\tMood__c\tMood\tText(255)")

	// Somebody made a field; pressing "refresh fields" is asking again.
	b.live.change(t, stageField+"          - {name: Mood__c, type: string, length: 255}\n", "")
	resp = ask()
	require.Len(t, resp.GetFields(), 4)
	require.True(t, resp.GetRefreshed()[0].GetChanged())
	require.Empty(t, b.broken(t), "and nothing was saved")

	b.live.down.Store(true)
	_, err := b.setups(t, acmeToken).ListMissingFields(t.Context(), &configv1.ListMissingFieldsRequest{
		Workspace: "acme", Subject: &configv1.ListMissingFieldsRequest_Integration{Integration: i},
	})
	require.Equal(t, codes.Unavailable, status.Code(err), "an org that is away has not said that nothing is missing")
}

func TestAHiddenFieldIsSaidToBeNotVisibleToItsUser(t *testing.T) {
	t.Attr("requirement", "WALK-7")
	t.Parallel()
	b := connectable(t)
	sim := newSimulator(t, b, profile(simulator.Profile{HiddenFields: []string{"Task.Description", "Task.Throughline_Key__c"}}))
	b.connected(t, sim)
	todo := filled(t, "document-close-task")
	todo.Actions[0].Fields = append(todo.Actions[0].Fields, text("Throughline_Key__c", "x"))
	resp, err := b.setups(t, acmeToken).ListMissingFields(t.Context(), &configv1.ListMissingFieldsRequest{
		Workspace: "acme", Subject: &configv1.ListMissingFieldsRequest_Integration{Integration: todo},
	})
	require.NoError(t, err)
	require.Equal(t, "hana@acme.example", resp.GetUser())
	require.Contains(t, resp.GetText().GetEn(), "not visible to user hana@acme.example")
	require.Contains(t, resp.GetText().GetJa(), "ユーザー hana@acme.example")
	require.Contains(t, resp.GetText().GetEn(), "Description")
	require.Contains(t, resp.GetText().GetEn(), "the package brings it", "what the package brings is not made by hand")
	_, err = b.setups(t, acmeViewer).ListMissingFields(t.Context(), &configv1.ListMissingFieldsRequest{
		Workspace: "acme", Subject: &configv1.ListMissingFieldsRequest_Saved{Saved: "none"},
	})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}
