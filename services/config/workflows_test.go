package config_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

type workflowBundle struct {
	*testBundle

	workflows configv1.WorkflowServiceClient
}

func setupWorkflows(t *testing.T) *workflowBundle {
	t.Helper()
	b := setup(t)
	b.workspace(t, "acme")
	return &workflowBundle{b, configv1.NewWorkflowServiceClient(b.dial(t, acmeToken))}
}

// put saves a rule for contents.
func (w *workflowBundle) put(t *testing.T, id string, contents ...string) *configv1.Integration {
	t.Helper()
	i := rule("acme")
	i.Id, i.ContentIds = id, contents
	resp, err := w.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
	require.NoError(t, err)
	return resp.GetIntegration()
}

// of lists what applies to a content: what names it, and what is for all.
func (w *workflowBundle) of(t *testing.T, content string) (own, general []string) {
	t.Helper()
	resp, err := w.workflows.ListWorkflows(t.Context(), &configv1.ListWorkflowsRequest{Workspace: "acme", ContentId: content})
	require.NoError(t, err)
	return idsOf(resp.GetOwn()), idsOf(resp.GetGeneral())
}

func idsOf(all []*configv1.Integration) []string {
	var out []string
	for _, i := range all {
		out = append(out, i.GetId())
	}
	return out
}

// watched are the versions of a rule that the data plane works by.
func (w *workflowBundle) watched(t *testing.T, id string) []*configv1.Integration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := w.service.Watch(ctx, &configv1.WatchRequest{})
	require.NoError(t, err)
	got, err := stream.Recv()
	require.NoError(t, err)
	var out []*configv1.Integration
	for _, i := range got.GetSnapshot().GetWorkspaces()[0].GetIntegrations() {
		if i.GetId() == id {
			out = append(out, i)
		}
	}
	return out
}

func TestADocumentsWorkflowsAreListedCopiedAndDeleted(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-16")
	w := setupWorkflows(t)
	ctx := t.Context()
	w.put(t, "b-close", "offer")
	w.put(t, "a-open", "offer", "price-list")
	w.put(t, "for-all")
	own, general := w.of(t, "offer")
	require.Equal(t, []string{"a-open", "b-close"}, own)
	require.Equal(t, []string{"for-all"}, general)

	copyTo := &configv1.CopyIntegrationRequest{Workspace: "acme", Integration: "b-close", NewId: "c-copy", Name: "Copy", ContentIds: []string{"manual"}}
	copied, err := w.workflows.CopyIntegration(ctx, copyTo)
	require.NoError(t, err)
	require.Equal(t, int64(1), copied.GetIntegration().GetVersion())
	require.Equal(t, "Copy", copied.GetIntegration().GetName())
	require.True(t, copied.GetIntegration().GetEnabled())
	own, _ = w.of(t, "manual")
	require.Equal(t, []string{"c-copy"}, own)
	_, err = w.workflows.CopyIntegration(ctx, copyTo)
	require.Equal(t, codes.AlreadyExists, status.Code(err))
	copyTo.Integration, copyTo.NewId = "none", "d"
	_, err = w.workflows.CopyIntegration(ctx, copyTo)
	require.Equal(t, codes.NotFound, status.Code(err))

	del := &configv1.DeleteIntegrationRequest{Workspace: "acme", Integration: "c-copy", ExpectedVersion: 7}
	_, err = w.workflows.DeleteIntegration(ctx, del)
	require.Equal(t, codes.Aborted, status.Code(err))
	del.ExpectedVersion = 1
	require.Len(t, w.watched(t, "c-copy"), 1)
	_, err = w.workflows.DeleteIntegration(ctx, del)
	require.NoError(t, err)
	require.Empty(t, w.watched(t, "c-copy"), "it does not fire for events under way either")
	_, err = w.admin.GetIntegration(ctx, &configv1.GetIntegrationRequest{Workspace: "acme", Integration: "c-copy"})
	require.Equal(t, codes.NotFound, status.Code(err))
	del.ExpectedVersion = 2
	_, err = w.workflows.DeleteIntegration(ctx, del)
	require.Equal(t, codes.NotFound, status.Code(err))
	own, _ = w.of(t, "manual")
	require.Empty(t, own)
}

func TestADeletedRuleKeepsItsHistoryAndComesBack(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-16")
	w := setupWorkflows(t)
	ctx := t.Context()
	w.put(t, "rule", "offer")
	w.clock.Advance(time.Hour)
	_, err := w.workflows.DeleteIntegration(ctx, &configv1.DeleteIntegrationRequest{Workspace: "acme", Integration: "rule", ExpectedVersion: 1})
	require.NoError(t, err)
	history := w.history(t, acmeToken)
	versions, err := history.ListIntegrationVersions(ctx, &configv1.ListIntegrationVersionsRequest{Workspace: "acme", Integration: "rule"})
	require.NoError(t, err)
	require.Len(t, versions.GetVersions(), 2)
	require.Equal(t, []string{"enabled", "deleted_at"}, versions.GetVersions()[0].GetChanged())
	back := &configv1.RollBackIntegrationRequest{Workspace: "acme", Integration: "rule", ToVersion: 2, ExpectedVersion: 2}
	_, err = history.RollBackIntegration(ctx, back)
	require.Equal(t, []string{"integration.deleted_at"}, fieldsOf(t, err), "the end of a rule is nothing to go back to")
	w.clock.Advance(time.Hour)
	back.ToVersion = 1
	restored, err := history.RollBackIntegration(ctx, back)
	require.NoError(t, err)
	require.Equal(t, int64(3), restored.GetIntegration().GetVersion())
	require.Equal(t, epoch.Add(2*time.Hour), restored.GetIntegration().GetEffectiveFrom().AsTime())
	own, _ := w.of(t, "offer")
	require.Equal(t, []string{"rule"}, own)
	require.Len(t, w.watched(t, "rule"), 3)

	// Made anew under its id, it goes on where it ended.
	_, err = w.workflows.DeleteIntegration(ctx, &configv1.DeleteIntegrationRequest{Workspace: "acme", Integration: "rule", ExpectedVersion: 3})
	require.NoError(t, err)
	require.Equal(t, int64(5), w.put(t, "rule", "offer").GetVersion())
}

func TestADeletedDocumentTakesItsWorkflowsAlong(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-16")
	w := setupWorkflows(t)
	w.put(t, "alone", "offer")
	w.put(t, "shared", "manual", "offer")
	w.put(t, "for-all")
	w.put(t, "other", "manual")
	removed, err := w.workflows.RemoveContent(t.Context(), &configv1.RemoveContentRequest{Workspace: "acme", ContentId: "offer"})
	require.NoError(t, err)
	require.Equal(t, []string{"alone"}, removed.GetDeleted())
	require.Equal(t, []string{"shared"}, removed.GetKept())
	all, err := w.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, []string{"for-all", "other", "shared"}, idsOf(all.GetIntegrations()))
	require.Equal(t, []string{"manual"}, all.GetIntegrations()[2].GetContentIds())
	versions, err := w.history(t, acmeToken).ListIntegrationVersions(t.Context(), &configv1.ListIntegrationVersionsRequest{Workspace: "acme", Integration: "alone"})
	require.NoError(t, err)
	require.Len(t, versions.GetVersions(), 2)
	again, err := w.workflows.RemoveContent(t.Context(), &configv1.RemoveContentRequest{Workspace: "acme", ContentId: "offer"})
	require.NoError(t, err)
	require.True(t, proto.Equal(&configv1.RemoveContentResponse{}, again))
}

func TestActionsAreSwitchedOffOneByOneAndCheckedFieldByField(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-16")
	w := setupWorkflows(t)
	two := rule("acme")
	second := proto.CloneOf(two.GetActions()[0])
	second.Name, second.Fields[0].Field = "second", "Gone__c"
	two.Actions = append(two.Actions, second)
	put := func() (*configv1.PutIntegrationResponse, error) {
		return w.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: two})
	}
	_, err := put()
	require.Equal(t, []string{"integration.actions[1].fields[0].field"}, fieldsOf(t, err))
	second.Disabled = true
	saved, err := put()
	require.NoError(t, err, "what is switched off writes nothing that the org could refuse")
	require.True(t, saved.GetIntegration().GetActions()[1].GetDisabled())
	two.Version, second.Disabled = 1, false
	_, err = put()
	require.Equal(t, []string{"integration.actions[1].fields[0].field"}, fieldsOf(t, err), "switching it on asks the org")

	two.Trigger, two.GetActions()[0].Operation = 99, 0
	two.GetActions()[1].Fields = nil
	_, err = put()
	require.ElementsMatch(t, []string{"integration.trigger", "integration.actions[0].operation", "integration.actions[1].fields"}, fieldsOf(t, err))
	got, err := w.admin.GetIntegration(t.Context(), &configv1.GetIntegrationRequest{Workspace: "acme", Integration: "rule"})
	require.NoError(t, err)
	require.Equal(t, int64(1), got.GetIntegration().GetVersion(), "nothing was saved")
}
