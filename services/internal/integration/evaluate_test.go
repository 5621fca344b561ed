package integration_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

func TestEvaluateKeepsTypes(t *testing.T) {
	t.Parallel()
	fields, _ := write(t, rule(
		path("Text__c", "content.title"),
		path("Number__c", "engagement.views"),
		path("Rounded__c", "engagement.percent_watched|round:2"),
		path("Flag__c", "visit.counts_as_view"),
		path("Time__c", "visit.last_activity_at"),
		path("Day__c", "visit.last_activity_at|day"),
		path("Kind__c", "content.kind"),
		path("Evidence__c", "engagement.subject.evidence"),
		path("Lead__c", "resolution.lead.record_id"),
		path("Zone__c", "zone"),
		expression("Sum__c", "engagement.views + 1u"),
		expression("Whole__c", "int(visit.watched_seconds)"),
		expression("When__c", "visit.last_activity_at - duration('24h')"),
		expression("Lasted__c", "visit.last_activity_at - visit.started_at"),
		expression("Domain__c", "viewer.email.lower().trim().upper()"),
		expression("Maybe__c", "content.?url"),
		expression("Local__c", "day(visit.last_activity_at, 'America/New_York')"),
		expression("Any__c", "[1, 'two'][1]"),
		&configv1.FieldMapping{Field: "Const__c", Source: &configv1.FieldMapping_Constant{Constant: &configv1.Constant{Value: &configv1.Constant_Number{Number: 7}}}},
		&configv1.FieldMapping{Field: "Yes__c", Source: &configv1.FieldMapping_Constant{Constant: &configv1.Constant{Value: &configv1.Constant_Flag{Flag: true}}}},
	), integrationtest.Video())
	require.Equal(t, map[string]any{
		"Text__c": "Product tour", "Number__c": 2.0, "Rounded__c": 66.67, "Flag__c": true,
		"Time__c": "2026-03-01T15:30:00.000Z", "Day__c": "2026-03-02", "Kind__c": "Video", "Evidence__c": "Asked",
		"Lead__c": integrationtest.LeadID, "Zone__c": "Asia/Tokyo",
		"Sum__c": 3.0, "Whole__c": 95.0, "When__c": "2026-02-28T15:30:00.000Z", "Lasted__c": 600.0,
		"Domain__c": strings.ToUpper(integrationtest.Viewer), "Maybe__c": "https://video.example/v/vid-1",
		"Local__c": "2026-03-01", "Any__c": "two", "Const__c": 7.0, "Yes__c": true,
	}, fields)
}

func TestEvidenceReadsInThePackagesWords(t *testing.T) {
	t.Parallel()
	for evidence, want := range map[streamv1.Evidence]any{
		streamv1.Evidence_EVIDENCE_SIGNED_IN: "Signed in", streamv1.Evidence_EVIDENCE_ASKED: "Asked",
		streamv1.Evidence_EVIDENCE_LINK: "Link parameter", streamv1.Evidence_EVIDENCE_UNSPECIFIED: nil,
	} {
		in := integrationtest.Video()
		in.Resolved.Engagement.Subject.Evidence = evidence
		fields, _ := write(t, rule(path("Method__c", "engagement.subject.evidence"), constant("X__c", "x")), in)
		require.Equal(t, want, fields["Method__c"])
	}
}

func TestNullPolicy(t *testing.T) {
	t.Parallel()
	withPolicy := func(m *configv1.FieldMapping, p configv1.NullPolicy) *configv1.FieldMapping {
		m.NullPolicy = p
		return m
	}
	absent := map[string]func() *configv1.FieldMapping{
		"an empty text":       func() *configv1.FieldMapping { return path("A__c", "visit.content.url") },
		"an unknown number":   func() *configv1.FieldMapping { return path("A__c", "content.length_seconds") },
		"a missing message":   func() *configv1.FieldMapping { return path("A__c", "engagement.call_to_action.clicks") },
		"a missing person":    func() *configv1.FieldMapping { return path("A__c", "person.owner_active") },
		"a blank template":    func() *configv1.FieldMapping { return template("A__c", "en", " {content.url} ") },
		"null":                func() *configv1.FieldMapping { return expression("A__c", "null") },
		"an empty optional":   func() *configv1.FieldMapping { return expression("A__c", "content.?url") },
		"control codes alone": func() *configv1.FieldMapping { return expression("A__c", `"\u0001\u0002"`) },
	}
	for name, mapping := range absent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := integrationtest.Document()
			in.Resolved.Engagement.Content.Url = ""
			in.Resolved.Resolution = &streamv1.Resolution{Lead: in.Resolved.Resolution.Lead}
			for _, policy := range []configv1.NullPolicy{0, configv1.NullPolicy_NULL_POLICY_OMIT} {
				fields, _ := write(t, rule(withPolicy(mapping(), policy), constant("B__c", "b")), in)
				require.Equal(t, map[string]any{"B__c": "b"}, fields)
			}
			fields, _ := write(t, rule(withPolicy(mapping(), configv1.NullPolicy_NULL_POLICY_CLEAR)), in)
			require.Equal(t, map[string]any{"A__c": nil}, fields)

			r := refused(t, rule(withPolicy(mapping(), configv1.NullPolicy_NULL_POLICY_FAIL)), in)
			require.Equal(t, streamv1.Reason_REASON_REQUIRED_FIELD_MISSING, r.Reason)
			require.True(t, r.Failed)
			require.Contains(t, r.Detail, "integration rule version 4, row: field A__c (actions[0].fields[0])")
		})
	}
}

func TestAFailingExpressionNamesItselfAndQuotesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ expression, want string }{
		"division":  {"100 / (size(engagement.ranges) - 1)", "division by zero"},
		"index":     {"engagement.ranges[9].to", "index out of bounds"},
		"map key":   {"{'a': 1}[viewer.email]", "no such key"},
		"overload":  {"dyn(viewer.email) + 1 > 2", "no such overload"},
		"bad zone":  {"day(visit.started_at, viewer.email)", "unknown time zone"},
		"number":    {"int(viewer.email)", "the expression failed on this input"},
		"unwritten": {"dyn([viewer.email])", "the expression gave a value that no field can hold"},
		"endless": {
			"[1,2,3,4,5,6,7,8,9].map(a, [1,2,3,4,5,6,7,8,9].map(b, [1,2,3,4,5,6,7,8,9].map(c, [1,2,3,4,5,6,7,8,9].map(d, a+b+c+d)))).size()",
			"cost limit exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := refused(t, rule(constant("A__c", "a"), expression("B__c", c.expression)), integrationtest.Video())
			require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, r.Reason)
			require.True(t, r.Failed)
			require.Contains(t, r.Detail, "integration rule version 4, row: field B__c (actions[0].fields[1])")
			require.Contains(t, r.Detail, c.want)
			require.NotContains(t, r.Detail, "example.co.jp")
		})
	}
}

func TestAFailingActionLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	i := rule(expression("A__c", "1 / (size(engagement.ranges) - 1)"))
	i.Actions = append(i.Actions, rule(path("A__c", "content.title")).GetActions()...)
	i.Actions[1].Name = "other"
	d := compile(t, i).Evaluate(integrationtest.Video())
	require.Len(t, d.Refusals, 1)
	require.Equal(t, "row", d.Refusals[0].Action)
	require.Len(t, d.Records, 1)
	require.Equal(t, "other", d.Records[0].Action.GetName())
}

func TestCondition(t *testing.T) {
	t.Parallel()
	run := func(condition string) integration.Decision {
		i := rule(path("A__c", "content.title"))
		i.Condition = condition
		return compile(t, i).Evaluate(integrationtest.Video())
	}
	require.True(t, run("").Holds)
	require.True(t, run("content.kind == ContentKind.CONTENT_KIND_VIDEO && engagement.views >= 2").Holds)
	require.Equal(t, integration.Decision{}, run("engagement.views > 99"))

	failed := run("1u / (engagement.visits - 3u) > 0u")
	require.False(t, failed.Holds)
	require.Empty(t, failed.Records)
	require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, failed.Refusals[0].Reason)
	require.Contains(t, failed.Refusals[0].Detail, "version 4, condition: division by zero")
}

func TestWhoeverIsNotFoundIsNotWritten(t *testing.T) {
	t.Parallel()
	nobody := func() *integration.Input {
		in := integrationtest.Video()
		in.Resolved.Resolution = &streamv1.Resolution{Reason: streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC}
		return in
	}
	r := refused(t, rule(path("A__c", "content.title")), nobody())
	require.Equal(t, streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, r.Reason)
	require.False(t, r.Failed)

	without := nobody()
	without.Resolved.Resolution.Reason = 0
	require.Equal(t, streamv1.Reason_REASON_NO_MATCH, refused(t, rule(path("A__c", "content.title")), without).Reason)

	anyway := rule(path("A__c", "content.title"))
	anyway.Actions[0].WriteUnmatched = true
	fields, _ := write(t, anyway, nobody())
	require.Equal(t, "Product tour", fields["A__c"])

	anonymous := integrationtest.Video()
	anonymous.Viewer = nil
	require.Equal(t, streamv1.Reason_REASON_IDENTITY_UNKNOWN, refused(t, anyway, anonymous).Reason)
}

func TestANumberThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	in := integrationtest.Video()
	in.Resolved.Engagement.PercentWatched = math.NaN()
	r := refused(t, rule(path("A__c", "engagement.percent_watched")), in)
	require.Equal(t, streamv1.Reason_REASON_TYPE_MISMATCH, r.Reason)
}

func TestTheTraceIdIsNoReasonToWrite(t *testing.T) {
	t.Parallel()
	_, record := write(t, rule(path("Trace_Id__c", "trace_id"), path("A__c", "content.title")), integrationtest.Video())
	require.Equal(t, []string{"Trace_Id__c"}, record.Volatile)
}

func TestMark(t *testing.T) {
	t.Parallel()
	t.Run("AppendsTheLastLineWithinTheLimit", func(t *testing.T) {
		t.Parallel()
		body := template("Description", "en", "{content.title}")
		body.MaxLength = 100
		in := integrationtest.Document()
		in.Resolved.Engagement.Content.Title = strings.Repeat("長", 200)
		_, record := write(t, task(&configv1.Assignment{}, body), in)
		record.Mark("Ref: tl-0123456789abcdefghijklmn")
		text := integrationtest.Fields(record.Fields)["Description"].(string)
		require.LessOrEqual(t, len([]rune(text)), 100)
		require.True(t, strings.HasSuffix(text, "…\nRef: tl-0123456789abcdefghijklmn"))
	})
	t.Run("IsTheWholeTextWhenThereIsNoOther", func(t *testing.T) {
		t.Parallel()
		_, record := write(t, task(&configv1.Assignment{}, constant("Subject", "s")), integrationtest.Document())
		record.Mark("Ref: tl-x")
		require.Equal(t, map[string]any{
			"Description": "Ref: tl-x", "OwnerId": integrationtest.RecordUser, "Subject": "s", "WhoId": integrationtest.LeadID,
		}, integrationtest.Fields(record.Fields))
		for n := 1; n < len(record.Fields); n++ {
			require.Less(t, record.Fields[n-1].GetField(), record.Fields[n].GetField())
		}
	})
}
