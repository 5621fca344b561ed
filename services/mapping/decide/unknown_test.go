package decide_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/mapping/decide"
)

func forUnknown(p *recipe.Params) {
	p.UnknownViewers, p.PackageInstalled = true, false
	p.Assignees = []configv1.Assignee{configv1.Assignee_ASSIGNEE_CONTENT_OWNER}
}

// unknownViewer is a closed visit as identity passes it on when nobody knows the viewer.
func (b *testBundle) unknownViewer(t *testing.T, change ...func(*integration.Input)) *streamv1.Resolved {
	t.Helper()
	in := integrationtest.Document()
	for _, c := range change {
		c(in)
	}
	resolved := b.seal(t, in)
	e := resolved.GetEngagement()
	e.Subject, e.Visit.Subject, e.Visit.ToldUnknown = nil, nil, true
	e.EngagementId = ids.EngagementID("acme", ids.Person("", "visit-1"), "doc-1")
	owner := resolved.GetResolution().GetContentOwner()
	resolved.Resolution = &streamv1.Resolution{ContentOwner: owner, Reason: streamv1.Reason_REASON_IDENTITY_UNKNOWN}
	if owner == nil {
		resolved.Resolution.OwnerReason = streamv1.Reason_REASON_OWNER_NOT_FOUND
	}
	return resolved
}

func TestUnknownViewers(t *testing.T) {
	t.Parallel()

	t.Run("the owner gets a to-do with a placeholder, and nothing else is written", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-36")
		for language, subject := range map[string]string{
			"en": "Somebody closed the document “Price list 2026”", "ja": "不明な閲覧者が資料「Price list 2026」を閉じました",
		} {
			task := build(t, "document-close-task", forUnknown)
			task.Language = language
			others := build(t, "document-close-task", withoutPackage)
			others.Id = "others"
			b := setup(t, task, others, build(t, "document-engagement"))
			result := b.run(t, b.unknownViewer(t))
			require.Len(t, result.Writes, 1)
			require.Empty(t, result.Outcomes, "what becomes of it is the writer's to tell")
			w := result.Writes[0]
			require.Equal(t, "Task", w.GetObject())
			require.Equal(t, ids.WriteKey("acme", "document-close-task", "task", "visit-1"), w.GetWriteKey())
			fields := integrationtest.Fields(b.open(t, w))
			require.NotContains(t, fields, "WhoId")
			require.Equal(t, integrationtest.OwnerUser, fields["OwnerId"])
			require.Equal(t, subject, fields["Subject"])
			require.NotContains(t, fields["Description"], "@")
			require.NotContains(t, fields["Description"], "https://", "there is no history of nobody")
		}
	})

	t.Run("who becomes known later has the to-do already", func(t *testing.T) {
		t.Parallel()
		for _, repeat := range []recipe.Repeat{recipe.EveryVisit, recipe.OncePerDay, recipe.OnceEver} {
			b := setup(t, build(t, "document-close-task", forUnknown, func(p *recipe.Params) { p.Repeat = repeat }))
			unknown := b.run(t, b.unknownViewer(t))
			in := integrationtest.Document()
			in.Resolved.Engagement.Visit.ToldUnknown = true
			known := b.run(t, b.seal(t, in))
			require.Equal(t, unknown.Writes[0].GetWriteKey(), known.Writes[0].GetWriteKey())
			require.True(t, known.Writes[0].GetOnce(), "so the writer makes it once")
		}
	})

	t.Run("said once, whatever the number of rules and connections", func(t *testing.T) {
		t.Parallel()
		told := map[string]bool{}
		for _, rules := range [][]*configv1.Integration{
			{build(t, "document-close-task")}, // the option is off
			{build(t, "document-close-task"), build(t, "document-engagement")},
			{build(t, "document-close-task", forUnknown, func(p *recipe.Params) { p.Condition = "false" }), build(t, "document-engagement")},
			nil,
		} {
			b := setup(t, rules...)
			result := b.run(t, b.unknownViewer(t))
			require.Empty(t, result.Writes)
			require.Len(t, result.Outcomes, 1)
			o := result.Outcomes[0]
			require.Equal(t, streamv1.Status_STATUS_SKIPPED, o.GetStatus())
			require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, o.GetReason())
			require.Equal(t, []string{decide.Stage, "visit-1", "event-9", "", ""},
				[]string{o.GetStage(), o.GetVisitId(), o.GetEventId(), o.GetConnection(), o.GetIntegration()})
			told[o.GetEngagementId()] = true
		}
		require.Len(t, told, 1)
	})

	t.Run("an owner who is no user is the reason told", func(t *testing.T) {
		t.Parallel()
		b := setup(t, build(t, "document-close-task", forUnknown))
		result := b.run(t, b.unknownViewer(t, func(in *integration.Input) { in.Resolved.Resolution.ContentOwner = nil }))
		require.Empty(t, result.Writes)
		require.Len(t, result.Outcomes, 1)
		require.Equal(t, streamv1.Reason_REASON_NO_TARGET, result.Outcomes[0].GetReason())
		require.Contains(t, result.Outcomes[0].GetDetail(), "document owner: OWNER_NOT_FOUND")
	})
}
