package config_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// defaultsBundle is a workspace with two groups: sales is tracked and asks for an address, legal is not tracked.
type defaultsBundle struct {
	*testBundle

	groups configv1.ContentDefaultsServiceClient
}

func setupDefaults(t *testing.T) *defaultsBundle {
	t.Helper()
	b := setup(t)
	b.workspace(t, "acme")
	d := &defaultsBundle{b, configv1.NewContentDefaultsServiceClient(b.dial(t, acmeToken))}
	d.put(t, func(*configv1.ContentDefaults) {})
	return d
}

func salesAndLegal() map[string]*configv1.GroupDefaults {
	return map[string]*configv1.GroupDefaults{
		"sales": {Tracking: proto.Bool(true), RequireAddress: proto.Bool(true), Rank: 2},
		"legal": {Tracking: proto.Bool(false), Rank: 1},
	}
}

// put saves the defaults, changed.
func (d *defaultsBundle) put(t *testing.T, change func(*configv1.ContentDefaults)) {
	t.Helper()
	got, err := d.groups.GetContentDefaults(t.Context(), &configv1.GetContentDefaultsRequest{Workspace: "acme"})
	require.NoError(t, err)
	next := got.GetDefaults()
	if next.GetVersion() == 0 {
		next.Groups = salesAndLegal()
	}
	change(next)
	saved, err := d.groups.PutContentDefaults(t.Context(), &configv1.PutContentDefaultsRequest{Defaults: next})
	require.NoError(t, err)
	require.Equal(t, next.GetVersion()+1, saved.GetDefaults().GetVersion())
}

func (d *defaultsBundle) record(t *testing.T, content string, choice *configv1.ContentChoice, groups ...string) *configv1.RecordContentResponse {
	t.Helper()
	resp, err := d.groups.RecordContent(t.Context(), &configv1.RecordContentRequest{
		Workspace: "acme", ContentId: content, Groups: groups, Choice: choice,
	})
	require.NoError(t, err)
	return resp
}

// switches are what is saved of every content: tracked, and asked for an address.
func (d *defaultsBundle) switches(t *testing.T) map[string][2]bool {
	t.Helper()
	all, err := d.admin.ListContentSettings(t.Context(), &configv1.ListContentSettingsRequest{Workspace: "acme"})
	require.NoError(t, err)
	out := map[string][2]bool{}
	for _, s := range all.GetSettings() {
		out[s.GetContentId()] = [2]bool{s.GetTracking(), s.GetRequireAddress()}
	}
	return out
}

func (d *defaultsBundle) preview(t *testing.T, group string) *configv1.PreviewContentDefaultsResponse {
	t.Helper()
	resp, err := d.groups.PreviewContentDefaults(t.Context(), &configv1.PreviewContentDefaultsRequest{Workspace: "acme", Group: group})
	require.NoError(t, err)
	return resp
}

func TestANewContentBeginsWithItsCreatorsDefaults(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-36")
	d := setupDefaults(t)
	made := d.record(t, "pitch", nil, "sales")
	require.True(t, made.GetRecorded())
	require.Equal(t, []string{"sales"}, made.GetDecided().GetTracking().GetGroups())
	require.Equal(t, [2]bool{true, true}, d.switches(t)["pitch"])
	d.record(t, "contract", nil, "legal")
	require.Equal(t, [2]bool{false, false}, d.switches(t)["contract"])
	d.record(t, "misc", nil)
	require.Equal(t, [2]bool{true, false}, d.switches(t)["misc"], "the workspace's own values")

	again := d.record(t, "pitch", nil, "legal")
	require.False(t, again.GetRecorded())
	require.Nil(t, again.GetDecided())
	require.True(t, again.GetSetting().GetTracking(), "what is there stays, so that the call may be repeated")

	before := d.switches(t)
	d.put(t, func(c *configv1.ContentDefaults) { c.Groups["sales"].Tracking = proto.Bool(false) })
	require.Equal(t, before, d.switches(t), "contents that exist stay as they are")
	d.put(t, func(c *configv1.ContentDefaults) { delete(c.Groups, "sales") })
	require.Equal(t, before, d.switches(t), "also when their group is gone")

	_, err := d.groups.RecordContent(t.Context(), &configv1.RecordContentRequest{Workspace: "acme", ContentId: "new", Groups: []string{"legal", "sales"}})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "group sales")
	require.NotContains(t, d.switches(t), "new")
	for _, token := range []string{acmeViewer, viewerToken} {
		_, err = configv1.NewContentDefaultsServiceClient(d.dial(t, token)).PutContentDefaults(t.Context(),
			&configv1.PutContentDefaultsRequest{Defaults: &configv1.ContentDefaults{Workspace: "acme", Version: 3}})
		require.Equal(t, codes.PermissionDenied, status.Code(err))
	}
}

func TestChoicesCountUnlessTheyAreLocked(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-37")
	d := setupDefaults(t)
	off := &configv1.ContentChoice{Tracking: proto.Bool(false)}
	resolve := func() *configv1.DecidedContent {
		resp, err := d.groups.ResolveContentDefaults(t.Context(), &configv1.ResolveContentDefaultsRequest{
			Workspace: "acme", Groups: []string{"sales", "legal"}, Choice: off,
		})
		require.NoError(t, err)
		return resp.GetDecided()
	}
	require.Equal(t, configv1.SwitchDecider_SWITCH_DECIDER_CHOICE, resolve().GetTracking().GetDecider())
	require.True(t, resolve().GetChoosable())
	require.Empty(t, d.switches(t), "asking records nothing")
	d.record(t, "chosen", off, "sales")
	require.False(t, d.switches(t)["chosen"][0])

	d.put(t, func(c *configv1.ContentDefaults) { c.Locked = true })
	require.False(t, resolve().GetChoosable())
	require.True(t, resolve().GetTracking().GetOn(), "any of the groups is on")
	d.put(t, func(c *configv1.ContentDefaults) {
		c.Combination = configv1.CombinationRule_COMBINATION_RULE_HIGHEST_RANK
	})
	require.False(t, resolve().GetTracking().GetOn(), "legal ranks higher")
	d.record(t, "locked", &configv1.ContentChoice{Tracking: proto.Bool(true)}, "legal")
	require.False(t, d.switches(t)["locked"][0])

	// A program acts for creators: while choices are locked it switches nothing.
	program := d.client(t, d.keyOf(t, "acme", "platform", scopeWrite))
	flip := &configv1.PutContentSettingRequest{Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "locked", Tracking: true, Version: 1}}
	_, err := program.PutContentSetting(t.Context(), flip)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	_, err = program.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "by the back door", Tracking: true},
	})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	_, err = d.client(t, acmeToken).PutContentSetting(t.Context(), flip)
	require.NoError(t, err, "an administrator may")
	d.put(t, func(c *configv1.ContentDefaults) { c.Locked = false })
	flip.Setting.Tracking, flip.Setting.Version = false, 2
	_, err = program.PutContentSetting(t.Context(), flip)
	require.NoError(t, err)
}

func TestEqualRanksAreRefused(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-37")
	d := setupDefaults(t)
	equal := &configv1.ContentDefaults{Workspace: "acme", Version: 1, Groups: salesAndLegal()}
	equal.Groups["sales"].Rank = 1
	_, err := d.groups.PutContentDefaults(t.Context(), &configv1.PutContentDefaultsRequest{Defaults: equal})
	require.Equal(t, []string{"defaults.groups[sales].rank"}, fieldsOf(t, err))
	got, err := d.groups.GetContentDefaults(t.Context(), &configv1.GetContentDefaultsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, int64(1), got.GetDefaults().GetVersion(), "nothing was saved")
	_, err = d.groups.PutContentDefaults(t.Context(), &configv1.PutContentDefaultsRequest{Defaults: &configv1.ContentDefaults{Workspace: "acme"}})
	require.Equal(t, codes.Aborted, status.Code(err))
}

func TestDefaultsAreAppliedToExistingContentsAsPreviewed(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-36")
	d := setupDefaults(t)
	d.record(t, "pitch", nil, "sales")
	d.record(t, "chosen", &configv1.ContentChoice{Tracking: proto.Bool(true)}, "sales")
	d.record(t, "contract", nil, "legal")
	_, err := d.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "by hand", Tracking: true},
	})
	require.NoError(t, err)
	require.Empty(t, d.preview(t, "").GetFingerprint(), "nothing would change")

	d.put(t, func(c *configv1.ContentDefaults) {
		c.Groups["sales"] = &configv1.GroupDefaults{Tracking: proto.Bool(false), Rank: 2}
		c.Groups["legal"].Tracking = proto.Bool(true)
	})
	before := d.switches(t)
	shown := d.preview(t, "sales")
	require.Equal(t, before, d.switches(t), "a preview changes nothing")
	require.Equal(t, int64(1), shown.GetUnknown(), "of what was set by hand nobody knows whose it is")
	require.Len(t, shown.GetChanges(), 2)
	require.True(t, proto.Equal(&configv1.ContentDefaultsChange{
		ContentId: "chosen", TrackingBefore: true, TrackingAfter: true, RequireAddressBefore: true,
	}, shown.GetChanges()[0]), "what was chosen stays, what was not follows: %v", shown.GetChanges()[0])
	require.True(t, proto.Equal(&configv1.ContentDefaultsChange{
		ContentId: "pitch", TrackingBefore: true, RequireAddressBefore: true,
	}, shown.GetChanges()[1]), "%v", shown.GetChanges()[1])

	apply := &configv1.ApplyContentDefaultsRequest{Workspace: "acme", Group: "sales", Fingerprint: shown.GetFingerprint()}
	_, err = configv1.NewContentDefaultsServiceClient(d.dial(t, acmeViewer)).ApplyContentDefaults(t.Context(), apply)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	apply.Group = ""
	_, err = d.groups.ApplyContentDefaults(t.Context(), apply)
	require.Equal(t, codes.Aborted, status.Code(err), "another question than was previewed")
	apply.Group = "sales"
	_, err = d.admin.PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
		Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "pitch", Tracking: false, RequireAddress: true, Version: 1},
	})
	require.NoError(t, err)
	_, err = d.groups.ApplyContentDefaults(t.Context(), apply)
	require.Equal(t, codes.Aborted, status.Code(err), "somebody switched one of them meanwhile")
	require.Equal(t, [2]bool{true, true}, d.switches(t)["chosen"], "and the others stay, too")

	apply.Fingerprint = d.preview(t, "sales").GetFingerprint()
	ctx := metadata.AppendToOutgoingContext(t.Context(), reasonHeader, "new policy")
	done, err := d.groups.ApplyContentDefaults(ctx, apply)
	require.NoError(t, err)
	require.Equal(t, int64(2), done.GetChanged())
	require.Equal(t, map[string][2]bool{
		"pitch": {false, false}, "chosen": {true, false}, "contract": {false, false}, "by hand": {true, false},
	}, d.switches(t))
	_, err = d.groups.ApplyContentDefaults(ctx, apply)
	require.Equal(t, codes.Aborted, status.Code(err), "it is done already")
	entries := d.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "content", Action: "ApplyContentDefaults"})
	require.Len(t, entries, 2)
	require.Equal(t, "new policy", entries[0].GetReason())

	_, err = d.groups.PreviewContentDefaults(t.Context(), &configv1.PreviewContentDefaultsRequest{Workspace: "acme", Group: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

// The answer that the platform shows is what the data plane goes by, and the data plane is told no more than that.
func TestWatchersLearnTheSwitchAndNotWhereItComesFrom(t *testing.T) {
	t.Parallel()
	d := setupDefaults(t)
	d.record(t, "contract", nil, "legal")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := d.service.Watch(ctx, &configv1.WatchRequest{})
	require.NoError(t, err)
	got, err := stream.Recv()
	require.NoError(t, err)
	settings := got.GetSnapshot().GetWorkspaces()[0].GetContentSettings()
	require.Len(t, settings, 1)
	require.False(t, settings[0].GetTracking())
	require.Nil(t, settings[0].GetOrigin())
}

func TestADefaultWorkflowIsGivenToNewContents(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-16")
	d := setupDefaults(t)
	require.Nil(t, d.record(t, "before", nil).GetWorkflow(), "there is none unless somebody chooses one")
	template := rule("acme")
	template.Enabled, template.ContentIds = false, []string{"none"}
	_, err := d.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: template})
	require.NoError(t, err)
	ws, err := d.admin.GetWorkspace(t.Context(), &configv1.GetWorkspaceRequest{Workspace: "acme"})
	require.NoError(t, err)
	ws.GetWorkspace().DefaultWorkflow = "rule"
	_, err = d.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws.GetWorkspace()})
	require.NoError(t, err)

	given := d.record(t, "資料", nil).GetWorkflow()
	require.Equal(t, []string{"資料"}, given.GetContentIds())
	require.True(t, given.GetEnabled())
	require.Equal(t, int64(1), given.GetVersion())
	got, err := d.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: given.GetId()})
	require.NoError(t, err)
	require.Len(t, got.GetIntegration().GetActions(), 1)
	require.Nil(t, d.record(t, "資料", nil).GetWorkflow(), "once")
	all, err := d.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, all.GetIntegrations(), 2)

	// A template that no longer fits keeps no content from being recorded.
	template.Version, template.Actions[0].Fields[0].Field = 1, "Gone__c"
	_, err = d.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: template})
	require.NoError(t, err)
	unfit := d.record(t, "second", nil)
	require.True(t, unfit.GetRecorded())
	require.False(t, unfit.GetWorkflow().GetEnabled())
	require.Contains(t, fmt.Sprint(unfit.GetNotes()), "SF_FIELD_GONE")
	workflows := configv1.NewWorkflowServiceClient(d.dial(t, acmeToken))
	_, err = workflows.DeleteIntegration(t.Context(), &configv1.DeleteIntegrationRequest{Workspace: "acme", Integration: "rule", ExpectedVersion: 2})
	require.NoError(t, err)
	without := d.record(t, "third", nil)
	require.True(t, without.GetRecorded())
	require.Contains(t, without.GetNotes()[0], "is not there")
}
