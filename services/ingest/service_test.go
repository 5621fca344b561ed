package ingest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

type testBundle struct {
	builder *settingstest.Builder
	client  *kafka.Client
	cfg     ingest.Config
	deps    ingest.Deps
	addr    string
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{builder: settingstest.New(t).Workspace("acme").APIKey("k", "s3cr3t")}
	running, err := broker.Start(broker.Config{Partitions: 2})
	require.NoError(t, err)
	t.Cleanup(running.Close)
	b.client, err = kafka.New(kafka.DefaultConfig(running.Addr()...), kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(b.client.Close)
	var specs []kafka.TopicSpec
	for _, name := range []string{"viewing-events", topic.Activities, topic.Outcomes, topic.DeadLetters} {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: 2})
	}
	require.NoError(t, b.client.EnsureTopics(t.Context(), specs...))

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	b.addr = listener.Addr().String()
	b.cfg = ingest.DefaultConfig()
	b.cfg.Sources = []ingest.Source{{Topic: "viewing-events"}}
	b.deps = ingest.Deps{
		Broker: b.client, Publisher: b.client, Settings: b.builder.Source(), Sealer: b.builder.Installation(), Listener: listener,
	}
	return b
}

// start runs the service and returns it with a function that stops it and waits until it has drained.
func (b *testBundle) start(t *testing.T) (*ingest.Service, func()) {
	t.Helper()
	s, err := ingest.New(b.cfg, b.deps)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func eventJSON(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"s","type":"throughline.video.ended.v1","time":"` +
		time.Now().UTC().Format(time.RFC3339) + `","workspace":"acme","session":"` + id + `","data":{"content":{"id":"c"},` +
		`"viewer":{"email":"taro@customer.example","evidence":"signed_in"},"completed":true}}`
}

func raw(i int, value string) stage.Message {
	return stage.Message{Topic: "viewing-events", Key: []byte("k" + strconv.Itoa(i)), Value: []byte(value)}
}

func (b *testBundle) read(t *testing.T, name string) []stage.Record {
	t.Helper()
	var records []stage.Record
	err := b.client.Scan(t.Context(), kafka.ScanRequest{Topic: name, Visit: func(r stage.Record) bool {
		r.Key, r.Value = []byte(string(r.Key)), []byte(string(r.Value))
		headers := make([]stage.Header, len(r.Headers))
		for i, h := range r.Headers {
			headers[i] = stage.Header{Key: h.Key, Value: []byte(string(h.Value))}
		}
		r.Headers = headers
		records = append(records, r)
		return true
	}})
	require.NoError(t, err)
	return records
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, time.Minute, 10*time.Millisecond)
}

func TestServiceCarriesEventsFromKafkaAndHTTP(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-1")
	t.Attr("requirement", "XC-28")
	b := setup(t)
	garbage := "\xffgarbage of taro@customer.example"
	for i := range 50 {
		require.NoError(t, b.client.Publish(t.Context(), raw(i, eventJSON("kafka-"+strconv.Itoa(i)))))
	}
	require.NoError(t, b.client.Publish(t.Context(), raw(99, garbage)))
	s, stop := b.start(t)
	waitFor(t, func() bool { return s.Stats().In == 51 })

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.addr+"/v1/events", strings.NewReader(eventJSON("http-1")))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer tl_acme_k_s3cr3t")
	req.Header.Set("Content-Type", "application/cloudevents+json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	require.NoError(t, s.Ready())
	stop()

	ids := map[string]bool{}
	for _, r := range b.read(t, topic.Activities) {
		ids[string(r.Header(stage.HeaderID))] = true
		require.Equal(t, topic.TypeActivity, string(r.Header(stage.HeaderType)))
		require.Len(t, r.TraceParent(), 55)
		require.NotContains(t, string(r.Value), "taro")
	}
	require.Len(t, ids, 51)
	require.True(t, ids["http-1"])

	letters := b.read(t, topic.DeadLetters)
	require.Len(t, letters, 1)
	letter := &streamv1.DeadLetter{}
	require.NoError(t, proto.Unmarshal(letters[0].Value, letter))
	require.Equal(t, streamv1.Reason_REASON_BAD_SCHEMA, letter.GetReason())
	require.Equal(t, "ingest", letter.GetStage())
	original, err := deadletter.Open(b.builder.Installation(), letter)
	require.NoError(t, err)
	require.Equal(t, garbage, string(original.Value))
	require.NotContains(t, string(letters[0].Value), "taro")
	require.Equal(t, map[string]int64{"BAD_SCHEMA": 1}, s.Stats().Rejected)
	require.Zero(t, s.SourceStats()["viewing-events"].Lag())
}

func TestServiceGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Listener = nil
	for round := range 3 {
		s, stop := b.start(t)
		for i := range 20 {
			id := strconv.Itoa(round) + "-" + strconv.Itoa(i)
			require.NoError(t, b.client.Publish(t.Context(), raw(i, eventJSON(id))))
		}
		waitFor(t, func() bool { return s.Stats().In == 20 })
		stop()
	}
	require.Len(t, b.read(t, topic.Activities), 60, "a drained service leaves nothing to repeat")
}

func TestServiceExposesWhatItCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Listener = nil
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	b.deps.Meter = provider
	require.NoError(t, b.client.Publish(t.Context(), raw(1, eventJSON("e")), raw(2, "garbage")))
	s, stop := b.start(t)
	waitFor(t, func() bool { return s.Stats().In == 2 })
	stop()
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &collected))
	counts := map[string]int64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "throughline.ingest.events" {
				for _, point := range sum.DataPoints {
					outcome, _ := point.Attributes.Value("throughline.outcome")
					reason, _ := point.Attributes.Value("throughline.reason")
					counts[outcome.AsString()+"/"+reason.AsString()] = point.Value
				}
			}
		}
	}
	require.Equal(t, map[string]int64{"accepted/": 1, "rejected/BAD_SCHEMA": 1}, counts)
	require.NoError(t, provider.Shutdown(t.Context()))
}

func TestServiceServesTLS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var roots *x509.CertPool
	b.cfg.HTTP.CertFile, b.cfg.HTTP.KeyFile, roots = certificate(t)
	_, stop := b.start(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.addr+"/v1/events", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	stop()
}

func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return certFile, keyFile, roots
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := ingest.New(ingest.DefaultConfig(), ingest.Deps{})
	require.ErrorContains(t, err, "no settings")

	cfg := ingest.DefaultConfig()
	cfg.HTTP.Addr = ":0"
	cfg.MaxEventBytes, cfg.SubjectCache, cfg.TraceRatio, cfg.MaxAhead = 0, 0, 2, -1
	cfg.Sources = []ingest.Source{{Topic: "a"}, {Topic: "a", Format: "xml"}, {Workspace: "A/B"}}
	_, err = ingest.New(cfg, ingest.Deps{})
	for _, name := range []string{
		"max_event_bytes", "max_ahead", "subject_cache", "trace_ratio", "sources[1].topic", "sources[1].format",
		"sources[2].topic", "sources[2].workspace", "broker", "publisher",
	} {
		require.ErrorContains(t, err, name)
	}
}

func TestServiceWithNothingToDoStopsWhenTold(t *testing.T) {
	t.Parallel()
	s, err := ingest.New(ingest.DefaultConfig(), ingest.Deps{Settings: settingstest.New(t).Source()})
	require.NoError(t, err)
	require.NoError(t, s.Ready())
	for range 200 { // starting and stopping is safe at any moment
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		cancel()
		require.NoError(t, <-done)
	}
}

func TestRunReportsAnAddressThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Listener, b.cfg.Sources = nil, nil
	b.cfg.HTTP.Addr = "256.0.0.1:1"
	s, err := ingest.New(b.cfg, b.deps)
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "listen")
}
