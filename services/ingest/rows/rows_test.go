package rows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/ingest/rows"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

type clock struct{}

func (clock) Now() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) }

// kafka records what is published; hook, if set, decides whether it is.
type kafka struct {
	mu       sync.Mutex
	messages []stage.Message
	hook     func(n int) error
}

func (k *kafka) Publish(_ context.Context, messages ...stage.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hook != nil {
		if err := k.hook(len(k.messages)); err != nil {
			return err
		}
	}
	k.messages = append(k.messages, messages...)
	return nil
}

type source struct{ view *settings.View }

func (s source) View() *settings.View { return s.view }

type testBundle struct {
	cfg   rows.Config
	deps  rows.Deps
	kafka *kafka
	view  *settings.View
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	view := settingstest.New(t).Workspace("acme").APIKey("source", "s3cr3t").Workspace("globex").APIKey("source", "other").View()
	b := &testBundle{cfg: rows.DefaultConfig(), kafka: &kafka{}, view: view}
	b.deps = rows.Deps{Logger: slog.New(slog.DiscardHandler), Clock: clock{}, Publisher: b.kafka, Settings: source{view}}
	return b
}

func (b *testBundle) post(contentType string, body io.Reader, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/reports/usage/deliveries/2026-11-23", body)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer tl_acme_source_s3cr3t")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	rows.NewHandler(b.cfg, b.deps).ServeHTTP(w, r)
	return w
}

// pieces opens what was published: the columns, every row, and how many the end marker says; -1 without one.
func (b *testBundle) pieces(t *testing.T) (columns []string, got []*streamv1.Row, end int64) {
	t.Helper()
	end = -1
	ws, _ := b.view.Workspace("acme")
	for _, m := range b.kafka.messages {
		require.Equal(t, topic.Rows, m.Topic)
		require.Equal(t, "acme/usage/2026-11-23", string(m.Key))
		var rec streamv1.ReportRecord
		require.NoError(t, proto.Unmarshal(m.Value, &rec))
		require.Equal(t, []string{"acme", "usage", "2026-11-23"}, []string{rec.GetWorkspace(), rec.GetReport(), rec.GetDelivery()})
		switch piece := rec.GetPiece().(type) {
		case *streamv1.ReportRecord_Begin:
			columns = piece.Begin.GetColumns()
		case *streamv1.ReportRecord_End:
			end = piece.End.GetRows()
		case *streamv1.ReportRecord_Rows:
			plain, err := ws.Keys().Open(piece.Rows.GetSealedRows())
			require.NoError(t, err)
			var batch streamv1.Rows
			require.NoError(t, proto.Unmarshal(plain, &batch))
			require.Len(t, batch.GetRows(), int(piece.Rows.GetCount()))
			require.Equal(t, int64(len(got)+1), piece.Rows.GetFirst())
			got = append(got, batch.GetRows()...)
		}
	}
	return columns, got, end
}

func texts(row *streamv1.Row) string {
	if row.GetRefused() != "" {
		return "!" + row.GetRefused()
	}
	var out []string
	for _, c := range row.GetCells() {
		switch v := c.GetValue().(type) {
		case *streamv1.Cell_Text:
			out = append(out, v.Text)
		case *streamv1.Cell_Number:
			out = append(out, fmt.Sprint(v.Number))
		case *streamv1.Cell_Flag:
			out = append(out, strconv.FormatBool(v.Flag))
		default:
			out = append(out, "-")
		}
	}
	return strings.Join(out, "|")
}

func all(rows []*streamv1.Row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, texts(r))
	}
	return out
}

func TestADeliveryOfLinesGoesSealedIntoOnePartitionBetweenItsMarkers(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	b := setup(t)
	b.cfg.BatchRows = 2
	w := b.post("application/x-ndjson", strings.NewReader(`{"begin":{"columns":["key","score","active"]}}
["k-one",12.5,true]
{"active":false,"key":"k-two","unknown":1}

["k-three",12345678901234567890,null]
{"end":{"rows":3}}
`))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	require.JSONEq(t, `{"delivery":"2026-11-23","rows":3}`, w.Body.String())
	columns, got, end := b.pieces(t)
	require.Equal(t, []string{"key", "score", "active"}, columns)
	require.Equal(t, []string{"k-one|12.5|true", "k-two|-|false", "k-three|12345678901234567890|-"}, all(got))
	require.Equal(t, int64(3), end)
	require.Len(t, b.kafka.messages, 4, "a begin marker, two batches and an end marker")
	for _, m := range b.kafka.messages {
		require.NotContains(t, string(m.Value), "k-one", "cells travel sealed")
	}
}

func TestARowThatCannotBeReadCountsAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	t.Attr("requirement", "WALK-37")
	b := setup(t)
	long := strings.Repeat("x", 128<<10)
	body := strings.Join([]string{
		`{"begin":{"columns":["key","score"]}}`,
		`["a",1]`, `["short"]`, `["long",1,2]`, `{"key":{"nested":1}}`, `["broken`, `7`, `["b","` + long + `"]`, `["c",2]`,
		`{"end":{"rows":8}}`,
	}, "\n")
	w := b.post("application/x-ndjson", strings.NewReader(body))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	require.JSONEq(t, `{"delivery":"2026-11-23","rows":8,"refused":{"BAD_SCHEMA":5,"TOO_LARGE":1}}`, w.Body.String())
	_, got, _ := b.pieces(t)
	require.Equal(t, []string{
		"a|1", "!BAD_SCHEMA", "!BAD_SCHEMA", "!BAD_SCHEMA", "!BAD_SCHEMA", "!BAD_SCHEMA", "!TOO_LARGE", "c|2",
	}, all(got))
}

func TestADeliveryThatIsNotWholeGetsNoEndMarkerOrOneThatTellsOnIt(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	for name, c := range map[string]struct {
		body string
		end  int64
	}{
		"no end marker":           {"{\"begin\":{\"columns\":[\"key\"]}}\n[\"a\"]\n", -1},
		"wrong number":            {"{\"begin\":{\"columns\":[\"key\"]}}\n[\"a\"]\n{\"end\":{\"rows\":2}}\n", 2},
		"something after the end": {"{\"begin\":{\"columns\":[\"key\"]}}\n{\"end\":{\"rows\":0}}\n[\"a\"]\n", -1},
		"no begin marker":         {"[\"a\"]\n", -1},
		"no columns":              {"{\"begin\":{\"columns\":[]}}\n{\"end\":{\"rows\":0}}\n", -1},
		"a column twice":          {"{\"begin\":{\"columns\":[\"key\",\"key\"]}}\n{\"end\":{\"rows\":0}}\n", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			w := b.post("application/x-ndjson", strings.NewReader(c.body))
			require.Equal(t, http.StatusBadRequest, w.Code)
			require.Contains(t, w.Body.String(), "BAD_SCHEMA")
			_, _, end := b.pieces(t)
			require.Equal(t, c.end, end)
		})
	}
}

func TestADeliveryOfCSVSaysInAHeaderHowManyRowsItHas(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	b := setup(t)
	count := func(n string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(rows.RowsHeader, n) }
	}
	csv := "\ufeffkey,note\nk1,\"two\nlines\"\nk2\nk3," + strings.Repeat("y", 129<<10) + "\nk4,\n"
	w := b.post("text/csv; charset=utf-8", strings.NewReader(csv), count("4"))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	columns, got, end := b.pieces(t)
	require.Equal(t, []string{"key", "note"}, columns)
	require.Equal(t, []string{"k1|two\nlines", "!BAD_SCHEMA", "!TOO_LARGE", "k4|-"}, all(got))
	require.Equal(t, int64(4), end)

	b = setup(t)
	require.Equal(t, http.StatusBadRequest, b.post("text/csv", strings.NewReader(csv)).Code, "nobody knows whether it is whole")
	require.Empty(t, b.kafka.messages)
	require.Equal(t, http.StatusBadRequest, b.post("text/csv", strings.NewReader(csv), count("5")).Code)

	b = setup(t)
	b.cfg.LineBytes = b.cfg.RowBytes
	w = b.post("text/csv", io.MultiReader(strings.NewReader("key\n\""), endless{}), count("1"))
	require.Equal(t, http.StatusBadRequest, w.Code, "a quote that is never closed does not fill the memory")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestTheAnswerWaitsForKafkaAndAFailureIsToldToTheSender(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-9")
	const body = "{\"begin\":{\"columns\":[\"key\"]}}\n[\"a\"]\n[\"b\"]\n{\"end\":{\"rows\":2}}\n"
	for at := range 4 {
		b := setup(t)
		b.cfg.BatchRows = 1
		b.kafka.hook = func(n int) error {
			if n == at {
				return errors.New("kafka is away")
			}
			return nil
		}
		w := b.post("application/x-ndjson", strings.NewReader(body))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "piece %d was not acknowledged", at)
		require.NotContains(t, w.Body.String(), "kafka is away")
	}
}

func TestTheSameDeliveryBegunAgainIsToldFromTheFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = "{\"begin\":{\"columns\":[\"key\"]}}\n{\"end\":{\"rows\":0}}\n"
	for range 2 {
		require.Equal(t, http.StatusAccepted, b.post("application/x-ndjson", strings.NewReader(body)).Code)
	}
	attempts := map[string]int{}
	for _, m := range b.kafka.messages {
		var rec streamv1.ReportRecord
		require.NoError(t, proto.Unmarshal(m.Value, &rec))
		attempts[rec.GetAttempt()]++
	}
	require.Len(t, attempts, 2)
}

func TestOnlyTheWorkspacesKeyDeliversAndOnlyWhatIsKnown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const body = "{\"begin\":{\"columns\":[\"key\"]}}\n{\"end\":{\"rows\":0}}\n"
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	post := func(contentType string, change ...func(*http.Request)) int {
		return b.post(contentType, strings.NewReader(body), change...).Code
	}
	require.Equal(t, http.StatusUnauthorized, post("application/x-ndjson", header("Authorization", "Bearer tl_globex_source_s3cr3t")))
	require.Equal(t, http.StatusUnsupportedMediaType, post("application/json"))
	require.Equal(t, http.StatusUnsupportedMediaType, post("application/x-ndjson", header("Content-Encoding", "br")))
	require.Equal(t, http.StatusBadRequest, post("application/x-ndjson", header("Content-Encoding", "gzip")))
	require.Equal(t, http.StatusBadRequest, post("application/x-ndjson", func(r *http.Request) {
		r.URL.Path = "/v1/reports/Usage/deliveries/1"
	}))
	require.Equal(t, http.StatusNotFound, post("application/x-ndjson", func(r *http.Request) { r.URL.Path = "/v1/reports/usage" }))
	require.Empty(t, b.kafka.messages)
}

func TestOneWorkspaceHasAtMostHalfOfThePlaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.InFlight = 2
	handler := rows.NewHandler(b.cfg, b.deps)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	begun := make(chan struct{}, 1)
	b.kafka.hook = func(int) error {
		select {
		case begun <- struct{}{}:
		default:
		}
		return nil
	}
	send := func(token string, body io.Reader) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/reports/usage/deliveries/1", body)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/x-ndjson")
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		var any map[string]json.RawMessage
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&any))
		return resp.StatusCode
	}
	in, out := io.Pipe()
	first := make(chan int, 1)
	go func() { first <- send("tl_acme_source_s3cr3t", in) }()
	_, err := out.Write([]byte("{\"begin\":{\"columns\":[\"key\"]}}\n"))
	require.NoError(t, err)
	<-begun
	const whole = "{\"begin\":{\"columns\":[\"key\"]}}\n{\"end\":{\"rows\":0}}\n"
	require.Equal(t, http.StatusServiceUnavailable, send("tl_acme_source_s3cr3t", strings.NewReader(whole)))
	require.Equal(t, http.StatusAccepted, send("tl_globex_source_other", strings.NewReader(whole)))
	_, err = out.Write([]byte("{\"end\":{\"rows\":0}}\n"))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.Equal(t, http.StatusAccepted, <-first)
}

func TestWhatIsInMemoryOfADeliveryIsOneBatch(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-37")
	b := setup(t)
	b.cfg.BatchRows = 10
	var sent, published int
	lines := func() io.Reader {
		in, out := io.Pipe()
		go func() {
			defer func() { _ = out.Close() }()
			fmt.Fprintln(out, `{"begin":{"columns":["key"]}}`)
			for i := range 1000 {
				// A pipe hands over line by line: who reads on without publishing shows here.
				if _, err := fmt.Fprintf(out, "[\"%s-%d\"]\n", strings.Repeat("k", b.cfg.RowBytes/2), i); err != nil {
					return
				}
				b.kafka.mu.Lock()
				sent++
				ahead := sent - published
				b.kafka.mu.Unlock()
				if ahead > 2*b.cfg.BatchRows+3 {
					out.CloseWithError(fmt.Errorf("%d rows were taken and not published", ahead))
					return
				}
			}
			fmt.Fprintln(out, `{"end":{"rows":1000}}`)
		}()
		return in
	}
	b.kafka.hook = func(n int) error {
		published = n * 10 // fewer: a batch is bounded by its bytes, too
		return nil
	}
	b.cfg.BatchBytes = 512 << 10
	w := b.post("application/x-ndjson", lines())
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	for _, m := range b.kafka.messages {
		require.Less(t, len(m.Value), 1<<20, "a broker takes a record of 1 MiB by default")
	}
}
