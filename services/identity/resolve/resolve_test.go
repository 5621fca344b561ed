package resolve_test

import (
	"context"
	"errors"
	"sync"
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
	"github.com/throughline-dev/throughline/services/identity/match"
	"github.com/throughline-dev/throughline/services/identity/resolve"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeDirectory answers by connection, and notes which addresses it was asked for.
type fakeDirectory struct {
	mu      sync.Mutex
	answers map[string]directory.Answer
	asked   []string
}

func (d *fakeDirectory) Look(_ context.Context, asks []directory.Ask) []directory.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	answers := make([]directory.Answer, len(asks))
	for i, a := range asks {
		address, err := a.Viewer.Address()
		if err != nil {
			answers[i].Err = directory.ErrUnreadable
			continue
		}
		d.asked = append(d.asked, a.Connection+" "+address)
		answers[i] = d.answers[a.Connection]
	}
	return answers
}

func (d *fakeDirectory) set(connection string, a directory.Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[connection] = a
}

type bundle struct {
	*testing.T
	cfg     resolve.Config
	build   *settingstest.Builder
	source  settings.Source
	dir     *fakeDirectory
	clock   *stagetest.ManualClock
	stats   *resolve.Stats
	offset  int64
	sealing *settings.Workspace
}

// setup has a workspace acme with the connections prod and sandbox, and an integration through each.
func setup(t *testing.T, change ...func(*settingstest.Builder)) *bundle {
	t.Helper()
	b := &bundle{T: t, cfg: resolve.DefaultConfig(), clock: stagetest.NewClock(noon), stats: &resolve.Stats{}}
	b.cfg.RetryPoll = time.Millisecond
	b.build = settingstest.New(t).Workspace("acme").
		Connection("prod").Integration(rule("a-task", "prod")).
		Connection("sandbox").Integration(rule("b-row", "sandbox"))
	for _, f := range change {
		f(b.build)
	}
	b.source = b.build.Source()
	b.sealing, _ = b.source.View().Workspace("acme")
	b.dir = &fakeDirectory{answers: map[string]directory.Answer{"prod": mia(), "sandbox": {AskedAt: noon}}}
	return b
}

func rule(id, connection string, contents ...string) *configv1.Integration {
	return &configv1.Integration{Id: id, Connection: connection, Enabled: true, ContentIds: contents}
}

// mia is the answer of an org with a Lead, a Contact and a content owner.
func mia() directory.Answer {
	return directory.Answer{
		Candidates: []match.Candidate{
			{ID: "0031", Object: match.Contact, OwnerID: "00G1", AccountID: "0011", LastModified: noon},
			{ID: "00Q1", Object: match.Lead, OwnerID: "0051", LastModified: noon.Add(-time.Hour), CreatedAt: noon.Add(-2 * time.Hour)},
		},
		OwnerUsers:   []match.User{{ID: "0052", Active: true, Language: "en_US"}},
		RecordOwners: map[string]match.User{"0051": {ID: "0051", Active: true, Language: "ja"}},
		AskedAt:      noon,
	}
}

func (b *bundle) deps() resolve.Deps {
	return resolve.Deps{Settings: b.source, Directory: b.dir, Clock: b.clock, Stats: b.stats}
}

func (b *bundle) record(change ...func(*streamv1.Engagement)) stage.Record {
	b.Helper()
	personal, err := proto.Marshal(&streamv1.PersonalData{Email: "mia@example.com"})
	require.NoError(b, err)
	sealed, err := b.sealing.Keys().Seal(personal)
	require.NoError(b, err)
	e := &streamv1.Engagement{
		EngagementId: "engagement", Workspace: "acme", Revision: 7,
		Subject: &streamv1.Subject{PersonKey: "mia", Sealed: sealed},
		Content: &streamv1.Content{ContentId: "c"},
		Visit: &streamv1.Visit{
			VisitId: "visit", LastEventId: "event", State: streamv1.VisitState_VISIT_STATE_CLOSED,
			LastActivityAt: timestamppb.New(noon), SettingsRevision: 1,
		},
	}
	for _, f := range change {
		f(e)
	}
	value, err := proto.Marshal(e)
	require.NoError(b, err)
	b.offset++
	return stage.Record{
		Topic: topic.Engagements, Offset: b.offset, Time: noon, Value: value, Key: topic.PersonKey("acme", "mia"),
		Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: []byte("trace")}},
	}
}

func (b *bundle) process(records ...stage.Record) *stage.Outbox {
	b.Helper()
	out := new(stage.Outbox)
	require.NoError(b, resolve.NewProcessor(b.cfg, b.deps()).Process(b.Context(), records, out))
	return out
}

func resolvedOf(t *testing.T, messages []stage.Message) []*streamv1.Resolved {
	t.Helper()
	var out []*streamv1.Resolved
	for _, m := range messages {
		if m.Topic != topic.Resolved {
			continue
		}
		require.Equal(t, "acme/mia", string(m.Key))
		require.Equal(t, "trace", m.TraceParent)
		r := new(streamv1.Resolved)
		require.NoError(t, proto.Unmarshal(m.Value, r))
		out = append(out, r)
	}
	return out
}

func outcomesOf(t *testing.T, messages []stage.Message) []*streamv1.Outcome {
	t.Helper()
	var out []*streamv1.Outcome
	for _, m := range messages {
		if m.Topic != topic.Outcomes {
			continue
		}
		o := new(streamv1.Outcome)
		require.NoError(t, proto.Unmarshal(m.Value, o))
		out = append(out, o)
	}
	return out
}

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
		t.Attr("requirement", "IMM-17")
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

func TestRetrier(t *testing.T) {
	t.Parallel()
	down := directory.Answer{Err: &salesforce.Error{Class: salesforce.ClassTransient, Reason: "SF_LOCKED"}}

	// putOff returns the record that an org in trouble left in the unresolved topic.
	putOff := func(b *bundle) stage.Record {
		b.Helper()
		b.dir.set("prod", down)
		m := b.process(b.record()).Messages()[0]
		require.Equal(b, topic.Unresolved, m.Topic)
		return stage.Record{
			Topic: topic.Unresolved, Offset: 3, Time: b.clock.Now(), Key: m.Key, Value: m.Value,
			Headers: append(m.Headers, stage.Header{Key: stage.HeaderTraceParent, Value: []byte("trace")}),
		}
	}
	// accept hands the record to a retrier that is drained in the end.
	accept := func(b *bundle, rec stage.Record) *stagetest.Port {
		b.Helper()
		port := stagetest.NewPort(nil)
		r := resolve.NewRetrier(b.cfg, b.deps(), port)
		require.NoError(b, r.Accept(b.Context(), rec))
		b.Cleanup(func() { require.NoError(b, r.Drain(context.Background())) })
		return port
	}
	settled := func(b *bundle, port *stagetest.Port) {
		b.Helper()
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		defer cancel()
		require.NoError(b, port.Await(ctx, func(p *stagetest.Port) bool { return len(p.Settled()) == 1 }))
		require.Equal(b, []int64{3}, port.Settled())
	}

	t.Run("AsksAgainWhenItIsDueAndOnlyThatOrg", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := accept(b, putOff(b))
		require.Empty(t, port.Settled())
		b.dir.set("prod", mia())
		b.dir.mu.Lock()
		b.dir.asked = nil
		b.dir.mu.Unlock()
		b.clock.Advance(b.cfg.RetryMin)
		settled(b, port)
		got := resolvedOf(t, port.Published())
		require.Len(t, got, 1)
		require.Equal(t, "prod", got[0].GetConnection())
		require.Equal(t, "00Q1", got[0].GetResolution().GetPerson().GetRecordId())
		require.Equal(t, []string{"prod mia@example.com"}, b.dir.asked)
	})

	t.Run("WaitsLongerEveryTime", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := accept(b, putOff(b))
		b.clock.Advance(b.cfg.RetryMin)
		settled(b, port)
		again := port.Published()[0]
		require.Equal(t, topic.Unresolved, again.Topic)
		rec := stage.Record{Headers: again.Headers}
		require.Equal(t, "2", string(rec.Header("tl_attempt")))
		require.Equal(t, "prod", string(rec.Header("tl_connection")))
		require.NotEqual(t, string(rec.Header("tl_since")), string(rec.Header("tl_due")))
	})

	t.Run("GivesUpInTheEndAndSaysSo", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := accept(b, putOff(b))
		b.clock.Advance(b.cfg.MaxAge)
		settled(b, port)
		told := outcomesOf(t, port.Published())
		require.Len(t, told, 1)
		require.Equal(t, streamv1.Status_STATUS_FAILED, told[0].GetStatus())
		require.Equal(t, streamv1.Reason_REASON_SF_LOCKED, told[0].GetReason())
		require.Equal(t, "prod", told[0].GetConnection())
		require.Len(t, port.DeadLetters(), 1)
		require.Equal(t, "SF_LOCKED", port.DeadLetters()[0].Reason)
		require.EqualValues(t, 1, b.stats.GivenUp.Load())
	})

	t.Run("ARecordIsNotSettledBeforeItsEffectIsAcknowledged", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		rec := putOff(b)
		port := stagetest.NewPort(nil)
		port.Fail(errors.New("the broker is away"))
		r := resolve.NewRetrier(b.cfg, b.deps(), port)
		require.NoError(t, r.Accept(t.Context(), rec))
		t.Cleanup(func() { require.NoError(t, r.Drain(context.Background())) })
		b.dir.set("prod", mia())
		b.clock.Advance(b.cfg.RetryMin)
		require.Eventually(t, func() bool { return b.stats.Resolved.Load() > 1 }, 10*time.Second, time.Millisecond)
		require.Empty(t, port.Settled())
		port.Fail(nil)
		b.clock.Advance(b.cfg.RetryMin)
		settled(b, port)
		require.Len(t, resolvedOf(t, port.Published()), 1)
	})

	t.Run("WhatWaitsComesBackAfterAStop", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		port := stagetest.NewPort(nil)
		r := resolve.NewRetrier(b.cfg, b.deps(), port)
		require.NoError(t, r.Accept(t.Context(), putOff(b)))
		require.NoError(t, r.Drain(t.Context()))
		require.NoError(t, r.Drain(t.Context()), "twice is safe")
		require.Empty(t, port.Settled())
		require.Empty(t, port.Published())
	})

	t.Run("GarbageIsGivenUp", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := resolve.NewRetrier(b.cfg, b.deps(), stagetest.NewPort(nil))
		t.Cleanup(func() { require.NoError(t, r.Drain(context.Background())) })
		reason, ok := stage.PermanentReason(r.Accept(t.Context(), stage.Record{Value: []byte("\xff")}))
		require.True(t, ok)
		require.Equal(t, "BAD_SCHEMA", reason)
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
