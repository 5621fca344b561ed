package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/telemetry"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// Personal data that the test plants; every piece is found nowhere else.
const (
	plantedViewer = "Viewer.Zebrafink@Kunde-Geheim.example"
	plantedOwner  = "owner.eisvogel@firma-geheim.example"
	plantedName   = "Zora Zebrafinkova"
	plantedBoss   = "Oskar Eisvogelson"
	plantedTypo   = "typo.zebrafink@@kunde-geheim"
)

// forbidden are what nothing may hold but the customer's own topic and Salesforce, in lower case.
func forbidden(secrets ...string) map[string]string {
	words := map[string]string{
		"the viewer's address": "zebrafink", "the viewer's domain": "kunde-geheim", "the owner's address": "eisvogel",
		"the owner's domain": "firma-geheim", "the viewer's name": "zora", "the owner's name": "oskar",
	}
	for i, s := range secrets {
		words[fmt.Sprintf("secret %d", i)] = strings.ToLower(s)
	}
	return words
}

// pages collects everything that was written somewhere, by where.
type pages struct {
	mu    sync.Mutex
	texts map[string]*bytes.Buffer
}

func (p *pages) add(where string, texts ...[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts == nil {
		p.texts = map[string]*bytes.Buffer{}
	}
	if p.texts[where] == nil {
		p.texts[where] = &bytes.Buffer{}
	}
	for _, text := range texts {
		p.texts[where].Write(text)
		p.texts[where].WriteByte('\n')
	}
}

// log is a writer for log lines.
type logPage struct{ *pages }

// Write implements io.Writer.
func (l logPage) Write(line []byte) (int, error) {
	l.add("logs", line)
	return len(line), nil
}

// check looks for what must be nowhere.
func (p *pages) check(t *testing.T, words map[string]string) {
	t.Helper()
	for where, text := range p.texts {
		all := text.Bytes()
		lower := bytes.Clone(all)
		for i, c := range lower { // much of it is no text
			if 'A' <= c && c <= 'Z' {
				lower[i] = c + 'a' - 'A'
			}
		}
		for what, word := range words {
			if i := bytes.Index(lower, []byte(word)); i >= 0 {
				t.Errorf("%s hold %s: …%q…", where, what, all[max(0, i-120):min(len(all), i+120)])
			}
		}
	}
}

// Promise 8. A run in which everything goes wrong that can make somebody quote what they should not, at log level debug,
// with every span sampled.
func TestNothingPersonalAndNoSecretGetsOut(t *testing.T) {
	t.Attr("requirement", "XC-27")
	t.Attr("requirement", "XC-28")
	rig.Parallel(t)
	var out pages
	spans := tracetest.NewInMemoryExporter()
	r := rig.New(t, rig.Options{Log: logPage{&out}, Spans: []telemetry.Option{telemetry.WithSpanExporter(spans)}})
	r.StartConfig()
	process := r.Start("all")
	refresh := "planted-refresh-" + rand.Text()
	plant(r, refresh)
	key, err := r.Config.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{Workspace: "acme", Id: "player"}})
	require.NoError(t, err)
	process.AwaitSettings()

	entered := "planted-entered-" + rand.Text()
	refuseSecrets(t, r, entered, &out)
	material := rotateKeys(t, r, &out)
	provoke(t, r, poster{t: t, url: process.Endpoint(), key: key.GetSecret()}, &out)
	r.Eventually(func() bool { return len(r.Records("acme", "Engagement__c")) > 0 }, "rows are written")
	failed := func() []*streamv1.Outcome {
		return r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", Status: streamv1.Status_STATUS_FAILED})
	}
	r.Eventually(func() bool {
		return slices.ContainsFunc(failed(), func(o *streamv1.Outcome) bool { return strings.Contains(o.GetDetail(), "No to-do about") }) &&
			slices.ContainsFunc(failed(), func(o *streamv1.Outcome) bool { return strings.Contains(o.GetDetail(), "A trigger does not like") })
	}, "the org refuses a to-do and a row in words of its own")
	r.Eventually(func() bool { return len(r.Topic(topic.Unresolved))+len(r.Topic(topic.Parked)) > 0 }, "the dead org makes events wait")
	r.Eventually(func() bool { return len(r.Topic(topic.DeadLetters)) >= 4 }, "bad input is put aside")
	// What the org holds shows that the planted data went the whole way.
	require.Contains(t, fmt.Sprint(r.Records("acme", "Engagement__c")), strings.ToLower(plantedViewer))
	require.Contains(t, fmt.Sprint(r.Records("acme", "Engagement__c")), plantedBoss)

	token := accessToken(t, r)
	collect(t, r, process, &out)
	for _, s := range spans.GetSpans() {
		out.add("spans", fmt.Appendf(nil, "%+v %+v %+v %+v %+v %s", s.Name, s.Attributes, s.Events, s.Links, s.Status, s.SpanContext.TraceState()))
	}
	require.NotEmpty(t, spans.GetSpans())
	for _, want := range []string{"logs", "spans", "metrics", "outcomes", "answers", "settings.db", "snapshot", topic.DeadLetters, topic.VisitState, topic.Ledger} {
		require.NotNil(t, out.texts[want], "nothing was found to look at in %s", want)
		require.Greater(t, out.texts[want].Len(), 100, want)
	}
	requireStructured(t, out.texts["logs"].String())
	out.check(t, forbidden(slices.Concat(material, []string{
		r.OrgSecret, r.AdminToken, r.ServiceToken, refresh, entered, token,
		key.GetSecret(), strings.TrimPrefix(key.GetSecret(), "tl_acme_player_"),
	})...))
}

// requireStructured checks that every log line is JSON and names its service, and that lines about an event lead to its trace.
func requireStructured(t *testing.T, lines string) {
	t.Helper()
	traced := 0
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		require.NotEmpty(t, fields["msg"], line)
		if fields["trace_id"] != nil {
			traced++
		}
	}
	require.Positive(t, traced, "no line leads to a trace")
}

// plant makes two customers: one whose org refuses to-dos with a text that quotes what was in them, and one whose org lets
// nobody in.
func plant(r *rig.Rig, refresh string) {
	r.T.Helper()
	r.Add(rig.Customer{ID: "acme", Leads: []string{plantedViewer}, Org: func(o *simulator.Org) {
		o.ValidationRules = []simulator.ValidationRule{{
			Object: "Task", When: "Subject LIKE '%closed%'", Message: "No to-do about " + plantedViewer + ", please.",
		}}
	}})
	_, err := r.Salesforce.AddFaults(simulator.Fault{
		Org: "acme", Route: "collections*", Object: "Engagement__c", Action: "row_error", Nth: []int{1}, Code: "FIELD_CUSTOM_VALIDATION_EXCEPTION",
		Message: "A trigger does not like " + plantedBoss + " (" + plantedOwner + ") of " + strings.ToLower(plantedViewer) + ".",
	})
	require.NoError(r.T, err)
	r.Add(rig.Customer{ID: "dead", Unchecked: true, Connection: func(c *configv1.Connection) {
		c.Grant = &configv1.Connection_RefreshToken{RefreshToken: &configv1.RefreshToken{
			ClientId: "app-dead", ClientSecret: r.OrgSecret, RefreshToken: refresh,
		}}
	}})
}

// provoke sends good and bad events that are full of personal data, and asks for what is refused.
func provoke(t *testing.T, r *rig.Rig, post poster, out *pages) {
	t.Helper()
	person := func(e *rig.Event) *rig.Event {
		e.Viewer, e.Owner, e.OwnerName = plantedName, plantedOwner, plantedBoss
		return e
	}
	typo := person(rig.Closed("acme", plantedTypo))
	noPage := person(rig.Closed("acme", plantedViewer))
	noPage.Data = map[string]any{"page": plantedViewer}
	r.Send(
		person(rig.Closed("acme", plantedViewer)), person(rig.Watched("acme", plantedViewer)), person(rig.Closed("dead", plantedViewer)),
		person(rig.Closed("acme", "stranger-"+plantedViewer)), person(rig.Closed("acme", plantedOwner)), typo, noPage,
		person(rig.Closed("nobody", plantedViewer)),
	)
	r.SendRaw(plantedViewer, []byte("\xff garbage about "+plantedName+" <"+plantedViewer+">"))
	for _, body := range [][]byte{
		person(rig.Watched("acme", plantedViewer)).JSON(), typo.JSON(), noPage.JSON(), person(rig.Closed("nobody", plantedViewer)).JSON(),
		[]byte("garbage about " + plantedViewer),
	} {
		_, answer := post.send("application/cloudevents+json", body)
		out.add("answers", []byte(answer))
	}
	wrong := post
	wrong.key += "x"
	_, answer := wrong.send("application/cloudevents+json", []byte("{}"))
	out.add("answers", []byte(answer))

	_, err := r.Config.CheckConnection(t.Context(), &configv1.CheckConnectionRequest{Workspace: "dead", Connection: rig.Connection})
	require.Error(t, err)
	out.add("errors", []byte(err.Error()))
	stranger := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+r.AdminToken+"x")
	_, err = r.Config.GetConnection(stranger, &configv1.GetConnectionRequest{Workspace: "acme", Connection: "no such connection"})
	require.Error(t, err)
	out.add("errors", []byte(err.Error()))
	got, err := r.Config.GetConnection(t.Context(), &configv1.GetConnectionRequest{Workspace: "dead", Connection: rig.Connection})
	require.NoError(t, err)
	out.add("answers", []byte(got.String()))
}

// accessToken is what the services use to get into the org.
func accessToken(t *testing.T, r *rig.Rig) string {
	t.Helper()
	access, err := r.Service().GetAccessToken(t.Context(), &configv1.GetAccessTokenRequest{Workspace: "acme", Connection: rig.Connection})
	require.NoError(t, err)
	return access.GetAccessToken()
}

// collect reads what the run has left behind.
func collect(t *testing.T, r *rig.Rig, process *rig.Process, out *pages) {
	t.Helper()
	for _, name := range []string{
		topic.Activities, topic.Visits, topic.Engagements, topic.Unresolved, topic.Resolved, topic.Writes, topic.Parked, topic.Outcomes,
		topic.DeadLetters, topic.VisitState, topic.TotalsState, topic.Ledger,
	} {
		for _, rec := range r.Topic(name) {
			out.add(name, rec.Key, rec.Value)
			for _, h := range rec.Headers {
				out.add(name, []byte(h.Key), h.Value)
			}
		}
	}
	all, err := r.Config.ListWorkspaces(context.Background(), &configv1.ListWorkspacesRequest{})
	require.NoError(t, err)
	for _, w := range all.GetWorkspaces() {
		for _, o := range r.Outcomes(&configv1.ListOutcomesRequest{Workspace: w.GetId(), From: timestamppb.New(time.Now().Add(-time.Hour)), PageSize: 1000}) {
			text, err := protojson.Marshal(o)
			require.NoError(t, err)
			out.add("outcomes", text)
		}
	}
	for _, path := range []string{"/metrics", "/config", "/readyz", "/log-level"} {
		out.add("metrics", get(t, "http://"+process.AdminAddress()+path))
	}
	require.NoError(t, filepath.WalkDir(r.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "installation.key" { // the one place for keys
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // SQLite's journals come and go
		}
		where := "files"
		switch {
		case strings.Contains(d.Name(), "config.db"):
			where = "settings.db"
		case strings.Contains(d.Name(), "snapshot"):
			where = "snapshot"
		}
		out.add(where, data)
		return err
	}))
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return data
}
