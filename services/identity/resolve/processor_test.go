package resolve_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/directory"
	"github.com/throughline-dev/throughline/services/identity/resolve"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestProcessor(t *testing.T) {
	t.Parallel()

	t.Run("ResolvesOncePerConnectionAndKeepsTheReasons", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-32")
		t.Attr("requirement", "LOOM-33")
		b := setup(t)
		rec := b.record()
		got := resolvedOf(t, b.process(rec).Messages())
		require.Len(t, got, 2)

		prod := got[0]
		require.Equal(t, "prod", prod.GetConnection())
		require.Equal(t, "Asia/Tokyo", prod.GetOrgTimeZone())
		require.EqualValues(t, 1, prod.GetSettingsRevision())
		want := new(streamv1.Engagement)
		require.NoError(t, proto.Unmarshal(rec.Value, want))
		require.True(t, proto.Equal(want, prod.GetEngagement()), "the engagement is unchanged")

		r := prod.GetResolution()
		require.Equal(t, "00Q1", r.GetPerson().GetRecordId())
		require.Equal(t, "00Q1", r.GetLead().GetRecordId())
		require.Equal(t, "0031", r.GetContact().GetRecordId())
		require.Equal(t, "0011", r.GetContact().GetAccountId())
		require.True(t, r.GetPerson().GetOwnerActive())
		require.Equal(t, "ja", r.GetPerson().GetOwnerLanguage())
		require.False(t, r.GetContact().GetOwnerActive(), "a queue")
		require.Equal(t, "0052", r.GetContentOwner().GetRecordId())
		require.Len(t, r.GetCandidates(), 3)
		require.Equal(t, "default", r.GetPolicy())
		require.Zero(t, r.GetReason())
	})

	t.Run("GivesAVisitTheZoneThatTheOrgHadWhenItBegan", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-36")
		moved := func(c *configv1.Connection) {
			c.Org.TimeZone = "Europe/Berlin"
			c.Org.FormerZones = []*configv1.FormerZone{{TimeZone: "Asia/Tokyo", Until: timestamppb.New(noon.Add(-time.Hour))}}
		}
		b := setup(t, func(s *settingstest.Builder) {
			s.Workspace("acme").Connection("prod", moved).Integration(rule("a-task", "prod"))
		})
		zone := func(began time.Time) string {
			rec := b.record(func(e *streamv1.Engagement) { e.Visit.StartedAt = timestamppb.New(began) })
			return resolvedOf(t, b.process(rec).Messages())[0].GetOrgTimeZone()
		}
		require.Equal(t, "Asia/Tokyo", zone(noon.Add(-2*time.Hour)), "however late it is told of")
		require.Equal(t, "Europe/Berlin", zone(noon.Add(-time.Hour)))
	})

	t.Run("TellsWhyNobodyWasFound", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := resolvedOf(t, b.process(b.record()).Messages())[1].GetResolution()
		require.Equal(t, streamv1.Reason_REASON_NO_MATCH, r.GetReason())
		require.Equal(t, streamv1.Reason_REASON_OWNER_NOT_FOUND, r.GetOwnerReason())
		require.Nil(t, r.GetPerson())
	})

	t.Run("AppliesTheWorkspacesPolicy", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-32")
		b := setup(t, func(s *settingstest.Builder) {
			s.Workspace("acme", func(w *configv1.Workspace) {
				w.MatchPolicy = &configv1.MatchPolicy{Name: "contacts first", Objects: []string{"Contact", "Lead"}}
			}).Connection("prod").Integration(rule("a-task", "prod"))
		})
		r := resolvedOf(t, b.process(b.record()).Messages())[0].GetResolution()
		require.Equal(t, "0031", r.GetPerson().GetRecordId())
		require.Equal(t, "contacts first", r.GetPolicy())
	})

	t.Run("AsksOnlyWhereAnIntegrationAppliedWhenItHappened", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(s *settingstest.Builder) {
			off := rule("off", "prod")
			off.Enabled = false
			later := rule("later", "sandbox")
			later.EffectiveFrom = timestamppb.New(noon.Add(time.Second))
			s.Workspace("acme").Connection("prod").Integration(off).Connection("sandbox").Integration(later).
				Integration(rule("other content", "sandbox", "another"))
		})
		out := b.process(b.record())
		require.Empty(t, b.dir.asked)
		told := outcomesOf(t, out.Messages())
		require.Len(t, told, 1)
		require.Equal(t, streamv1.Reason_REASON_NO_WORKFLOW, told[0].GetReason())
		require.Equal(t, "visit", told[0].GetVisitId())
		require.Empty(t, b.process(b.record(func(e *streamv1.Engagement) { e.Visit.State = streamv1.VisitState_VISIT_STATE_OPEN })).Messages(),
			"said when the visit is over")
	})

	t.Run("AnOrgInTroubleHoldsNobodyUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.dir.set("prod", directory.Answer{Err: &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_UNAVAILABLE"}})
		rec := b.record()
		out := b.process(rec)
		require.Empty(t, out.DeadLetters())
		require.Len(t, resolvedOf(t, out.Messages()), 1, "the other org goes on")
		put := out.Messages()[0]
		require.Equal(t, topic.Unresolved, put.Topic)
		require.Equal(t, rec.Value, put.Value)
		require.Equal(t, rec.Key, put.Key)
		require.EqualValues(t, 1, b.stats.Unresolved.Load())
	})

	t.Run("WhatCannotBeResolvedIsGivenUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		garbage := b.record()
		garbage.Value = []byte("\xff")
		out := b.process(
			garbage,
			b.record(func(e *streamv1.Engagement) { e.EngagementId = "" }),
			b.record(func(e *streamv1.Engagement) { e.Subject = nil }),
			b.record(func(e *streamv1.Engagement) { e.Workspace = "" }),
			b.record(func(e *streamv1.Engagement) { e.Workspace = "unknown" }),
		)
		require.Len(t, out.DeadLetters(), 5)
		require.Equal(t, "BAD_TENANT", out.DeadLetters()[4].Reason)
		require.Empty(t, out.Messages())

		out = b.process(b.record(func(e *streamv1.Engagement) { e.Subject.Sealed = []byte("not sealed") }))
		require.NotEmpty(t, out.DeadLetters())
		require.Equal(t, "BAD_SCHEMA", out.DeadLetters()[0].Reason)
	})

	t.Run("AWorkspaceWhoseSettingsAreOnTheirWayIsWaitedFor", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		out := b.process(b.record(func(e *streamv1.Engagement) { e.Workspace, e.Visit.SettingsRevision = "new", 99 }))
		require.Empty(t, out.DeadLetters())
		require.Equal(t, topic.Unresolved, out.Messages()[0].Topic)
	})

	t.Run("AStopIsNotTakenForTrouble", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out := new(stage.Outbox)
		require.ErrorIs(t, resolve.NewProcessor(b.cfg, b.deps()).Process(ctx, []stage.Record{b.record()}, out), context.Canceled)
	})
}

func FuzzProcess(f *testing.F) {
	value, err := proto.Marshal(&streamv1.Engagement{
		EngagementId: "e", Workspace: "acme", Subject: &streamv1.Subject{PersonKey: "p"}, Visit: &streamv1.Visit{VisitId: "v", State: 2},
	})
	require.NoError(f, err)
	f.Add(value)
	source := settingstest.New(f).Workspace("acme").Connection("prod").Integration(rule("a-task", "prod")).Source()
	f.Fuzz(func(t *testing.T, value []byte) {
		dir := &fakeDirectory{answers: map[string]directory.Answer{"prod": mia()}}
		p := resolve.NewProcessor(resolve.DefaultConfig(), resolve.Deps{
			Settings: source, Directory: dir, Clock: stagetest.NewClock(noon), Stats: &resolve.Stats{},
		})
		require.NoError(t, p.Process(t.Context(), []stage.Record{{Value: value}}, new(stage.Outbox)))
	})
}
