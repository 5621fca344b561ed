package resolve_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

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
		d.asked = append(d.asked, a.Connection+" "+address.Email)
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
