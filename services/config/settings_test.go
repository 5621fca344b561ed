package config_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestWorkspaces(t *testing.T) {
	t.Parallel()

	t.Run("AreSavedWithVersions", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Parallel()
		b := setup(t)
		ws := &configv1.Workspace{Id: "acme", Name: "Acme", Language: "ja", TimeZone: "Asia/Tokyo"}
		first, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
		require.NoError(t, err)
		require.Equal(t, int64(1), first.GetWorkspace().GetVersion())

		_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
		require.Equal(t, codes.Aborted, status.Code(err), "exists already")
		edited := proto.CloneOf(first.GetWorkspace())
		edited.Name = "Acme KK"
		second, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: edited})
		require.NoError(t, err)
		_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: edited})
		require.Equal(t, codes.Aborted, status.Code(err), "stale")

		got, err := b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
		require.NoError(t, err)
		require.True(t, proto.Equal(second.GetWorkspace(), got.GetWorkspace()))
		_, err = b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "globex"})
		require.Equal(t, codes.NotFound, status.Code(err))
	})

	t.Run("AreRefusedWithEveryFieldThatIsWrong", func(t *testing.T) {
		t.Attr("requirement", "XC-22")
		t.Attr("requirement", "XC-36") // an unknown zone
		t.Parallel()
		b := setup(t)
		_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{
			Id: "Acme Inc", Visits: &configv1.VisitSettings{Silence: durationpb.New(time.Second)},
		}})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ElementsMatch(t, []string{"workspace.id", "workspace.name", "workspace.visits.silence"}, fieldsOf(t, err))

		nan, many := -1.0, 101.0
		_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{
			Id: "acme", Name: "Acme", TimeZone: "Mars/Olympus", HistoryUrl: "javascript:alert(1)", Lateness: durationpb.New(0),
			Visits:      &configv1.VisitSettings{ViewSeconds: &nan, ViewPercent: &many},
			MatchPolicy: &configv1.MatchPolicy{OrderBy: []string{"Name DESC", "Id) FROM User"}, Objects: []string{"Lead", "Lead"}},
		}})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ElementsMatch(t, []string{
			"workspace.time_zone", "workspace.history_url", "workspace.lateness", "workspace.visits.view_seconds",
			"workspace.visits.view_percent", "workspace.match_policy.order_by", "workspace.match_policy.objects",
		}, fieldsOf(t, err))
		for _, unknown := range []string{"Owner.Name", "Name DESC NULLS LAST", "Name NULLS FIRST"} {
			_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{
				Id: "acme", Name: "Acme", MatchPolicy: &configv1.MatchPolicy{OrderBy: []string{unknown}},
			}})
			require.Equal(t, []string{"workspace.match_policy.order_by"}, fieldsOf(t, err), "identity cannot rank by %s", unknown)
		}
		_, err = b.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "a\x00"})
		require.Equal(t, []string{"workspace"}, fieldsOf(t, err))
	})

	t.Run("AreListedAsFarAsTheCallerMaySee", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		b.workspace(t, "globex")
		for token, want := range map[string]string{viewerToken: "acme globex", acmeViewer: "acme"} {
			resp, err := b.client(t, token).ListWorkspaces(t.Context(), &configv1.ListWorkspacesRequest{})
			require.NoError(t, err)
			var ids []string
			for _, ws := range resp.GetWorkspaces() {
				ids = append(ids, ws.GetId())
			}
			require.Equal(t, want, strings.Join(ids, " "))
		}
	})
}

func TestConnections(t *testing.T) {
	t.Parallel()

	t.Run("NeverShowTheirSecrets", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		saved := b.workspace(t, "acme")
		got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		listed, err := b.admin.ListConnections(t.Context(), &configv1.ListConnectionsRequest{Workspace: "acme"})
		require.NoError(t, err)
		stream, err := b.service.Watch(t.Context(), &configv1.WatchRequest{})
		require.NoError(t, err)
		watched, err := stream.Recv()
		require.NoError(t, err)
		for _, m := range []proto.Message{saved, got, listed, watched} {
			encoded, err := proto.Marshal(m)
			require.NoError(t, err)
			require.Contains(t, string(encoded), "consumer")
			require.NotContains(t, string(encoded), "consumer-secret")
		}
		b.stop()
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(b.cfg.Database.SQLitePath + suffix)
			if suffix == "" {
				require.NoError(t, err)
			}
			require.NotContains(t, string(data), "consumer-secret", "stored only sealed")
		}
	})

	t.Run("KeepSecretsLeftEmpty", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		edited := proto.CloneOf(b.workspace(t, "acme"))
		edited.Name = "Main org"
		_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: edited})
		require.NoError(t, err)
		_, err = b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err, "the stored secret still works")
	})

	t.Run("RefuseBudgetSharesOfMoreThanEverything", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-10")
		b := setup(t)
		edited := proto.CloneOf(b.workspace(t, "acme"))
		for _, shares := range []*configv1.BudgetShares{
			{InteractivePercent: 40, RealTimePercent: 40, BulkPercent: 21},
			{InteractivePercent: 4, RealTimePercent: 40, BulkPercent: 20},
		} {
			edited.Budget = shares
			_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: edited})
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.ErrorContains(t, err, "budget")
		}
		edited.Budget = &configv1.BudgetShares{InteractivePercent: 20, RealTimePercent: 60, BulkPercent: 20}
		_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: edited})
		require.NoError(t, err)
	})

	t.Run("AskForSecretsAgainWhereTheyWouldGoElsewhere", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		saved := b.workspace(t, "acme")
		for _, change := range []func(*configv1.Connection){
			func(c *configv1.Connection) { c.LoginUrl = "https://evil.my.salesforce.com" },
			func(c *configv1.Connection) { c.GetClientCredentials().ClientId = "other" },
		} {
			edited := proto.CloneOf(saved)
			change(edited)
			_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: edited})
			require.Equal(t, []string{"connection.client_credentials.client_secret"}, fieldsOf(t, err))
		}
	})

	t.Run("MakeNoVersionOfWhatIsSoAlready", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		saved := b.workspace(t, "acme")
		again := b.connection("acme")
		again.Version = saved.GetVersion()
		resp, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: again})
		require.NoError(t, err)
		require.Equal(t, saved.GetVersion(), resp.GetConnection().GetVersion())
		again.GetClientCredentials().ClientSecret = "another"
		resp, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: again})
		require.NoError(t, err)
		require.Equal(t, saved.GetVersion()+1, resp.GetConnection().GetVersion())
	})

	t.Run("AreRefusedWithEveryFieldThatIsWrong", func(t *testing.T) {
		t.Parallel()
		b := prepare(t)
		b.cfg.Embedded = false
		b.start(t)
		_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"}})
		require.NoError(t, err)
		for address, ok := range map[string]bool{
			"https://login.salesforce.com": true, "https://acme.my.salesforce.com/": true,
			"https://acme--dev.sandbox.my.salesforce.com": true,
			"http://login.salesforce.com":                 false, "https://salesforce.com.evil.example": false,
			"https://127.0.0.1:8080": false, "http://localhost": false, "https://u:p@login.salesforce.com": false,
			"https://login.salesforce.com/path": false, "https://login.salesforce.com?x=y": false, "nonsense": false,
		} {
			c := b.connection("acme")
			c.Id, c.LoginUrl = fmt.Sprintf("c%d", len(address)), address
			_, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
			if ok {
				require.NoError(t, err, address)
			} else {
				require.Equal(t, []string{"connection.login_url"}, fieldsOf(t, err), address)
			}
		}
		_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: &configv1.Connection{
			Workspace: "acme", Id: "x", LoginUrl: "https://login.salesforce.com", ApiVersion: "latest",
		}})
		require.ElementsMatch(t, []string{"connection.api_version", "connection.grant"}, fieldsOf(t, err))
		lost := b.connection("globex")
		lost.LoginUrl = "https://login.salesforce.com"
		_, err = b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: lost})
		require.Equal(t, codes.NotFound, status.Code(err))
	})

	t.Run("LearnWhichOrgTheyLeadTo", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		checked, err := b.admin.CheckConnection(t.Context(), &configv1.CheckConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		require.Equal(t, "00D000000000001EAA", checked.GetOrg().GetId())
		require.True(t, checked.GetOrg().GetSandbox())
		got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		require.Equal(t, "Asia/Tokyo", got.GetConnection().GetOrg().GetTimeZone())
		require.Equal(t, int64(2), got.GetConnection().GetVersion())
		_, err = b.admin.CheckConnection(t.Context(), &configv1.CheckConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		again, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		require.Equal(t, int64(2), again.GetConnection().GetVersion(), "nothing new, no new version")
	})

	t.Run("StayWithTheOrgTheyWereMadeFor", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-18")
		t.Attr("requirement", "LOOM-14")
		b := setup(t)
		b.workspace(t, "acme")
		check := &configv1.CheckConnectionRequest{Workspace: "acme", Connection: "main"}
		_, err := b.admin.CheckConnection(t.Context(), check)
		require.NoError(t, err)
		first, err := b.service.GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)

		b.org.refresh("00D000000000002EAA")
		refused := sha256.Sum256([]byte(first.GetAccessToken()))
		again := &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: "main", RefusedTokenHash: refused[:]}
		_, err = b.service.GetAccessToken(t.Context(), again)
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.ErrorContains(t, err, "00D000000000002EAA")
		_, err = b.admin.CheckConnection(t.Context(), check)
		require.Equal(t, codes.FailedPrecondition, status.Code(err), "not even a look at the other org")

		check.AcceptOtherOrg = true
		checked, err := b.admin.CheckConnection(t.Context(), check)
		require.NoError(t, err)
		require.Equal(t, "00D000000000002EAA", checked.GetOrg().GetId())
		token, err := b.service.GetAccessToken(t.Context(), again)
		require.NoError(t, err)
		require.Equal(t, "00D000000000002EAA", token.GetOrgId(), "services see of which org it is")

		// Which org was first is nobody's to enter, and another address is no way around the question.
		got, err := b.admin.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "acme", Connection: "main"})
		require.NoError(t, err)
		require.Equal(t, "00D000000000001EAA", got.GetConnection().GetFirstOrg())
		moved := proto.CloneOf(got.GetConnection())
		moved.FirstOrg, moved.LoginUrl = "00D000000000009EAA", strings.Replace(moved.GetLoginUrl(), "127.0.0.1", "localhost", 1)
		moved.GetClientCredentials().ClientSecret = "secret"
		put, err := b.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: moved})
		require.NoError(t, err)
		require.Equal(t, "00D000000000001EAA", put.GetConnection().GetFirstOrg())
		require.Equal(t, "00D000000000002EAA", put.GetConnection().GetOrg().GetId())
		require.Empty(t, put.GetConnection().GetOrg().GetName(), "nothing else is known of who answers there")
	})

	t.Run("TellWhyTheyGetNoToken", func(t *testing.T) {
		t.Attr("requirement", "XC-16")
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		b.org.refuseWith("invalid_grant")
		_, err := b.admin.CheckConnection(t.Context(), &configv1.CheckConnectionRequest{Workspace: "acme", Connection: "main"})
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.NotEmpty(t, status.Convert(err).Details())
		require.NotContains(t, err.Error(), b.org.server.URL)
	})
}

func TestIntegrations(t *testing.T) {
	t.Parallel()

	t.Run("KeepTheVersionOfEveryTime", func(t *testing.T) {
		t.Attr("requirement", "IMM-17")
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		first, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: rule("acme")})
		require.NoError(t, err)
		require.Equal(t, epoch, first.GetIntegration().GetEffectiveFrom().AsTime())

		b.clock.Advance(time.Hour)
		edited := proto.CloneOf(first.GetIntegration())
		edited.Name, edited.EffectiveFrom = "Edited", timestamppb.New(epoch.Add(-time.Hour))
		second, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: edited})
		require.NoError(t, err)
		require.Equal(t, epoch.Add(time.Hour), second.GetIntegration().GetEffectiveFrom().AsTime(), "an edit cannot reach back")
		_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: edited})
		require.Equal(t, codes.Aborted, status.Code(err))

		old, err := b.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: "rule", Version: 1})
		require.NoError(t, err)
		require.True(t, proto.Equal(first.GetIntegration(), old.GetIntegration()))
		_, err = b.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: "rule", Version: 9})
		require.Equal(t, codes.NotFound, status.Code(err))
		listed, err := b.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
		require.NoError(t, err)
		require.Len(t, listed.GetIntegrations(), 1)
		require.Equal(t, int64(2), listed.GetIntegrations()[0].GetVersion())
	})

	t.Run("MayBeginInThePast", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		i := rule("acme")
		i.EffectiveFrom = timestamppb.New(epoch.Add(-24 * time.Hour))
		saved, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
		require.NoError(t, err)
		require.Equal(t, epoch.Add(-24*time.Hour), saved.GetIntegration().GetEffectiveFrom().AsTime())
	})

	t.Run("AreRefusedWithEveryFieldThatIsWrong", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-36") // an unknown zone
		b := setup(t)
		b.workspace(t, "acme")
		i := rule("acme")
		i.Connection, i.Condition = "nowhere", "visit.("
		i.Actions = append(i.GetActions(), proto.CloneOf(i.GetActions()[0]))
		i.Actions[0].Assignment = &configv1.Assignment{TimeZone: "Nowhere/Land"}
		_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		fields := fieldsOf(t, err)
		for _, want := range []string{
			"integration.connection", "integration.condition", "integration.actions[1].name",
			"integration.actions[0].assignment.time_zone",
		} {
			require.Contains(t, fields, want)
		}
		_, err = b.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: "rule"})
		require.Equal(t, codes.NotFound, status.Code(err), "nothing was saved")

		i = rule("acme")
		i.Trigger, i.Actions = 0, nil
		_, err = b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
		require.ElementsMatch(t, []string{"integration.trigger", "integration.actions"}, fieldsOf(t, err))
	})
}

func TestContentSettings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	for _, id := range []string{"b", "a"} {
		_, err := b.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: id, Tracking: true},
		})
		require.NoError(t, err)
	}
	_, err := b.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "a", Version: 1},
	})
	require.NoError(t, err)
	listed, err := b.admin.ListContentSettings(t.Context(), &configv1.ListContentSettingsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, listed.GetSettings(), 2)
	require.Equal(t, "a", listed.GetSettings()[0].GetContentId())
	require.False(t, listed.GetSettings()[0].GetTracking())
}

func TestAPIKeysAreShownOnceAndStoredAsHashes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workspace(t, "acme")
	create := &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{Workspace: "acme", Id: "web-1", Name: "Web"}}
	resp, err := b.admin.CreateApiKey(t.Context(), create)
	require.NoError(t, err)
	parts := strings.SplitN(resp.GetSecret(), "_", 4)
	require.Equal(t, []string{"tl", "acme", "web-1"}, parts[:3])
	require.NotContains(t, parts[3], "_")
	_, err = b.admin.CreateApiKey(t.Context(), create)
	require.Equal(t, codes.AlreadyExists, status.Code(err))

	stream, err := b.service.Watch(t.Context(), &configv1.WatchRequest{})
	require.NoError(t, err)
	watched, err := stream.Recv()
	require.NoError(t, err)
	hash := sha256.Sum256([]byte(parts[3]))
	require.Equal(t, hash[:], watched.GetSnapshot().GetWorkspaces()[0].GetApiKeys()[0].GetSecretHash())

	create.Key.Id, create.Key.ExpiresAt = "web-2", timestamppb.New(epoch)
	_, err = b.admin.CreateApiKey(t.Context(), create)
	require.Equal(t, []string{"key.expires_at"}, fieldsOf(t, err))
}
