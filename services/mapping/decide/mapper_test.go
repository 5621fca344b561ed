package decide_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/mapping/decide"
	"github.com/throughline-dev/throughline/services/mapping/programs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

var now = time.Date(2026, 3, 1, 16, 0, 0, 0, time.UTC)

// testBundle is one workspace with the integrations of a test.
type testBundle struct {
	workspace *settings.Workspace
	mapper    *decide.Mapper
}

func setup(tb testing.TB, rules ...*configv1.Integration) *testBundle {
	tb.Helper()
	b := settingstest.New(tb).Workspace("acme", func(w *configv1.Workspace) {
		w.Language, w.HistoryUrl = "ja", "https://app.example/acme/people/"
	}).Connection("main")
	for _, r := range rules {
		b.Integration(r)
	}
	ws, ok := b.View().Workspace("acme")
	require.True(tb, ok)
	return &testBundle{workspace: ws, mapper: decide.New(programs.New(10))}
}

// seal fills in the personal data as ingest would.
func (b *testBundle) seal(tb require.TestingT, in *integration.Input) *streamv1.Resolved {
	sealed := func(p *streamv1.PersonalData) []byte {
		plain, err := proto.Marshal(p)
		require.NoError(tb, err)
		s, err := b.workspace.Keys().Seal(plain)
		require.NoError(tb, err)
		return s
	}
	e := in.Resolved.GetEngagement()
	e.Subject.Sealed, e.Content.OwnerSealed = sealed(in.Viewer), sealed(in.Owner)
	return in.Resolved
}

func (b *testBundle) run(tb require.TestingT, resolved *streamv1.Resolved) decide.Result {
	result, err := b.mapper.Map(decide.Input{
		Workspace: b.workspace, Resolved: resolved, SettingsRevision: 7, TraceParent: traceParent, Now: now,
	})
	require.NoError(tb, err)
	return result
}

func (b *testBundle) open(tb require.TestingT, w *streamv1.Write) []*streamv1.FieldValue {
	plain, err := b.workspace.Keys().Open(w.GetSealedFields())
	require.NoError(tb, err)
	values := &streamv1.FieldValues{}
	require.NoError(tb, proto.Unmarshal(plain, values))
	return values.GetFields()
}

func build(tb testing.TB, name string, change ...func(*recipe.Params)) *configv1.Integration {
	tb.Helper()
	p := recipe.Params{Workspace: "acme", ID: name, Connection: "main", PackageInstalled: true}
	for _, c := range change {
		c(&p)
	}
	i, err := recipe.Build(name, p)
	require.NoError(tb, err)
	return i
}

func withoutPackage(p *recipe.Params) { p.PackageInstalled = false }

// golden compares a write, its fields opened, with testdata/<name>.json; go test -update rewrites it.
func (b *testBundle) golden(t *testing.T, name string, w *streamv1.Write) {
	t.Helper()
	shown := proto.CloneOf(w)
	fields := integrationtest.Fields(b.open(t, w))
	require.Len(t, w.GetContentHash(), 16)
	shown.SealedFields, shown.ContentHash = nil, nil // differ with every key
	got, err := json.MarshalIndent(map[string]any{"write": shown, "fields": fields}, "", "  ")
	require.NoError(t, err)
	got = append(got, '\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "run go test -update once")
	require.Equal(t, string(want), string(got))
}

func TestWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule *configv1.Integration
		in   *integration.Input
	}{
		"task-insert": {build(t, "document-close-task", withoutPackage), integrationtest.Document()},
		"task-upsert": {build(t, "document-close-task"), integrationtest.Document()},
		"campaign-member": {build(t, "campaign-member", func(p *recipe.Params) {
			p.CampaignID, p.MemberStatus = "701SM0000012abCYAQ", "資料閲覧"
		}), integrationtest.Document()},
		"campaign-member-raised": {build(t, "campaign-member", func(p *recipe.Params) {
			p.CampaignID, p.MemberStatus, p.RaiseStatus = "701SM0000012abCYAQ", "資料閲覧", true
		}), integrationtest.Document()},
		"engagement-row": {build(t, "video-engagement"), integrationtest.Video()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.rule)
			result := b.run(t, b.seal(t, c.in))
			require.Empty(t, result.Outcomes)
			require.Len(t, result.Writes, 1)
			b.golden(t, name, result.Writes[0])
		})
	}
}

func TestTheSameChangeHasTheSameKeyHoweverOftenItIsMapped(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-3")
	b := setup(t, build(t, "document-close-task", withoutPackage), build(t, "document-engagement"))
	first := b.run(t, b.seal(t, integrationtest.Document()))
	late := integrationtest.Document() // the same visit, closed again by a later activity
	late.Resolved.Engagement.Revision, late.Resolved.Engagement.Visit.LastEventId = 99, "event-99"
	again := b.run(t, b.seal(t, late))
	require.Len(t, first.Writes, 2)
	for n := range first.Writes {
		require.Equal(t, first.Writes[n].GetWriteKey(), again.Writes[n].GetWriteKey())
		require.Equal(t, first.Writes[n].GetMarker(), again.Writes[n].GetMarker())
		require.Equal(t, first.Writes[n].GetExternalId(), again.Writes[n].GetExternalId())
		require.Equal(t, first.Writes[n].GetContentHash(), again.Writes[n].GetContentHash())
		require.Greater(t, again.Writes[n].GetRevision(), first.Writes[n].GetRevision())
	}
	require.NotEqual(t, first.Writes[0].GetWriteKey(), first.Writes[1].GetWriteKey())
	task, row := first.Writes[1], first.Writes[0]
	if task.GetObject() != "Task" {
		task, row = row, task
	}
	require.Equal(t, ids.WriteKey("acme", "document-close-task", "task", "visit-1"), task.GetWriteKey())
	require.Equal(t, ids.WriteKey("acme", "document-engagement", "engagement", "engagement-1"), row.GetWriteKey())
	require.Equal(t, "engagement-1", row.GetExternalId())
	require.True(t, task.GetOnce())
	require.False(t, row.GetOnce())
}

func TestAnotherVisitIsAnotherTask(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "document-close-task"))
	first := b.run(t, b.seal(t, integrationtest.Document()))
	next := integrationtest.Document()
	next.Resolved.Engagement.Visit.VisitId = "visit-2"
	second := b.run(t, b.seal(t, next))
	require.NotEqual(t, first.Writes[0].GetWriteKey(), second.Writes[0].GetWriteKey())
	require.Equal(t, first.Writes[0].GetWriteKey(), first.Writes[0].GetExternalId())
}

func TestTheContentHashSeesValuesAndNotTheTraceId(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "video-engagement"))
	hash := func(traceParent string, change func(*streamv1.Engagement)) string {
		resolved := b.seal(t, integrationtest.Video())
		change(resolved.Engagement)
		result, err := b.mapper.Map(decide.Input{Workspace: b.workspace, Resolved: resolved, TraceParent: traceParent, Now: now})
		require.NoError(t, err)
		return string(result.Writes[0].GetContentHash())
	}
	same := func(*streamv1.Engagement) {}
	base := hash(traceParent, same)
	require.Equal(t, base, hash("", same))
	require.Equal(t, base, hash("00-11111111111111111111111111111111-00f067aa0ba902b7-01", same))
	require.NotEqual(t, base, hash(traceParent, func(e *streamv1.Engagement) { e.Views++ }))
}

// The version in force when the event happened decides, whatever was saved since; the write names it (IMM-17).
func TestEditsDoNotRewriteThePast(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-17")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		gaps := rapid.SliceOfN(rapid.IntRange(1, 100), 1, 6).Draw(rt, "hours between versions")
		enabled := rapid.SliceOfN(rapid.Bool(), len(gaps), len(gaps)).Draw(rt, "enabled")
		event := start.Add(time.Duration(rapid.IntRange(-10, 700).Draw(rt, "hours until the event")) * time.Hour)
		var rules []*configv1.Integration
		var want *configv1.Integration
		from := start
		for n, gap := range gaps {
			from = from.Add(time.Duration(gap) * time.Hour)
			i := build(t, "document-close-task")
			i.Version, i.EffectiveFrom, i.Enabled = int64(n+1), timestamppb.New(from), enabled[n]
			rules = append(rules, i)
			if !from.After(event) {
				want = i
			}
		}
		b := setup(t, rules...)
		in := integrationtest.Document()
		in.Resolved.Engagement.Visit.LastActivityAt = timestamppb.New(event)
		result := b.run(rt, b.seal(rt, in))
		if want == nil || !want.GetEnabled() {
			require.Empty(rt, result.Writes)
			require.Equal(rt, streamv1.Reason_REASON_NO_WORKFLOW, result.Outcomes[0].GetReason())
			return
		}
		require.Len(rt, result.Writes, 1)
		require.Equal(rt, want.GetVersion(), result.Writes[0].GetIntegrationVersion())
	})
}

func TestOnlyThisConnectionsIntegrationsRun(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-18")
	elsewhere := build(t, "document-close-task")
	elsewhere.Connection = "sandbox"
	b := setup(t, elsewhere)
	result := b.run(t, b.seal(t, integrationtest.Document()))
	require.Empty(t, result.Writes)
	require.Equal(t, streamv1.Reason_REASON_NO_WORKFLOW, result.Outcomes[0].GetReason())
}

func TestAPoisonedIntegrationFailsAlone(t *testing.T) {
	t.Parallel()
	poisoned := build(t, "document-close-task")
	poisoned.Id, poisoned.Version = "poisoned", 3
	poisoned.Actions[0].Fields = append(poisoned.Actions[0].Fields, &configv1.FieldMapping{
		Field: "Score__c", Source: &configv1.FieldMapping_Expression{Expression: "1 / (int(visit.exit_page) - 7)"},
	})
	broken := build(t, "document-close-task")
	broken.Id, broken.Condition = "broken", "no.such.thing"
	b := setup(t, poisoned, broken, build(t, "document-close-task"))
	result := b.run(t, b.seal(t, integrationtest.Document()))
	require.Len(t, result.Writes, 1)
	require.Equal(t, "document-close-task", result.Writes[0].GetIntegration())
	require.Len(t, result.Outcomes, 2)
	byRule := map[string]*streamv1.Outcome{}
	for _, o := range result.Outcomes {
		require.Equal(t, streamv1.Status_STATUS_FAILED, o.GetStatus())
		require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, o.GetReason())
		byRule[o.GetIntegration()] = o
	}
	require.Equal(t, "integration poisoned version 3, task: field Score__c (actions[0].fields[4]): division by zero; correct the mapping",
		byRule["poisoned"].GetDetail())
	require.Equal(t, ids.WriteKey("acme", "poisoned", "task", "visit-1"), byRule["poisoned"].GetWriteKey())
	require.Contains(t, byRule["broken"].GetDetail(), "condition:1:1: undeclared reference")
	require.NotNil(t, result.Failure)
}

func TestRefusalsAreToldOnceTheVisitIsClosed(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "document-engagement"))
	nobody := func(state streamv1.VisitState) *streamv1.Resolved {
		in := integrationtest.Document()
		in.Resolved.Resolution = &streamv1.Resolution{Reason: streamv1.Reason_REASON_NO_MATCH}
		in.Resolved.Engagement.Visit.State = state
		return b.seal(t, in)
	}
	open := b.run(t, nobody(streamv1.VisitState_VISIT_STATE_OPEN))
	require.Empty(t, open.Outcomes)
	require.Equal(t, map[streamv1.Reason]int{streamv1.Reason_REASON_NO_MATCH: 1}, open.Refused)

	closed := b.run(t, nobody(streamv1.VisitState_VISIT_STATE_CLOSED))
	require.Len(t, closed.Outcomes, 1)
	o := closed.Outcomes[0]
	require.Equal(t, streamv1.Status_STATUS_SKIPPED, o.GetStatus())
	require.Equal(t, streamv1.Reason_REASON_NO_MATCH, o.GetReason())
	require.Equal(t, decide.Stage, o.GetStage())
	require.Equal(t, []string{"event-9", "visit-1", "engagement-1", "main", "document-engagement", "Engagement__c"},
		[]string{o.GetEventId(), o.GetVisitId(), o.GetEngagementId(), o.GetConnection(), o.GetIntegration(), o.GetObject()})
	require.Equal(t, int64(7), o.GetSettingsRevision())
	require.Equal(t, now, o.GetDecidedAt().AsTime())
	require.Nil(t, closed.Failure)
}

func TestNoWorkflow(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "document-engagement", func(p *recipe.Params) { p.ContentIDs = []string{"other"} }))
	closed := b.run(t, b.seal(t, integrationtest.Document()))
	require.Len(t, closed.Outcomes, 1)
	require.Equal(t, streamv1.Reason_REASON_NO_WORKFLOW, closed.Outcomes[0].GetReason())

	withdrawn := integrationtest.Document()
	withdrawn.Resolved.Engagement.Visit.Withdrawn = true
	require.Empty(t, b.run(t, b.seal(t, withdrawn)).Outcomes)
}

func TestAConditionThatDoesNotHoldIsOnlyCounted(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "document-engagement"))
	result := b.run(t, b.seal(t, integrationtest.Video()))
	require.Empty(t, result.Writes)
	require.Empty(t, result.Outcomes)
	require.Equal(t, 1, result.ConditionFalse)
}

func TestPersonalDataThatDoesNotOpenIsAnErrorWithoutValues(t *testing.T) {
	t.Parallel()
	b := setup(t, build(t, "document-engagement"))
	foreign := setup(t)
	_, err := b.mapper.Map(decide.Input{
		Workspace: b.workspace, Resolved: foreign.seal(t, integrationtest.Document()), Now: now,
	})
	require.ErrorContains(t, err, "the subject of engagement engagement-1, workspace acme, does not open with the workspace's key")
}

// Nothing but the sealed fields knows who the viewer was (promise 8).
func TestNothingOutsideTheSealNamesAPerson(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		expressions := rapid.SliceOfN(rapid.SampledFrom([]string{
			"viewer.email", "int(viewer.email)", "{'a': 1}[viewer.name]", "1 / size([viewer.email].filter(x, x == ''))",
			"dyn(viewer.email) + 1 == 2", "viewer.name + viewer.email", "day(visit.started_at, owner.email)",
		}), 1, 3).Draw(rt, "expressions")
		i := build(t, "document-close-task", withoutPackage)
		for n, e := range expressions {
			i.Actions[0].Fields = append(i.Actions[0].Fields, &configv1.FieldMapping{
				Field: "F" + string(rune('0'+n)) + "__c", MaxLength: 3, Source: &configv1.FieldMapping_Expression{Expression: e},
			})
		}
		b := setup(t, i)
		result := b.run(rt, b.seal(rt, integrationtest.Document()))
		var shown strings.Builder
		for _, w := range result.Writes {
			open := proto.CloneOf(w)
			open.SealedFields = nil
			shown.WriteString(open.String())
		}
		for _, o := range result.Outcomes {
			shown.WriteString(o.String())
		}
		for _, secret := range []string{"hanako", "佐藤", "yamada", "Yamada"} {
			require.NotContains(rt, shown.String(), secret)
		}
	})
}

// BenchmarkMap is the whole cost of one resolved engagement: opening, evaluating, hashing, sealing.
func BenchmarkMap(b *testing.B) {
	bundle := setup(b, build(b, "video-engagement"))
	resolved := bundle.seal(b, integrationtest.Video())
	require.Len(b, bundle.run(b, resolved).Writes, 1)
	b.ReportAllocs()
	for b.Loop() {
		bundle.run(b, resolved)
	}
}
