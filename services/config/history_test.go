package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func (b *testBundle) history(t *testing.T, token string) configv1.IntegrationHistoryServiceClient {
	t.Helper()
	return configv1.NewIntegrationHistoryServiceClient(b.dial(t, token))
}

// saved makes three versions of acme's rule, an hour apart.
func (b *testBundle) saved(t *testing.T) {
	t.Helper()
	b.workspace(t, "acme")
	for i, name := range []string{"One", "Two", "Three"} {
		next := rule("acme")
		next.Version, next.Name = int64(i), name
		if i > 0 {
			next.Actions[0].Fields[0].GetConstant().Value = &configv1.Constant_Text{Text: "こんにちは"}
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), reasonHeader, "because of "+name)
		_, err := b.client(t, acmeToken).PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: next})
		require.NoError(t, err)
		b.clock.Advance(time.Hour)
	}
}

func TestTheHistoryTellsWhoChangedWhatWhenAndWhy(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-24")
	b := setup(t)
	b.saved(t)
	history := b.history(t, acmeViewer)
	req := &configv1.ListIntegrationVersionsRequest{Workspace: "acme", Integration: "rule", PageSize: 2}
	resp, err := history.ListIntegrationVersions(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, resp.GetVersions(), 2)
	newest, second := resp.GetVersions()[0], resp.GetVersions()[1]
	require.Equal(t, int64(3), newest.GetVersion())
	require.Equal(t, "aoi", newest.GetSavedBy())
	require.Equal(t, "because of Three", newest.GetReason())
	require.Equal(t, epoch.Add(2*time.Hour), newest.GetSavedAt().AsTime())
	require.Equal(t, []string{"name"}, newest.GetChanged())
	require.Equal(t, []string{"name", "actions[0].fields[0].constant.text"}, second.GetChanged(), "compared beyond the page")
	req.BeforeVersion = resp.GetNextBeforeVersion()
	resp, err = history.ListIntegrationVersions(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, resp.GetVersions(), 1)
	require.Zero(t, resp.GetNextBeforeVersion())
	req.Integration, req.BeforeVersion = "none", 0
	_, err = history.ListIntegrationVersions(t.Context(), req)
	require.Equal(t, codes.NotFound, status.Code(err))

	diff, err := history.DiffIntegrationVersions(t.Context(), &configv1.DiffIntegrationVersionsRequest{
		Workspace: "acme", Integration: "rule", FromVersion: 1,
	})
	require.NoError(t, err)
	require.Equal(t, int64(3), diff.GetToVersion())
	var lines []string
	for _, c := range diff.GetChanges() {
		lines = append(lines, fmt.Sprintf("%s %s %s", c.GetPath(), c.GetBefore(), c.GetAfter()))
	}
	require.Equal(t, `name "One" "Three"`+"\n"+`actions[0].fields[0].constant.text "Hello" "こんにちは"`, strings.Join(lines, "\n"))
	for _, versions := range [][2]int64{{9, 0}, {1, 9}} {
		_, err = history.DiffIntegrationVersions(t.Context(), &configv1.DiffIntegrationVersionsRequest{
			Workspace: "acme", Integration: "rule", FromVersion: versions[0], ToVersion: versions[1],
		})
		require.Equal(t, codes.NotFound, status.Code(err))
	}
}

func TestAnEarlierVersionIsRestoredAsANewOne(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-24")
	b := setup(t)
	b.saved(t)
	ctx := t.Context()
	req := &configv1.RollBackIntegrationRequest{
		Workspace: "acme", Integration: "rule", ToVersion: 1, ExpectedVersion: 2, Reason: "the campaign is over",
	}
	history := b.history(t, acmeToken)
	_, err := history.RollBackIntegration(ctx, req)
	require.Equal(t, codes.Aborted, status.Code(err), "somebody saved meanwhile")
	_, err = b.history(t, acmeViewer).RollBackIntegration(ctx, req)
	require.Equal(t, codes.PermissionDenied, status.Code(err))

	req.ExpectedVersion = 3
	back, err := history.RollBackIntegration(ctx, req)
	require.NoError(t, err)
	require.Equal(t, int64(4), back.GetIntegration().GetVersion())
	require.Equal(t, "One", back.GetIntegration().GetName())
	require.Equal(t, epoch.Add(3*time.Hour), back.GetIntegration().GetEffectiveFrom().AsTime(), "what happened before keeps the version of its time")
	diff, err := history.DiffIntegrationVersions(ctx, &configv1.DiffIntegrationVersionsRequest{Workspace: "acme", Integration: "rule", FromVersion: 1})
	require.NoError(t, err)
	require.Empty(t, diff.GetChanges())
	versions, err := history.ListIntegrationVersions(ctx, &configv1.ListIntegrationVersionsRequest{Workspace: "acme", Integration: "rule"})
	require.NoError(t, err)
	require.Equal(t, "the campaign is over", versions.GetVersions()[0].GetReason())
	require.Len(t, versions.GetVersions(), 4)
	entry := b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Action: "RollBackIntegration", Kind: "integration"})
	require.Len(t, entry, 1)
	require.Equal(t, int64(4), entry[0].GetVersion())

	req.ExpectedVersion, req.ToVersion = 4, 9
	_, err = history.RollBackIntegration(ctx, req)
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestAVersionThatNoLongerValidatesIsRefused(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-24")
	b := setup(t)
	b.org.users = []string{"005000000000001AAA"}
	b.workspace(t, "acme")
	next := rule("acme")
	next.Actions[0].Assignment = &configv1.Assignment{
		Chain: []configv1.Assignee{configv1.Assignee_ASSIGNEE_FIXED_USER}, FixedUserId: "005000000000001AAA",
	}
	_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: next})
	require.NoError(t, err)
	plain := rule("acme")
	plain.Version = 1
	_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: plain})
	require.NoError(t, err)
	b.org.mu.Lock()
	b.org.users = nil // the user has left the company
	b.org.mu.Unlock()
	_, err = b.history(t, adminToken).RollBackIntegration(t.Context(), &configv1.RollBackIntegrationRequest{
		Workspace: "acme", Integration: "rule", ToVersion: 1, ExpectedVersion: 2,
	})
	require.Equal(t, []string{"integration.actions[0].assignment.fixed_user_id"}, fieldsOf(t, err))
	got, err := b.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: "rule"})
	require.NoError(t, err)
	require.Equal(t, int64(2), got.GetIntegration().GetVersion())
}

func TestEverySettingHasAHistoryAndGoesBack(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-24")
	b := setup(t)
	b.saved(t)
	ctx := t.Context()
	service := configv1.NewSettingHistoryServiceClient(b.dial(t, adminToken))
	ws, err := b.admin.GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: "acme"})
	require.NoError(t, err)
	ws.GetWorkspace().Language = "en"
	_, err = b.admin.PutWorkspace(ctx, &configv1.PutWorkspaceRequest{Workspace: ws.GetWorkspace()})
	require.NoError(t, err)
	c := b.connection("acme")
	c.Version, c.Name = 1, "Production"
	c.GetClientCredentials().ClientSecret = "another-secret"
	_, err = b.admin.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	for version, tracking := range []bool{true, false} {
		_, err = b.admin.PutContentSetting(ctx, &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "v", Tracking: tracking, Version: int64(version)},
		})
		require.NoError(t, err)
	}
	own := b.connection("acme") // whose secret stays the right one
	own.Id = "events"
	_, err = b.admin.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: own})
	require.NoError(t, err)
	defaults := configv1.NewContentDefaultsServiceClient(b.dial(t, adminToken))
	events := configv1.NewEventSetupServiceClient(b.dial(t, adminToken))
	for version := range int64(2) {
		_, err = defaults.PutContentDefaults(ctx, &configv1.PutContentDefaultsRequest{Defaults: &configv1.ContentDefaults{
			Workspace: "acme", Version: version, Groups: map[string]*configv1.GroupDefaults{"sales": {Rank: int32(version) + 1}},
		}})
		require.NoError(t, err)
		setup := allFlows()
		setup.Version, setup.Connection = version, "events"
		if version > 0 {
			setup.MagicLinkField = ""
		}
		_, err = events.PutEventSetup(ctx, &configv1.PutEventSetupRequest{Setup: setup})
		require.NoError(t, err)
		b.clock.Advance(time.Hour)
	}
	reports := configv1.NewReportServiceClient(b.dial(t, adminToken))
	for version, name := range []string{"Usage", "Use"} {
		report := usage()
		report.Version, report.Name = int64(version), name
		_, err = reports.PutReport(ctx, &configv1.PutReportRequest{Report: report})
		require.NoError(t, err)
		push := scores()
		push.Version, push.Name, push.Enabled = int64(version), name, false // no org is asked about what is off
		_, err = reports.PutReportPush(ctx, &configv1.PutReportPushRequest{Push: push})
		require.NoError(t, err)
	}
	kinds := map[configv1.SettingKind]struct {
		id   string
		from int64
		path []string
	}{
		configv1.SettingKind_SETTING_KIND_WORKSPACE:        {"acme", 2, []string{"language"}},
		configv1.SettingKind_SETTING_KIND_CONNECTION:       {"main", 2, []string{"name", "sealed"}},
		configv1.SettingKind_SETTING_KIND_CONTENT:          {"v", 2, []string{"tracking"}},
		configv1.SettingKind_SETTING_KIND_INTEGRATION:      {"rule", 3, []string{"name", "effective_from"}},
		configv1.SettingKind_SETTING_KIND_CONTENT_DEFAULTS: {"acme", 2, []string{`groups["sales"].rank`}},
		configv1.SettingKind_SETTING_KIND_EVENT_SETUP:      {"acme", 2, []string{"magic_link_field", "effective_from"}},
		configv1.SettingKind_SETTING_KIND_REPORT:           {"usage", 2, []string{"name"}},
		configv1.SettingKind_SETTING_KIND_REPORT_PUSH:      {"scores", 2, []string{"name"}},
	}
	for number := range configv1.SettingKind_name {
		require.True(t, number == 0 || kinds[configv1.SettingKind(number)].id != "", "say here what is expected of %s", configv1.SettingKind(number))
	}
	for kind, want := range kinds {
		list := &configv1.ListSettingVersionsRequest{Workspace: "acme", Kind: kind, Id: want.id}
		resp, err := service.ListSettingVersions(ctx, list)
		require.NoError(t, err, kind)
		newest := resp.GetVersions()[0]
		require.Equal(t, want.from, newest.GetVersion(), kind)
		var paths []string
		for _, change := range newest.GetChanges() {
			paths = append(paths, change.GetPath())
			require.NotContains(t, change.String(), "secret")
		}
		require.Equal(t, want.path, paths, kind)

		back := &configv1.RollBackSettingRequest{
			Workspace: "acme", Kind: kind, Id: want.id, ToVersion: 1, ExpectedVersion: want.from - 1, Reason: "a mistake",
		}
		_, err = service.RollBackSetting(ctx, back)
		require.Equal(t, codes.Aborted, status.Code(err), kind)
		back.ExpectedVersion = want.from
		restored, err := service.RollBackSetting(ctx, back)
		require.NoError(t, err, kind)
		require.Equal(t, want.from+1, restored.GetVersion(), kind)
		resp, err = service.ListSettingVersions(ctx, list)
		require.NoError(t, err)
		require.Equal(t, "a mistake", resp.GetVersions()[0].GetReason())
		back.ExpectedVersion, back.ToVersion = want.from+1, 9
		_, err = service.RollBackSetting(ctx, back)
		require.Equal(t, codes.NotFound, status.Code(err), kind)
		list.PageSize, list.BeforeVersion = 1, 2
		resp, err = service.ListSettingVersions(ctx, list)
		require.NoError(t, err)
		require.Equal(t, int64(1), resp.GetVersions()[0].GetVersion())
		require.Zero(t, resp.GetNextBeforeVersion())
	}
	_, err = service.ListSettingVersions(ctx, &configv1.ListSettingVersionsRequest{
		Workspace: "acme", Kind: configv1.SettingKind_SETTING_KIND_CONTENT, Id: "none",
	})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestAConnectionDoesNotGoBackToWhereItHasNoSecretsFor(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-24")
	b := setup(t)
	b.workspace(t, "acme")
	ctx := t.Context()
	c := b.connection("acme")
	c.Version = 1
	c.GetClientCredentials().ClientId = "another consumer"
	_, err := b.admin.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: c})
	require.NoError(t, err)
	_, err = configv1.NewSettingHistoryServiceClient(b.dial(t, adminToken)).RollBackSetting(ctx, &configv1.RollBackSettingRequest{
		Workspace: "acme", Kind: configv1.SettingKind_SETTING_KIND_CONNECTION, Id: "main", ToVersion: 1, ExpectedVersion: 2,
	})
	require.Equal(t, []string{"connection.client_credentials.client_secret"}, fieldsOf(t, err))
}
