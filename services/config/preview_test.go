package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/recipe"
)

func setupPreview(t *testing.T) *catalogueBundle {
	t.Helper()
	b := prepareCatalogue(t)
	b.deps.Decide = app.Decide
	b.start(t)
	b.connect(t, "acme")
	return b
}

func (b *catalogueBundle) preview(t *testing.T, i *configv1.Integration, samples ...*configv1.PreviewSample) []*configv1.PreviewResult {
	t.Helper()
	resp, err := b.catalogue.PreviewIntegration(t.Context(), &configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Integration{Integration: i}, Samples: samples,
	})
	require.NoError(t, err)
	return resp.GetResults()
}

func filled(t *testing.T, name string) *configv1.Integration {
	t.Helper()
	i, err := recipe.Build(name, recipe.Params{Workspace: "acme", ID: "rule", Connection: "main"})
	require.NoError(t, err)
	return i
}

func shown(w *configv1.PreviewWrite) map[string]string {
	out := map[string]string{}
	for _, f := range w.GetFields() {
		out[f.GetValue().GetField()] = f.GetValue().GetText() + " <- " + f.GetSource() + " " + f.GetMapping()
	}
	return out
}

func TestAPreviewShowsTheExactRecordsAndWhereValuesComeFrom(t *testing.T) {
	t.Parallel()
	b := setupPreview(t)
	results := b.preview(t, filled(t, "document-close-task"))
	require.Len(t, results, 5)
	require.Equal(t, "the condition does not hold", results[0].GetPassedOver(), "a video, closed")

	writes := results[1].GetWrites()
	require.Len(t, writes, 1)
	require.Equal(t, streamv1.Operation_OPERATION_INSERT, writes[0].GetOperation())
	require.Equal(t, "Task", writes[0].GetObject())
	require.Equal(t, "task", writes[0].GetAction())
	fields := shown(writes[0])
	require.Equal(t, "jiro.suzuki@example.co.jp closed the document “Price list 2026” <- template (en, ja) actions[0].fields[0]", fields["Subject"])
	require.Equal(t, "003AA0000000002AAA <- assignment actions[0].assignment", fields["WhoId"])
	require.Equal(t, "2026-03-01 <- path visit.last_activity_at|day actions[0].fields[2]", fields["ActivityDate"])
	require.Regexp(t, `(?s)^Document: Price list 2026\n.*\nRef: tl-.* <- template \(en, ja\) and the line by which the record is found again actions\[0\]\.fields\[1\]$`,
		fields["Description"])

	require.Empty(t, results[2].GetWrites())
	require.Equal(t, streamv1.Reason_REASON_NO_TARGET, results[2].GetSkipped()[0].GetReason())
	require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, results[3].GetSkipped()[0].GetReason())
	require.Contains(t, results[4].GetPassedOver(), "waits for the close of a visit")

	list, err := b.admin.ListIntegrations(t.Context(), &configv1.ListIntegrationsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Empty(t, list.GetIntegrations(), "nothing is saved")
	require.Empty(t, b.live.sim.Stats()["acme"].Routes, "nothing is asked or written")
}

func TestAPreviewRunsOverSamplesOfOnesOwn(t *testing.T) {
	t.Parallel()
	b := setupPreview(t)
	sample := &configv1.PreviewSample{
		Viewer: &streamv1.PersonalData{Email: "mine@example.com"},
		Engagement: &streamv1.Engagement{
			Workspace: "globex", Content: &streamv1.Content{ContentId: "c1", Title: "A title of more than ten characters"}, Views: 7,
			Visit: &streamv1.Visit{State: streamv1.VisitState_VISIT_STATE_OPEN},
		},
		Resolution: &streamv1.Resolution{Lead: &streamv1.Person{RecordId: "00QAA0000000001AAA", Object: "Lead"}},
	}
	cut := from("Note__c", "content.title")
	cut.MaxLength = 10
	i := scoring(cut, from("Points__c", "engagement.views"))
	results := b.preview(t, i, sample)
	require.Len(t, results, 1)
	require.Equal(t, "sample 1", results[0].GetSample())
	require.Equal(t, "acme", results[0].GetInput().GetEngagement().GetWorkspace())
	w := results[0].GetWrites()[0]
	require.Equal(t, "Key__c", w.GetExternalIdField())
	require.Equal(t, results[0].GetInput().GetEngagement().GetEngagementId(), w.GetExternalId())
	require.InDelta(t, 7, w.GetFields()[1].GetValue().GetNumber(), 0)
	require.Equal(t, []string{"VALUE_TRUNCATED Note__c: 35 characters cut to 10"}, w.GetWarnings())

	i.Actions[0].Fields[0].OnTooLong = configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL
	sample.Engagement.Visit.State = streamv1.VisitState_VISIT_STATE_CLOSED
	results = b.preview(t, i, sample)
	require.Empty(t, results[0].GetWrites())
	require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, results[0].GetSkipped()[0].GetReason())
	require.Equal(t, streamv1.Status_STATUS_FAILED, results[0].GetSkipped()[0].GetStatus())

	i.ContentIds = []string{"another"}
	require.Contains(t, b.preview(t, i, sample)[0].GetPassedOver(), "other contents")
}

// A title of any length arrives as long as the org lets it: the subject 255 characters, the comment 32,000, others as
// described, or not at all where the rule says so (XC-37).
func TestTextsAreCutToWhatTheOrgDescribes(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-37")
	b := setupPreview(t)
	sample := &configv1.PreviewSample{
		Viewer: &streamv1.PersonalData{Email: "mine@example.com"},
		Engagement: &streamv1.Engagement{
			Content: &streamv1.Content{ContentId: "c1", Title: strings.Repeat("題", 40_000)},
			Visit:   &streamv1.Visit{State: streamv1.VisitState_VISIT_STATE_CLOSED},
		},
		Resolution: &streamv1.Resolution{Lead: &streamv1.Person{RecordId: "00QAA0000000001AAA", Object: "Lead"}},
	}
	i := scoring(from("Note__c", "content.title"))
	i.Actions = append(i.Actions, &configv1.Action{
		Name: "task", Object: "Task", Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT,
		ExternalIdField: "Throughline_Key__c", Scope: configv1.Scope_SCOPE_ENGAGEMENT,
		Fields: []*configv1.FieldMapping{from("Subject", "content.title"), from("Description", "content.title")},
	})
	_, err := b.put(t, i)
	require.NoError(t, err)
	check := func(results []*configv1.PreviewResult) {
		t.Helper()
		warnings := []string{}
		for _, w := range results[0].GetWrites() {
			warnings = append(warnings, w.GetWarnings()...)
		}
		require.Equal(t, []string{
			"VALUE_TRUNCATED Note__c: 40000 characters cut to 100", "VALUE_TRUNCATED Description: 40000 characters cut to 32000",
			"VALUE_TRUNCATED Subject: 40000 characters cut to 255",
		}, warnings)
	}
	saved, err := b.catalogue.PreviewIntegration(t.Context(), &configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Saved{Saved: "score"}, Samples: []*configv1.PreviewSample{sample},
	})
	require.NoError(t, err)
	check(saved.GetResults())
	asked := b.describes()
	check(b.preview(t, i, sample)) // as it would be once saved
	require.Equal(t, asked, b.describes(), "a preview asks no org")

	i.Actions[1].Fields[0].OnTooLong = configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL
	results := b.preview(t, i, sample)
	require.Len(t, results[0].GetWrites(), 1)
	require.Contains(t, results[0].GetSkipped()[0].GetDetail(), "the text has 40000 characters, the field takes 255")
}

func TestAPreviewTellsActionsApart(t *testing.T) {
	t.Parallel()
	b := setupPreview(t)
	i := filled(t, "document-close-task")
	second := filled(t, "document-close-task").GetActions()[0]
	second.Name, second.Object = "second", "Task"
	second.WriteUnmatched = true
	i.Actions = append(i.Actions, second)
	results := b.preview(t, i)
	require.Len(t, results[1].GetWrites(), 2)
	require.Equal(t, "second", results[1].GetWrites()[1].GetAction())
	require.Equal(t, "actions[1].fields[2]", results[1].GetWrites()[1].GetFields()[0].GetMapping())
	require.Len(t, results[2].GetWrites(), 1, "only the action that writes unmatched viewers, too")
	require.Len(t, results[2].GetSkipped(), 1)
}

func TestAPreviewOfWhatDoesNotCompileNamesTheProblems(t *testing.T) {
	t.Parallel()
	b := setupPreview(t)
	call := func(req *configv1.PreviewIntegrationRequest) error {
		_, err := b.catalogue.PreviewIntegration(t.Context(), req)
		return err
	}
	bad := scoring(from("Note__c", "nothing.there"))
	err := call(&configv1.PreviewIntegrationRequest{Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Integration{Integration: bad}})
	require.Equal(t, []string{"integration.actions[0].fields[0].path"}, fieldsOf(t, err))
	err = call(&configv1.PreviewIntegrationRequest{Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Saved{Saved: "nothing"}})
	require.Equal(t, codes.NotFound, status.Code(err))
	err = call(&configv1.PreviewIntegrationRequest{Workspace: "acme"})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	err = call(&configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Integration{Integration: scoring(text("Note__c", "x"))},
		Samples: []*configv1.PreviewSample{{Engagement: &streamv1.Engagement{}}},
	})
	require.ErrorContains(t, err, "has no visit")

	_, err = b.put(t, scoring(text("Note__c", "x")))
	require.NoError(t, err)
	resp, err := b.catalogue.PreviewIntegration(t.Context(), &configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Saved{Saved: "score"},
	})
	require.NoError(t, err)
	require.Len(t, resp.GetResults()[0].GetWrites(), 1)
}

func TestWithoutMappingsCodeThereAreNoPreviews(t *testing.T) {
	t.Parallel()
	b := setupCatalogue(t)
	_, err := b.catalogue.PreviewIntegration(t.Context(), &configv1.PreviewIntegrationRequest{
		Workspace: "acme", Subject: &configv1.PreviewIntegrationRequest_Saved{Saved: "score"},
	})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}
