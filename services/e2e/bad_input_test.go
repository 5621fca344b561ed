package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/deadletter"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// bad is input that cannot be accepted, and the reason that must be given.
type bad struct {
	name   string
	value  []byte
	reason streamv1.Reason
}

// badInput is one of every kind. Bytes, workspace and times are those of an event that would be fine otherwise.
func badInput(workspace string) []bad {
	event := func(change func(*rig.Event)) []byte {
		e := rig.Closed(workspace, "mia@viewer.example")
		change(e)
		return e.JSON()
	}
	fine := event(func(*rig.Event) {})
	return []bad{
		{"garbage", []byte("\x00\xff\xfe\x01 not an event"), streamv1.Reason_REASON_BAD_SCHEMA},
		{"nothing", []byte{}, streamv1.Reason_REASON_BAD_SCHEMA},
		{"another shape", []byte(`{"hello": ["world"]}`), streamv1.Reason_REASON_BAD_SCHEMA},
		{"a number", []byte(`42`), streamv1.Reason_REASON_BAD_SCHEMA},
		{"cut off", fine[:len(fine)/2], streamv1.Reason_REASON_BAD_SCHEMA},
		{"deeply nested", []byte(strings.Repeat("[", 100_000)), streamv1.Reason_REASON_BAD_SCHEMA},
		{"invalid UTF-8", event(func(e *rig.Event) { e.Title = "bad-title" }), streamv1.Reason_REASON_BAD_SCHEMA},
		{"unknown type", event(func(e *rig.Event) { e.Type = "video.juggled" }), streamv1.Reason_REASON_BAD_SCHEMA},
		{"out of range", event(func(e *rig.Event) { e.Data = map[string]any{"page": -3} }), streamv1.Reason_REASON_BAD_SCHEMA},
		{"unknown workspace", event(func(e *rig.Event) { e.Workspace = "nobody" }), streamv1.Reason_REASON_BAD_TENANT},
		{"from the future", event(func(e *rig.Event) { e.Time = time.Now().Add(72 * time.Hour) }), streamv1.Reason_REASON_BAD_TIME},
		{"ancient", event(func(e *rig.Event) { e.Time = time.Now().AddDate(-2, 0, 0) }), streamv1.Reason_REASON_BAD_TIME},
		{"no address", event(func(e *rig.Event) { e.Email = "not an address" }), streamv1.Reason_REASON_BAD_EMAIL},
		{"too large", event(func(e *rig.Event) { e.Title = strings.Repeat("x", 300<<10) }), streamv1.Reason_REASON_TOO_LARGE},
		{"10 MiB", bytes.Repeat([]byte("x"), deadletter.MaxValueBytes), streamv1.Reason_REASON_TOO_LARGE},
		{"larger than a dead letter copies", bytes.Repeat([]byte("y"), deadletter.MaxValueBytes+1), streamv1.Reason_REASON_TOO_LARGE},
	}
}

func TestBadInputFromKafkaGetsAReasonAndHoldsNothingUp(t *testing.T) {
	rig.Parallel(t)
	r := rig.New(t, rig.Options{Partitions: 1})
	r.StartConfig()
	process := r.Start("all")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}, Recipes: []string{"document-close-task"}})
	process.AwaitSettings()
	inputs := badInput("acme")
	for i := range inputs {
		in := &inputs[i]
		in.value = bytes.ReplaceAll(in.value, []byte("bad-title"), []byte("bad-\xfftitle"))
		r.SendRaw(in.name, in.value)
		r.Send(rig.Closed("acme", "mia@viewer.example"))
	}
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), len(inputs), "every good event behind a bad one became a to-do")
	require.NoError(t, process.Ready())

	installation, err := seal.LoadOrCreateInstallation(r.Path("installation.key"))
	require.NoError(t, err)
	letters := r.Topic(topic.DeadLetters)
	require.Len(t, letters, len(inputs))
	for i, in := range inputs {
		letter := &streamv1.DeadLetter{}
		require.NoError(t, proto.Unmarshal(letters[i].Value, letter))
		require.Equal(t, in.reason, letter.GetReason(), "%s: %s", in.name, letter.GetDetail())
		require.Equal(t, "ingest", letter.GetStage())
		require.NotEmpty(t, letter.GetDetail())
		require.Equal(t, rig.CustomerTopic, letter.GetTopic())
		original, err := deadletter.Open(installation, letter)
		require.Equal(t, in.name, string(original.Key))
		if len(in.value) > deadletter.MaxValueBytes {
			require.ErrorIs(t, err, deadletter.ErrValueNotCopied)
			require.Equal(t, in.value, r.Topic(rig.CustomerTopic)[original.Offset].Value, "it says where the bytes lie")
			continue
		}
		require.NoError(t, err, in.name)
		require.True(t, bytes.Equal(in.value, original.Value), in.name)
	}
}

func TestBadInputOverHTTPIsAnswered(t *testing.T) {
	rig.Parallel(t)
	r := rig.New(t, rig.Options{})
	r.StartConfig()
	process := r.Start("all")
	r.Add(rig.Customer{ID: "acme", Leads: []string{"mia@viewer.example"}, Recipes: []string{"document-close-task"}})
	key, err := r.Config.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{Workspace: "acme", Id: "player"}})
	require.NoError(t, err)
	process.AwaitSettings()
	post := poster{t: t, url: process.Endpoint(), key: key.GetSecret()}

	for _, in := range badInput("acme") {
		value := bytes.ReplaceAll(in.value, []byte("bad-title"), []byte("bad-\xfftitle"))
		status, answer := post.send("application/cloudevents+json", value)
		require.Contains(t, []int{400, 403, 413}, status, "%s: %s", in.name, answer)
		var problem struct{ Reason, Detail string }
		require.NoError(t, json.Unmarshal([]byte(answer), &problem))
		want := strings.TrimPrefix(in.reason.String(), "REASON_")
		require.Equal(t, want, problem.Reason, in.name)
		require.NotEmpty(t, problem.Detail, in.name)
		require.NotContains(t, answer, "mia@")
	}
	status, _ := poster{t: t, url: post.url, key: "tl_acme_player_wrong"}.send("application/cloudevents+json", rig.Closed("acme", "mia@viewer.example").JSON())
	require.Equal(t, http.StatusUnauthorized, status)

	// A body as large as they may be, of good events with bad ones among them.
	var body bytes.Buffer
	filler := strings.Repeat("x", 100<<10)
	good := 0
	for i := 0; body.Len() < 9<<20; i++ {
		e := rig.Closed("acme", "mia@viewer.example")
		e.Data["filler"] = filler
		if i%10 == 9 {
			e.Type = "video.juggled"
		} else {
			good++
		}
		body.Write(e.JSON())
		body.WriteByte('\n')
	}
	status, answer := post.send("application/x-ndjson", body.Bytes())
	require.Equal(t, http.StatusMultiStatus, status, answer)
	require.Contains(t, answer, fmt.Sprintf(`"accepted":%d`, good))
	r.Quiet()
	require.Len(t, r.Records("acme", "Task"), good, "what was accepted became a to-do, and nothing else")
	require.Empty(t, r.Topic(topic.DeadLetters), "the producer has been told")
	require.NoError(t, process.Ready())
}

// poster sends events over HTTP.
type poster struct {
	t        *testing.T
	url, key string
}

func (p poster) send(contentType string, body []byte) (status int, answer string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url, bytes.NewReader(slices.Clone(body)))
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(text)
}
