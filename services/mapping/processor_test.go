package mapping

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/mapping/decide"
	"github.com/throughline-dev/throughline/services/mapping/programs"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// testBundle is a processor for one workspace with the document task and the document row.
type testBundle struct {
	builder *settingstest.Builder
	view    *settings.View
	tally   *tally
	driver  *stagetest.Driver
}

type viewFunc func() *settings.View

func (f viewFunc) View() *settings.View { return f() }

func setup(t *testing.T, rules ...*configv1.Integration) *testBundle {
	t.Helper()
	b := &testBundle{builder: settingstest.New(t).Revision(5).Workspace("acme").Connection("main")}
	for _, name := range []string{"document-close-task", "document-engagement"} {
		i, err := recipe.Build(name, recipe.Params{Workspace: "acme", ID: name, Connection: "main", PackageInstalled: true})
		require.NoError(t, err)
		rules = append(rules, i)
	}
	for _, r := range rules {
		b.builder.Integration(r)
	}
	b.view = b.builder.View()
	var err error
	b.tally, err = newTally(nil)
	require.NoError(t, err)
	mapper := decide.New(programs.New(10))
	b.driver = stagetest.NewDriver(t, func(stage.Partition, *stage.Table) (stage.Processor, error) {
		return &processor{
			settings: viewFunc(func() *settings.View { return b.view }), mapper: mapper,
			clock: stagetest.NewClock(time.Unix(1_772_380_800, 0)), tally: b.tally,
		}, nil
	})
	return b
}

// record seals an input as the stages before would and makes a record of it.
func (b *testBundle) record(t *testing.T, in *integration.Input) stage.Record {
	t.Helper()
	ws, ok := b.view.Workspace("acme")
	require.True(t, ok)
	e := in.Resolved.GetEngagement()
	for data, sealed := range map[*streamv1.PersonalData]*[]byte{in.Viewer: &e.Subject.Sealed, in.Owner: &e.Content.OwnerSealed} {
		plain, err := proto.Marshal(data)
		require.NoError(t, err)
		*sealed, err = ws.Keys().Seal(plain)
		require.NoError(t, err)
	}
	value, err := proto.Marshal(in.Resolved)
	require.NoError(t, err)
	return stage.Record{
		Key: topic.PersonKey("acme", "pk"), Value: value,
		Headers: []stage.Header{{Key: stage.HeaderTraceParent, Value: []byte(traceParent)}},
	}
}

// sent splits what a batch caused into writes and outcomes.
func sent(t *testing.T, out *stage.Outbox) (writes []*streamv1.Write, outcomes []*streamv1.Outcome) {
	t.Helper()
	for _, m := range out.Messages() {
		require.Equal(t, traceParent, m.TraceParent)
		switch m.Topic {
		case topic.Writes:
			w := &streamv1.Write{}
			require.NoError(t, proto.Unmarshal(m.Value, w))
			require.Equal(t, "acme/main", string(m.Key))
			require.Equal(t, topic.TypeWrite, m.Type)
			require.Equal(t, w.GetWriteKey()+".43", m.ID)
			require.Equal(t, integrationtest.Left, m.Time)
			writes = append(writes, w)
		case topic.Outcomes:
			o := &streamv1.Outcome{}
			require.NoError(t, proto.Unmarshal(m.Value, o))
			outcomes = append(outcomes, o)
		default:
			require.Fail(t, "unexpected topic", m.Topic)
		}
	}
	return writes, outcomes
}

func TestProcess(t *testing.T) {
	t.Parallel()

	t.Run("SendsWritesToTheirConnection", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		out := b.driver.Process(b.record(t, integrationtest.Document()))
		writes, outcomes := sent(t, out)
		require.Empty(t, outcomes)
		require.Len(t, writes, 2)
		require.Equal(t, int64(5), writes[0].GetSettingsRevision())
		require.Equal(t, int64(2), b.tally.stats().Writes)
	})

	t.Run("SendsTheSameForARepeatedBatch", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		rec := b.record(t, integrationtest.Document())
		first, _ := sent(t, b.driver.Process(rec))
		b.driver.Rewind(0)
		b.driver.Restart()
		again, _ := sent(t, b.driver.Process(rec))
		require.Len(t, again, len(first))
		for n := range first {
			first[n].SealedFields, again[n].SealedFields = nil, nil // sealed with a fresh nonce
			require.True(t, proto.Equal(first[n], again[n]))
		}
	})

	t.Run("TellsWhyNothingIsWritten", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		in := integrationtest.Document()
		in.Resolved.Resolution = &streamv1.Resolution{Reason: streamv1.Reason_REASON_NO_MATCH}
		out := b.driver.Process(b.record(t, in))
		writes, outcomes := sent(t, out)
		require.Empty(t, writes)
		require.Empty(t, out.DeadLetters())
		require.Len(t, outcomes, 2)
		require.Equal(t, map[string]int64{"NO_MATCH": 1, "NO_TARGET": 1}, b.tally.stats().Refused)
		require.NotEqual(t, outcomes[0].GetOutcomeId(), outcomes[1].GetOutcomeId())
	})

	t.Run("APoisonedIntegrationIsDeadLetteredAndStopsNobody", func(t *testing.T) {
		t.Parallel()
		poisoned, err := recipe.Build("document-engagement", recipe.Params{
			Workspace: "acme", ID: "poisoned", Connection: "main", PackageInstalled: true, Condition: "1u / (engagement.views - 2u) > 0u",
		})
		require.NoError(t, err)
		b := setup(t, poisoned)
		rec := b.record(t, integrationtest.Document())
		out := b.driver.Process(rec, rec)
		writes, outcomes := sent(t, out)
		require.Len(t, writes, 4)
		require.Len(t, outcomes, 2)
		require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, outcomes[0].GetReason())
		require.Len(t, out.DeadLetters(), 2)
		require.Equal(t, "MAPPING_INVALID", out.DeadLetters()[0].Reason)
		require.Equal(t, "integration poisoned version 1, condition: division by zero; correct the condition", out.DeadLetters()[0].Detail)
	})

	t.Run("DeadLettersWhatItCannotRead", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		other := setup(t)
		change := func(f func(*streamv1.Resolved)) stage.Record {
			in := integrationtest.Document()
			f(in.Resolved)
			return b.record(t, in)
		}
		bad := []stage.Record{
			{Value: []byte("garbage")},
			{Value: nil},
			change(func(r *streamv1.Resolved) { r.Engagement.Workspace = "" }),
			change(func(r *streamv1.Resolved) { r.Engagement.Visit = nil }),
			change(func(r *streamv1.Resolved) { r.Engagement.Visit.LastActivityAt = nil }),
			change(func(r *streamv1.Resolved) { r.Connection = "" }),
			other.record(t, integrationtest.Document()), // sealed with another key
		}
		out := b.driver.Process(append(bad, b.record(t, integrationtest.Document()))...)
		writes, _ := sent(t, out)
		require.Len(t, writes, 2)
		require.Len(t, out.DeadLetters(), len(bad))
		for _, dl := range out.DeadLetters() {
			require.Equal(t, "BAD_SCHEMA", dl.Reason)
			require.NotContains(t, dl.Detail, "hanako")
		}
	})

	t.Run("WaitsForSettingsAndForNewerOnes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		in := integrationtest.Document()
		in.Resolved.Engagement.Workspace, in.Resolved.SettingsRevision = "newcomer", 6
		rec := b.record(t, in)
		_, err := b.driver.TryProcess(rec)
		require.ErrorContains(t, err, "waiting for newer settings")
		_, permanent := stage.PermanentReason(err)
		require.False(t, permanent)

		b.view = b.builder.Revision(6).View()
		out := b.driver.Process(rec)
		require.Equal(t, "BAD_TENANT", out.DeadLetters()[0].Reason)

		b.view = nil
		_, err = b.driver.TryProcess(rec)
		require.ErrorIs(t, err, errNoSettings)
	})
}

func FuzzProcess(f *testing.F) {
	in := integrationtest.Document()
	value, err := proto.Marshal(in.Resolved)
	require.NoError(f, err)
	f.Add(value)
	f.Add([]byte{})
	f.Add([]byte("garbage"))
	view := settingstest.New(f).Workspace("acme").Connection("main").View()
	mapper := decide.New(programs.New(1))
	f.Fuzz(func(t *testing.T, value []byte) {
		t.Parallel()
		run := &batchRun{view: view, mapper: mapper, now: time.Unix(0, 0), out: &stage.Outbox{}}
		if err := run.record(&stage.Record{Value: value}); err != nil {
			_, permanent := stage.PermanentReason(err)
			require.False(t, permanent)
		}
	})
}

func TestService(t *testing.T) {
	t.Parallel()

	t.Run("MapsFromTopicToTopicAndDrains", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		broker := stagetest.NewBroker()
		for _, name := range []string{topic.Resolved, topic.Writes, topic.Outcomes, topic.DeadLetters} {
			broker.Create(name, 2)
		}
		const records = 50
		for n := range records {
			broker.Append(topic.Resolved, n%2, b.record(t, integrationtest.Document()))
		}
		service, err := New(DefaultConfig(), Deps{
			Broker: broker, Settings: b.builder.Source(), DeadLetter: deadletter.Encode(b.builder.Installation()),
		})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- service.Run(ctx) }()
		require.Eventually(t, func() bool { return len(broker.Records(topic.Writes)) == 2*records }, time.Minute, 5*time.Millisecond)
		require.NoError(t, service.Ready())
		stop()
		require.NoError(t, <-done)
		require.Equal(t, int64(records), broker.Committed("tl-mapping"))
		require.Equal(t, int64(2*records), service.Stats().Writes)
		require.Equal(t, int64(records), service.Stats().Stage.In)
	})

	t.Run("IsNotReadyWithoutSettings", func(t *testing.T) {
		t.Parallel()
		service, err := New(DefaultConfig(), Deps{
			Broker: stagetest.NewBroker(), Settings: viewFunc(func() *settings.View { return nil }),
		})
		require.NoError(t, err)
		require.ErrorIs(t, service.Ready(), errNoSettings)
	})

	t.Run("RefusesAConfigurationByKey", func(t *testing.T) {
		t.Parallel()
		cfg := DefaultConfig()
		cfg.Programs, cfg.Stage.BatchRecords = 0, 0
		_, err := New(cfg, Deps{})
		require.ErrorContains(t, err, "programs must be between 1 and 1000000, not 0")
		require.ErrorContains(t, err, "batch_records")
		_, err = New(DefaultConfig(), Deps{Broker: stagetest.NewBroker()})
		require.ErrorContains(t, err, "no settings given")
	})
}

func TestARecordCanAskForTheNewestMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	later, err := recipe.Build("document-close-task", recipe.Params{Workspace: "acme", ID: "document-close-task", Connection: "main"})
	require.NoError(t, err)
	later.Version, later.EffectiveFrom = 2, timestamppb.New(integrationtest.Left.Add(time.Second))
	b.builder.Integration(later)
	b.view = b.builder.View()
	rec := b.record(t, integrationtest.Document())
	writes, _ := sent(t, b.driver.Process(rec))
	require.Len(t, writes, 2)
	i := slices.IndexFunc(writes, func(w *streamv1.Write) bool { return w.GetObject() == "Task" })
	require.EqualValues(t, 1, writes[i].GetIntegrationVersion())

	asked := &topic.Remap{Integration: "document-close-task", WriteKey: writes[i].GetWriteKey()}
	rec.Headers = append(rec.Headers, stage.Header{Key: topic.HeaderRemap, Value: []byte(asked.String())})
	again, outcomes := sent(t, b.driver.Process(rec))
	require.Empty(t, outcomes)
	require.Len(t, again, 1)
	require.EqualValues(t, 2, again[0].GetIntegrationVersion())
	require.Equal(t, writes[i].GetWriteKey(), again[0].GetWriteKey())
	require.Equal(t, writes[i].GetRevision(), again[0].GetRevision())

	rec.Headers[len(rec.Headers)-1].Value = []byte("nonsense")
	out := b.driver.Process(rec)
	require.Empty(t, out.Messages())
	require.Len(t, out.DeadLetters(), 1)
	require.Equal(t, "BAD_SCHEMA", out.DeadLetters()[0].Reason)
}
