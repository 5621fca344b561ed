package ingest

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const customerTopic = "viewing-events"

var now = time.Date(2026, 11, 23, 9, 10, 12, 0, time.UTC)

type clock struct{ now time.Time }

func (c clock) Now() time.Time { return c.now }

type noSettings struct{}

func (noSettings) View() *settings.View { return nil }

type testBundle struct {
	builder *settingstest.Builder
	service *Service
	source  Source
	out     stage.Outbox
}

func setup(tb testing.TB) *testBundle {
	tb.Helper()
	b := &testBundle{
		builder: settingstest.New(tb).Workspace("acme").Content("untracked", false).Workspace("globex"),
		source:  Source{Topic: customerTopic},
	}
	service, err := New(DefaultConfig(), Deps{Settings: b.builder.Source(), Clock: clock{now}})
	require.NoError(tb, err)
	b.service = service
	return b
}

func TestAFloodWaitsInItsOwnTopic(t *testing.T) {
	t.Attr("requirement", "XC-15")
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.source.EventsPerSecond, b.source.Workspace = 10, "acme"
		flood, other := b.processor(), b.processor()
		other.pace = nil
		flood.pace = newPace(b.source)
		batch := make([]stage.Record, 100) // what they hold does not matter
		started := time.Now()
		require.NoError(t, flood.Process(t.Context(), batch, &b.out))
		require.Equal(t, 9*time.Second, time.Since(started), "ten at once, and ten a second")
		require.NoError(t, other.Process(t.Context(), batch, &b.out))
		require.Equal(t, 9*time.Second, time.Since(started), "others are not held up")

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, flood.Process(ctx, batch, &b.out), context.Canceled, "a stop does not wait for the pace")
	})
}

func TestABatchOfAPacedSourcePassesWithinASecond(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	require.Equal(t, cfg.Stage.BatchRecords, cfg.StageOf(Source{Topic: customerTopic}).BatchRecords)
	require.Equal(t, 10, cfg.StageOf(Source{Topic: customerTopic, EventsPerSecond: 10}).BatchRecords)
	require.Equal(t, cfg.Stage.BatchRecords, cfg.StageOf(Source{Topic: customerTopic, EventsPerSecond: 1_000_000}).BatchRecords)
}

func (b *testBundle) processor() *processor {
	return &processor{
		source: b.source, settings: b.service.deps.Settings, clock: b.service.deps.Clock,
		observer: b.service.tally, intake: b.service.newIntake(),
	}
}

func eventJSON(i int) string {
	n := strconv.Itoa(i)
	return `{"specversion":"1.0","id":"0190a1b2-c3d4-7e5f-8a9b-` + strings.Repeat("0", 12-len(n)) + n + `","source":"https://video.example",` +
		`"type":"throughline.video.progress.v1","time":"2026-11-23T09:10:11.123Z","workspace":"acme",` +
		`"session":"s-` + strconv.Itoa(i/20) + `","data":{"content":{"id":"video-` + strconv.Itoa(i%300) + `",` +
		`"title":"製品紹介 – product tour","url":"https://video.example/w/video-000123","lengthSeconds":372.5,` +
		`"ownerEmail":"owner@acme.example","ownerName":"Owner Name","publishedAt":"2026-10-01T00:00:00Z"},` +
		`"viewer":{"email":"viewer.` + strconv.Itoa(i/40) + `@customer.example","evidence":"signed_in","name":"Taro Yamada"},` +
		`"ranges":[{"from":12.5,"to":22.5},{"from":30,"to":40.25}]}}`
}

func record(offset int, value string, headers ...string) stage.Record {
	r := stage.Record{Topic: customerTopic, Partition: 2, Offset: int64(offset), Time: now, Key: []byte("k"), Value: []byte(value)}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, stage.Header{Key: headers[i], Value: []byte(headers[i+1])})
	}
	return r
}

func TestProcessSettlesEveryRecordOneWayOrAnother(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-1")
	b := setup(t)
	batch := []stage.Record{
		record(0, eventJSON(0)),
		record(1, "\xff\x00garbage"),
		record(2, strings.Replace(eventJSON(2), "video-2", "untracked", 1)),
		record(3, strings.Replace(eventJSON(3), `"acme"`, `"nobody"`, 1)),
		record(4, ""),
		record(5, strings.Repeat("x", 10<<20)),
		record(6, eventJSON(6)),
	}
	require.NoError(t, b.processor().Process(t.Context(), batch, &b.out))

	byTopic := map[string]int{}
	for _, m := range b.out.Messages() {
		byTopic[m.Topic]++
	}
	require.Equal(t, map[string]int{topic.Activities: 2, topic.Outcomes: 1}, byTopic, "no tenant is told of events that name none")
	reasons := map[int64]string{}
	for _, d := range b.out.DeadLetters() {
		reasons[d.Record.Offset] = d.Reason
		require.Equal(t, batch[d.Record.Offset].Value, d.Record.Value, "with its original bytes")
	}
	require.Equal(t, map[int64]string{1: "BAD_SCHEMA", 3: "BAD_TENANT", 4: "BAD_SCHEMA", 5: "TOO_LARGE"}, reasons)

	stats := b.service.Stats()
	require.EqualValues(t, 7, stats.In)
	require.EqualValues(t, 2, stats.Accepted)
	require.Equal(t, map[string]int64{"BAD_SCHEMA": 2, "BAD_TENANT": 1, "TOO_LARGE": 1}, stats.Rejected)
	require.Equal(t, map[string]int64{"TRACKING_OFF": 1}, stats.Skipped)
}

func TestProcessTellsTheBoundTenantOfEveryRejection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Workspace = "acme"
	batch := []stage.Record{record(7, "garbage"), record(8, strings.Repeat("x", 300<<10))}
	require.NoError(t, b.processor().Process(t.Context(), batch, &b.out))
	require.Len(t, b.out.DeadLetters(), 2)
	require.Len(t, b.out.Messages(), 2)
	seen := map[string]bool{}
	for _, m := range b.out.Messages() {
		require.Equal(t, topic.Outcomes, m.Topic)
		require.Contains(t, string(m.Key), "acme/")
		seen[m.ID] = true
	}
	require.Len(t, seen, 2, "records without an id are told apart by their place")
}

func TestProcessReadsEveryForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, err := event.NewDecoder().Structured([]byte(eventJSON(1)))
	require.NoError(t, err)
	bare, err := proto.Marshal(e)
	require.NoError(t, err)
	_, data, _ := strings.Cut(eventJSON(1), `"data":`)
	batch := []stage.Record{
		record(0, eventJSON(1)),
		record(1, eventJSON(1), "content-type", "application/cloudevents+json; charset=UTF-8"),
		record(2, strings.TrimSuffix(data, "}"), "ce_specversion", "1.0", "ce_id", e.GetId(), "ce_source", "x",
			"ce_type", event.TypeVideoProgress, "ce_time", "2026-11-23T09:10:11.123Z", "ce_workspace", "acme",
			"ce_session", e.GetSession(), "content-type", "application/json"),
		record(3, string(bare), "content-type", "application/protobuf"),
	}
	require.NoError(t, b.processor().Process(t.Context(), batch, &b.out))
	b.source.Format = FormatProtobuf
	require.NoError(t, b.processor().Process(t.Context(), []stage.Record{record(4, string(bare))}, &b.out))

	require.Empty(t, b.out.DeadLetters())
	require.Len(t, b.out.Messages(), 5)
	for _, m := range b.out.Messages() {
		require.Equal(t, b.out.Messages()[0].Value, m.Value)
	}
}

func TestProcessComesOutTheSameWhenRepeatedLater(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-6")
	b := setup(t)
	batch := []stage.Record{record(0, eventJSON(0)), record(1, "garbage")}
	p := b.processor()
	require.NoError(t, p.Process(t.Context(), batch, &b.out))
	var again stage.Outbox
	p.clock = clock{now.Add(90 * 24 * time.Hour)}
	require.NoError(t, p.Process(t.Context(), batch, &again))
	require.Equal(t, b.out.Messages(), again.Messages())
	require.Len(t, again.DeadLetters(), 1)
}

func TestProcessDoesNotBelieveARecordTimeInTheFuture(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rec := record(0, strings.Replace(eventJSON(0), "2026-11-23T", "2027-11-23T", 1))
	rec.Time = now.Add(366 * 24 * time.Hour)
	require.NoError(t, b.processor().Process(t.Context(), []stage.Record{rec}, &b.out))
	require.Equal(t, "BAD_TIME", b.out.DeadLetters()[0].Reason)
}

func TestProcessWaitsForSettingsAndBlamesNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.processor()
	p.settings = noSettings{}
	err := p.Process(t.Context(), []stage.Record{record(0, eventJSON(0))}, &b.out)
	require.ErrorIs(t, err, errNoSettings)
	_, permanent := stage.PermanentReason(err)
	require.False(t, permanent)
	require.Empty(t, b.out.DeadLetters())
}

func TestDeadLetterOfACustomerTopicNamesTheTenantItClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	encode := deadletter.EncodeFor(b.builder.Installation(), func(rec *stage.Record) string {
		return b.service.workspaceOf(b.source, rec)
	})
	for value, want := range map[string]string{
		strings.Replace(eventJSON(0), `"from":12.5`, `"from":"x"`, 1): "acme",
		strings.Replace(eventJSON(0), `"acme"`, `"nobody"`, 1):        "",
		"garbage":                         "",
		strings.Repeat(eventJSON(0), 500): "",
	} {
		m, err := encode(stage.DeadLetter{Stage: "ingest", Reason: "BAD_SCHEMA", Record: record(0, value)})
		require.NoError(t, err)
		letter := &streamv1.DeadLetter{}
		require.NoError(t, proto.Unmarshal(m.Value, letter))
		require.Equal(t, want, letter.GetWorkspace())
		require.NotContains(t, string(m.Value), "customer.example")
	}
}

func TestIntruderIsAuditedOnceAMinuteWithoutSayingWhatItClaimed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var log bytes.Buffer
	b.service.tally.logger = slog.New(slog.NewTextHandler(&log, nil))
	b.source.Workspace = "globex"
	require.NoError(t, b.processor().Process(t.Context(), []stage.Record{record(0, eventJSON(0)), record(1, eventJSON(1))}, &b.out))
	require.Len(t, b.out.DeadLetters(), 2)
	require.Equal(t, 1, strings.Count(log.String(), "security audit"))
	require.Contains(t, log.String(), "workspace=globex")
	require.NotContains(t, log.String(), "acme")
}

func FuzzProcess(f *testing.F) {
	f.Add([]byte(eventJSON(0)), "", "")
	f.Add([]byte("\x0a\x01a\xff"), "content-type", "application/protobuf")
	f.Add([]byte(`{"content":{"id":"c"},"page":1}`), "ce_specversion", "1.0")
	f.Add([]byte(strings.Repeat(`{"a":`, 5000)), "", "")
	b := setup(f)
	p := b.processor()
	f.Fuzz(func(t *testing.T, value []byte, key, header string) {
		var out stage.Outbox
		rec := record(0, string(value), key, header)
		require.NoError(t, p.Process(t.Context(), []stage.Record{rec}, &out), "whatever a record holds, it causes no error")
		require.NotEmpty(t, len(out.Messages())+len(out.DeadLetters()), "and is never dropped")
	})
}

// BenchmarkProcess is a batch of 2,000 events; ns/event is what counts. The first sub-benchmark finds
// every viewer in the cache, as steady traffic nearly does; the second seals a new viewer for every event.
func BenchmarkProcess(b *testing.B) {
	b.Run("known viewers", func(b *testing.B) { benchmarkProcess(b, setup(b), eventJSON) })
	b.Run("new viewers", func(b *testing.B) {
		bundle := setup(b)
		bundle.service.subjects = intake.NewSubjects(500)
		benchmarkProcess(b, bundle, func(i int) string {
			return strings.Replace(eventJSON(i), "viewer.", "viewer."+strconv.Itoa(i)+".", 1)
		})
	})
}

func benchmarkProcess(b *testing.B, bundle *testBundle, eventJSON func(i int) string) {
	b.Helper()
	batch := make([]stage.Record, 2000)
	for i := range batch {
		batch[i] = record(i, eventJSON(i))
	}
	p := bundle.processor()
	b.ReportAllocs()
	for b.Loop() {
		bundle.out.Reset()
		if err := p.Process(b.Context(), batch, &bundle.out); err != nil {
			b.Fatal(err)
		}
	}
	if n := len(bundle.out.DeadLetters()); n > 0 {
		b.Fatal(n, bundle.out.DeadLetters()[0].Detail)
	}
	perEvent := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(len(batch))
	b.ReportMetric(perEvent, "ns/event")
	b.ReportMetric(1e9/perEvent, "events/s")
}
