package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/ingest/edge"
	"github.com/throughline-dev/throughline/services/ingest/event"
	"github.com/throughline-dev/throughline/services/ingest/intake"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const (
	key  = "tl_acme_player_s3cr3t_with_underscores"
	when = "2026-11-23T09:10:11Z"
)

var now = time.Date(2026, 11, 23, 9, 10, 12, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time { return now }

// kafka records what is published; hook, if set, runs first.
type kafka struct {
	mu       sync.Mutex
	messages []stage.Message
	hook     func(context.Context) error
}

func (k *kafka) Publish(ctx context.Context, messages ...stage.Message) error {
	if k.hook != nil {
		if err := k.hook(ctx); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.messages = append(k.messages, messages...)
	return nil
}

func (k *kafka) topics() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	byTopic := map[string]int{}
	for _, m := range k.messages {
		byTopic[m.Topic]++
	}
	return byTopic
}

type observer struct {
	mu   sync.Mutex
	seen []intake.Decision
}

func (o *observer) Observe(_ string, d *intake.Decision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, *d)
}

type source struct{ view *settings.View }

func (s source) View() *settings.View { return s.view }

type testBundle struct {
	cfg      edge.Config
	deps     edge.Deps
	kafka    *kafka
	observer *observer
}

func setup(tb testing.TB) *testBundle {
	tb.Helper()
	builder := settingstest.New(tb).
		Workspace("acme").APIKey("player", "s3cr3t_with_underscores").Content("untracked", false).
		APIKey("old", "s3cr3t", func(k *configv1.ApiKey) { k.ExpiresAt = timestamppb.New(now) }).
		Workspace("globex").APIKey("player", "other")
	b := &testBundle{cfg: edge.DefaultConfig(), kafka: &kafka{}, observer: &observer{}}
	subjects := intake.NewSubjects(100)
	b.deps = edge.Deps{
		Logger: slog.New(slog.DiscardHandler), Clock: clock{}, Publisher: b.kafka, Observer: b.observer,
		Settings:  source{builder.View()},
		NewIntake: func() *intake.Intake { return intake.New(intake.DefaultLimits(), subjects, intake.Tracing{Ratio: 1}) },
	}
	return b
}

func eventJSON(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"s","type":"throughline.document.page_viewed.v1","time":"` + when +
		`","session":"s","data":{"content":{"id":"c","pageCount":9},"viewer":{"email":"taro@customer.example","evidence":"asked"},"page":2,"dwellSeconds":3}}`
}

func request(contentType string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, edge.Path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+key)
	return r
}

func (b *testBundle) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	edge.NewHandler(b.cfg, b.deps).ServeHTTP(w, r)
	return w
}

func body[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return v
}

func gzipped(t *testing.T, value []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := z.Write(value)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return buf.Bytes()
}

func TestEventIsStoredInEveryForm(t *testing.T) {
	t.Parallel()
	parsed, err := event.NewDecoder().Structured([]byte(eventJSON("e1")))
	require.NoError(t, err)
	bare, err := proto.Marshal(parsed)
	require.NoError(t, err)
	binary := request("application/json", []byte(`{"content":{"id":"c","pageCount":9},"viewer":{"email":"taro@customer.example","evidence":"asked"},"page":2,"dwellSeconds":3}`))
	for name, value := range map[string]string{
		"specversion": "1.0", "id": "e1", "source": "s", "type": event.TypePageViewed, "time": when, "session": "s", "workspace": "acme",
	} {
		binary.Header.Set("Ce-"+name, value)
	}
	zipped := request("application/cloudevents+json", gzipped(t, []byte(eventJSON("e1"))))
	zipped.Header.Set("Content-Encoding", "gzip")

	for name, r := range map[string]*http.Request{
		"structured": request("application/cloudevents+json; charset=utf-8", []byte(eventJSON("e1"))),
		"plain JSON": request("application/json", []byte(eventJSON("e1"))),
		"binary":     binary,
		"protobuf":   request("application/protobuf", bare),
		"gzip":       zipped,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := b.do(r)
			require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
			require.Equal(t, edge.Result{ID: "e1", Status: "ACCEPTED"}, body[edge.Result](t, w))
			require.Equal(t, map[string]int{topic.Activities: 1}, b.kafka.topics())
			require.Equal(t, "acme/s", string(b.kafka.messages[0].Key), "the tenant is the key's")
			require.NotContains(t, string(b.kafka.messages[0].Value), "taro")
		})
	}
}

func TestAnswerWaitsForKafka(t *testing.T) {
	t.Parallel()
	b := setup(t)
	acknowledge, answered := make(chan struct{}), make(chan int)
	b.kafka.hook = func(context.Context) error { <-acknowledge; return nil }
	go func() { answered <- b.do(request("application/json", []byte(eventJSON("e1")))).Code }()
	select {
	case code := <-answered:
		require.Fail(t, "answered before Kafka did", "%d", code)
	case acknowledge <- struct{}{}:
	}
	require.Equal(t, http.StatusAccepted, <-answered)
}

func TestEventThatKafkaDidNotTakeIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.kafka.hook = func(context.Context) error { return errors.New("broker away") }
	w := b.do(request("application/json", []byte(eventJSON("e1"))))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Equal(t, "UNAVAILABLE", body[edge.Problem](t, w).Reason)
	require.Empty(t, b.observer.seen)
}

func TestEventThatKafkaCanNeverTakeIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.kafka.hook = func(context.Context) error {
		return fmt.Errorf("publishing: %w", &stage.TooLargeError{Topic: topic.Activities, ID: "e1", Bytes: 2 << 20})
	}
	w := b.do(request("application/json", []byte(eventJSON("e1"))))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.Empty(t, w.Header().Get("Retry-After"))
	problem := body[edge.Problem](t, w)
	require.Equal(t, "TOO_LARGE", problem.Reason)
	require.Equal(t, "e1", problem.ID)
	require.Empty(t, b.observer.seen)
}

func TestRejectedEventIsAnsweredWithItsReason(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		value  string
		status int
		reason string
	}{
		"bad schema": {strings.Replace(eventJSON("e1"), `"page":2`, `"page":0`, 1), http.StatusBadRequest, "BAD_SCHEMA"},
		"garbage":    {"\xff\x00", http.StatusBadRequest, "BAD_SCHEMA"},
		"bad tenant": {strings.Replace(eventJSON("e1"), `"id"`, `"workspace":"globex","id"`, 1), http.StatusForbidden, "BAD_TENANT"},
		"bad time":   {strings.Replace(eventJSON("e1"), "2026", "2027", 1), http.StatusBadRequest, "BAD_TIME"},
		"bad email":  {strings.Replace(eventJSON("e1"), `"taro@customer.example","evidence":"asked"`, `"taro","evidence":"signed_in"`, 1), http.StatusBadRequest, "BAD_EMAIL"},
		"too large":  {strings.Replace(eventJSON("e1"), `"id":"c"`, `"id":"c","title":"`+strings.Repeat("x", 256<<10)+`"`, 1), http.StatusRequestEntityTooLarge, "TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := b.do(request("application/json", []byte(tc.value)))
			require.Equal(t, tc.status, w.Code, w.Body.String())
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			p := body[edge.Problem](t, w)
			require.Equal(t, tc.reason, p.Reason)
			require.Equal(t, tc.status, p.Status)
			require.NotEmpty(t, p.Detail)
			require.NotContains(t, p.Detail, "globex")
			require.Zero(t, b.kafka.topics()[topic.Activities])
			require.Zero(t, b.kafka.topics()[topic.DeadLetters], "the producer holds it still")
		})
	}
}

func TestSkippedEventIsAcceptedAndSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do(request("application/json", []byte(strings.Replace(eventJSON("e1"), `"id":"c"`, `"id":"untracked"`, 1))))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "TRACKING_OFF", body[edge.Result](t, w).Reason)
	require.Equal(t, map[string]int{topic.Outcomes: 1}, b.kafka.topics())
}

func TestBatchIsAnsweredPerEvent(t *testing.T) {
	t.Parallel()
	bad := strings.Replace(eventJSON("e2"), `"page":2`, `"page":"two"`, 1)
	untracked := strings.Replace(eventJSON("e3"), `"id":"c"`, `"id":"untracked"`, 1)
	for name, r := range map[string]*http.Request{
		"array":  request("application/cloudevents-batch+json", []byte("["+strings.Join([]string{eventJSON("e1"), bad, untracked, eventJSON("e4")}, ",\n")+"]")),
		"NDJSON": request("application/x-ndjson", []byte(strings.Join([]string{eventJSON("e1"), bad, untracked, "", eventJSON("e4")}, "\r\n"))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := b.do(r)
			require.Equal(t, http.StatusMultiStatus, w.Code, w.Body.String())
			s := body[edge.Summary](t, w)
			require.Equal(t, []int{2, 1, 1}, []int{s.Accepted, s.Skipped, s.Rejected})
			require.Len(t, s.Results, 2)
			require.Equal(t, 1, s.Results[0].Index)
			require.Equal(t, "BAD_SCHEMA", s.Results[0].Reason)
			require.Equal(t, "SKIPPED", s.Results[1].Status)
			require.Equal(t, "e3", s.Results[1].ID)
			require.Equal(t, map[string]int{topic.Activities: 2, topic.Outcomes: 2}, b.kafka.topics())
			require.Len(t, b.observer.seen, 4)
		})
	}
}

func TestBatchOfGoodEventsIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do(request("application/x-ndjson", []byte(strings.Repeat(eventJSON("e")+"\n", 1000))))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, edge.Summary{Accepted: 1000}, body[edge.Summary](t, w))
}

func TestRequestThatCannotBeReadIsRefusedWhole(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	big := bytes.Repeat([]byte(" "), 10<<20)
	for name, tc := range map[string]struct {
		contentType, encoding string
		body                  []byte
		status                int
	}{
		"over the limit":         {"application/json", "", append(big, '{'), http.StatusRequestEntityTooLarge},
		"bomb":                   {"application/json", "gzip", gzipped(t, bytes.Repeat([]byte(" "), 11<<20)), http.StatusRequestEntityTooLarge},
		"no gzip at all":         {"application/json", "gzip", []byte("{}"), http.StatusBadRequest},
		"gzip cut off":           {"application/json", "gzip", gzipped(t, []byte(eventJSON("e")))[:30], http.StatusBadRequest},
		"other encoding":         {"application/json", "br", []byte("{}"), http.StatusUnsupportedMediaType},
		"other type":             {"text/plain", "", []byte("{}"), http.StatusUnsupportedMediaType},
		"no type":                {"", "", []byte("{}"), http.StatusUnsupportedMediaType},
		"broken type":            {"a/b/c;;", "", []byte("{}"), http.StatusUnsupportedMediaType},
		"batch that is no array": {"application/cloudevents-batch+json", "", []byte("{}"), http.StatusBadRequest},
		"batch that breaks off":  {"application/cloudevents-batch+json", "", []byte("[" + eventJSON("e") + ","), http.StatusBadRequest},
		"batch with an appendix": {"application/cloudevents-batch+json", "", []byte("[" + eventJSON("e") + "]x"), http.StatusBadRequest},
		"batch in invalid UTF-8": {"application/cloudevents-batch+json", "", []byte("[\"\xff\"]"), http.StatusBadRequest},
		"empty batch":            {"application/cloudevents-batch+json", "", []byte("[]"), http.StatusBadRequest},
		"empty lines":            {"application/x-ndjson", "", []byte("\n \n"), http.StatusBadRequest},
		"too many events":        {"application/x-ndjson", "", bytes.Repeat([]byte("{}\n"), 10_001), http.StatusRequestEntityTooLarge},
		"too many events, array": {"application/cloudevents-batch+json", "", append(append([]byte("["), bytes.Repeat([]byte("1,"), 10_001)...), "1]"...), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := request(tc.contentType, tc.body)
			r.Header.Set("Content-Encoding", tc.encoding)
			w := b.do(r)
			require.Equal(t, tc.status, w.Code, w.Body.String())
			require.NotEmpty(t, body[edge.Problem](t, w).Reason)
			require.Empty(t, b.kafka.messages)
		})
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, edge.DefaultConfig().Validate())
	err := edge.Config{CertFile: "x", Burst: -1}.Validate()
	for _, name := range []string{"cert_file", "body_bytes", "batch_events", "in_flight", "events_per_second", "burst", "read_timeout", "request_timeout", "drain_timeout"} {
		require.ErrorContains(t, err, "http."+name)
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("application/cloudevents-batch+json", "", []byte("["+eventJSON("e")+"]"))
	f.Add("application/x-ndjson", "gzip", []byte("\x1f\x8b"))
	f.Add("application/protobuf", "", []byte("\x0a\x01a"))
	f.Add("application/json", "", []byte("\xff"))
	b := setup(f)
	b.deps.Publisher = &discard{}
	b.cfg.EventsPerSecond, b.cfg.Burst = 1<<40, 1<<40
	h := edge.NewHandler(b.cfg, b.deps)
	f.Fuzz(func(t *testing.T, contentType, encoding string, value []byte) {
		r := request(contentType, value)
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Contains(t, []int{202, 207, 400, 403, 413, 415}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
		_, err := io.Copy(io.Discard, w.Body)
		require.NoError(t, err)
		b.observer.mu.Lock()
		b.observer.seen = nil
		b.observer.mu.Unlock()
	})
}

type discard struct{}

func (*discard) Publish(context.Context, ...stage.Message) error { return nil }
