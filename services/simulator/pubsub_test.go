package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/simulator"
)

const orgID = "00D5TA000000001"

const eventsScenario = `
orgs:
  - key: acme
    id: ` + orgID + `
    package: true
    api: {event_deliveries: 160}
    apps: [{client_id: app, client_secret: secret, run_as: integration@acme.example}]
    users: [{username: integration@acme.example, last_name: Gration}]
    records:
      Lead:
        - {id: 00Q5TA000000001, LastName: Done, FirstName: Taro, Company: X, Phone: "1", Email: taro@toyo.example}
        - {id: 00Q5TA000000002, LastName: Done, FirstName: Ichiro, Company: X}
      Task:
        - {id: 00T5TA000000001, Subject: Call, WhoId: 00Q5TA000000001}
`

// events is a running simulator with the Pub/Sub API, and a subscriber of acme.
type events struct {
	t     *testing.T
	sim   *simulator.Simulator
	clock *testClock
	base  string
	token string
	conn  *grpc.ClientConn
	sub   *pubsub.Subscriber
	stop  func()
}

func runEvents(t *testing.T, dir string, clock *testClock, change func(*simulator.Config)) *events {
	t.Helper()
	e := &events{t: t, clock: clock}
	cfg := simulator.DefaultConfig()
	cfg.Listen, cfg.PubSub, cfg.Dir, cfg.DrainTimeout = "127.0.0.1:0", "127.0.0.1:0", dir, time.Minute
	if change != nil {
		change(&cfg)
	}
	var err error
	e.sim, err = simulator.New(cfg, simulator.Deps{Clock: clock})
	require.NoError(t, err)
	sc, err := simulator.ParseScenario([]byte(eventsScenario))
	require.NoError(t, err)
	require.NoError(t, e.sim.Seed(t.Context(), sc))
	require.NoError(t, e.sim.Listen(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.sim.Run(ctx) }()
	e.base = e.sim.BaseURL("acme")
	e.token = signInAt(t, e.base)
	e.conn, err = grpc.NewClient(e.sim.PubSubAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	e.sub = e.subscriber(orgID, e.token)
	stopped := false
	e.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, e.conn.Close())
	}
	t.Cleanup(e.stop)
	return e
}

func newEvents(t *testing.T) *events {
	t.Helper()
	return runEvents(t, "", &testClock{now: time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)}, nil)
}

func signInAt(t *testing.T, base string) string {
	t.Helper()
	res, err := http.PostForm(base+"/services/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"},
	})
	require.NoError(t, err)
	defer res.Body.Close()
	_, rest, _ := strings.Cut(readAll(t, res), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	require.NotEmpty(t, token)
	return token
}

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(data)
}

func (e *events) subscriber(org, token string) *pubsub.Subscriber {
	e.t.Helper()
	cfg := pubsub.DefaultConfig()
	cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, 10*time.Millisecond
	source := salesforce.StaticToken{AccessToken: secret.New(token), InstanceURL: e.base}
	s, err := pubsub.New(e.conn, pubsub.Org{ID: org, Tokens: source}, cfg)
	require.NoError(e.t, err)
	return s
}

// send makes a request of the REST API as the client "editor".
func (e *events) send(method, path, body string) string {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.base+"/services/data/v67.0"+path, strings.NewReader(body))
	require.NoError(e.t, err)
	req.Header.Set("Authorization", "Bearer "+e.token)
	req.Header.Set("Sforce-Call-Options", "client=editor")
	res, err := http.DefaultClient.Do(req)
	require.NoError(e.t, err)
	defer res.Body.Close()
	text := readAll(e.t, res)
	require.Less(e.t, res.StatusCode, 300, text)
	return text
}

// control calls the control API.
func (e *events) control(path string) {
	e.t.Helper()
	res, err := http.Post(e.sim.Origin()+"/_sim/"+path, "", nil)
	require.NoError(e.t, err)
	defer res.Body.Close()
	require.Less(e.t, res.StatusCode, 300, readAll(e.t, res))
}

var errEnough = errors.New("enough")

// collector takes n events, or with n 0 the first keepalive.
type collector struct {
	n     int
	got   []*pubsub.ChangeEvent
	alive []byte
}

func (c *collector) Change(_ context.Context, e *pubsub.ChangeEvent) error {
	if c.got = append(c.got, e); len(c.got) == c.n {
		return errEnough
	}
	return nil
}

func (c *collector) Alive(_ context.Context, id []byte) error {
	if c.alive = id; c.n == 0 {
		return errEnough
	}
	return nil
}

func (e *events) take(topic string, from pubsub.Start, n int) []*pubsub.ChangeEvent {
	e.t.Helper()
	c := &collector{n: n}
	require.ErrorIs(e.t, e.sub.Run(e.t.Context(), topic, from, c), errEnough)
	return c.got
}

const lead = "/sobjects/Lead/00Q5TA000000001"

func TestEventsOfARecord(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	e := newEvents(t)
	e.send(http.MethodPatch, lead, `{"FirstName": "Jiro", "Phone": null, "AnnualRevenue": 2, "DoNotCall": true}`)
	e.send(http.MethodDelete, lead, "")
	e.control("undelete?org=acme&id=00Q5TA000000001")
	e.send(http.MethodPost, "/sobjects/Lead", `{"LastName": "New", "Company": "Y", "NumberOfEmployees": 7}`)
	got := e.take("/data/LeadChangeEvent", pubsub.Earliest(), 4)

	update := got[0]
	require.Equal(t, "UPDATE", update.Header.ChangeType)
	require.Equal(t, "Lead", update.Header.EntityName)
	require.Len(t, update.Header.RecordIDs, 1)
	require.True(t, strings.HasPrefix(update.Header.RecordIDs[0], "00Q5TA000000001"))
	require.Equal(t, "com/salesforce/api/rest/67.0;client=editor", update.Header.ChangeOrigin)
	require.True(t, strings.HasPrefix(update.Header.CommitUser, "005"))
	require.Equal(t, e.clock.Now(), update.Header.CommittedAt())
	require.Equal(t, map[string]any{
		"Name.FirstName": "Jiro", "AnnualRevenue": float64(2), "DoNotCall": true, "LastModifiedDate": e.clock.Now().UnixMilli(),
	}, update.Set)
	require.Equal(t, []string{"Phone"}, update.Cleared)

	require.Equal(t, "DELETE", got[1].Header.ChangeType)
	require.Empty(t, got[1].Set)
	require.Equal(t, "UNDELETE", got[2].Header.ChangeType)
	require.Equal(t, "Jiro", got[2].Set["Name.FirstName"])
	require.Empty(t, got[2].Header.ChangeOrigin)
	require.Equal(t, "CREATE", got[3].Header.ChangeType)
	require.Equal(t, "New", got[3].Set["Name.LastName"])
	require.EqualValues(t, 7, got[3].Set["NumberOfEmployees"])
	require.Empty(t, got[3].Header.ChangedFields)
	require.NotEqual(t, update.Header.TransactionKey, got[1].Header.TransactionKey)
	require.Greater(t, got[3].Header.CommitNumber, update.Header.CommitNumber)
}

func TestConversionAndMergeAreOneTransactionEach(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	e.control("convert?org=acme&lead=00Q5TA000000001")
	got := e.take("/data/ChangeEvents", pubsub.Earliest(), 4)
	var what []string
	for i, event := range got {
		what = append(what, event.Header.ChangeType+" "+event.Header.EntityName)
		require.Equal(t, got[0].Header.TransactionKey, event.Header.TransactionKey)
		require.Equal(t, i+1, event.Header.SequenceNumber)
	}
	require.Equal(t, []string{"CREATE Account", "CREATE Contact", "UPDATE Lead", "UPDATE Task"}, what)
	require.Equal(t, true, got[2].Set["IsConverted"])
	require.Equal(t, got[1].Header.RecordIDs[0], got[3].Set["WhoId"])

	e.send(http.MethodPatch, "/sobjects/Task/00T5TA000000001", `{"WhoId": "00Q5TA000000002"}`)
	e.send(http.MethodPost, "/sobjects/Lead", `{"LastName": "Winner", "Company": "Y"}`)
	created := e.take("/data/ChangeEvents", pubsub.After(got[3].ReplayID), 2)
	e.control("merge?org=acme&loser=00Q5TA000000002&winner=" + created[1].Header.RecordIDs[0])
	merged := e.take("/data/ChangeEvents", pubsub.After(created[1].ReplayID), 2)
	require.Equal(t, "UPDATE", merged[0].Header.ChangeType)
	require.Equal(t, "Task", merged[0].Header.EntityName)
	require.Equal(t, "DELETE", merged[1].Header.ChangeType)
	require.Equal(t, merged[0].Header.TransactionKey, merged[1].Header.TransactionKey)
}

func TestEventsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), &testClock{now: time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)}
	e := runEvents(t, dir, clock, nil)
	e.send(http.MethodPatch, lead, `{"Title": "One"}`)
	e.send(http.MethodPatch, lead, `{"Title": "Two"}`)
	before := e.take("/data/LeadChangeEvent", pubsub.Earliest(), 2)
	e.stop()

	e = runEvents(t, dir, clock, nil)
	e.send(http.MethodPatch, lead, `{"Title": "Three"}`)
	after := e.take("/data/LeadChangeEvent", pubsub.After(before[0].ReplayID), 2)
	require.Equal(t, before[1].ReplayID, after[0].ReplayID)
	require.Equal(t, "Two", after[0].Set["Title"])
	require.Equal(t, "Three", after[1].Set["Title"])
}

func TestReplayIDsThatAreNotGood(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	e := newEvents(t)
	e.send(http.MethodPatch, lead, `{"Title": "One"}`)
	id := e.take("/data/LeadChangeEvent", pubsub.Earliest(), 1)[0].ReplayID
	damaged := append([]byte{}, id...)
	damaged[2] ^= 1
	for _, bad := range [][]byte{damaged, []byte("nonsense"), nil} {
		err := e.sub.Run(t.Context(), "/data/LeadChangeEvent", pubsub.After(bad), &collector{n: 1})
		require.ErrorIs(t, err, pubsub.ErrReplayLost)
	}
	e.clock.advance(71 * time.Hour)
	e.token = signInAt(t, e.base)
	e.sub = e.subscriber(orgID, e.token)
	e.send(http.MethodPatch, lead, `{"Title": "Two"}`)
	require.Equal(t, "Two", e.take("/data/LeadChangeEvent", pubsub.After(id), 1)[0].Set["Title"], "younger than 72 hours")
	require.Equal(t, "One", e.take("/data/LeadChangeEvent", pubsub.Earliest(), 2)[0].Set["Title"])

	e.clock.advance(90 * time.Minute)
	err := e.sub.Run(t.Context(), "/data/LeadChangeEvent", pubsub.After(id), &collector{n: 1})
	require.ErrorIs(t, err, pubsub.ErrReplayLost)
	require.Equal(t, "Two", e.take("/data/LeadChangeEvent", pubsub.Earliest(), 1)[0].Set["Title"], "the older one is gone")
}

func TestReplayIDsEndWithTheirOrg(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	e.send(http.MethodPatch, lead, `{"Title": "One"}`)
	id := e.take("/data/LeadChangeEvent", pubsub.Earliest(), 1)[0].ReplayID
	require.NoError(t, e.sim.Reset(t.Context(), "acme"))
	e.token = signInAt(t, e.base)
	e.sub = e.subscriber(orgID, e.token)
	e.send(http.MethodPatch, lead, `{"Title": "Two"}`)
	err := e.sub.Run(t.Context(), "/data/LeadChangeEvent", pubsub.After(id), &collector{n: 1})
	require.ErrorIs(t, err, pubsub.ErrReplayLost)
	require.Equal(t, "Two", e.take("/data/LeadChangeEvent", pubsub.Earliest(), 1)[0].Set["Title"])
}

func TestKeepaliveIsAPlaceToGoOnFrom(t *testing.T) {
	t.Parallel()
	clock := &testClock{now: time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC)}
	e := runEvents(t, "", clock, func(c *simulator.Config) { c.PubSubKeepalive = time.Millisecond })
	c := &collector{}
	require.ErrorIs(t, e.sub.Run(t.Context(), "/data/LeadChangeEvent", pubsub.Latest(), c), errEnough)
	e.send(http.MethodPatch, lead, `{"Title": "One"}`)
	require.Equal(t, "One", e.take("/data/LeadChangeEvent", pubsub.After(c.alive), 1)[0].Set["Title"])
}

func TestGapEventsAndDroppedStreams(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	e := newEvents(t)
	_, err := e.sim.AddFaults(
		simulator.Fault{Route: "pubsub.subscribe", Object: "Lead", Action: "gap_event", Nth: []int{2}},
		simulator.Fault{Route: "pubsub.subscribe", Object: "Lead", Action: "gap_event", Code: "GAP_OVERFLOW", Nth: []int{2}},
		simulator.Fault{Route: "pubsub.subscribe", Action: "drop_before", Nth: []int{1}},
		simulator.Fault{Route: "pubsub.subscribe", Action: "drop_after", Nth: []int{1}},
	)
	require.NoError(t, err)
	for i := range 3 {
		e.send(http.MethodPatch, lead, fmt.Sprintf(`{"Title": "T%d"}`, i))
	}
	got := e.take("/data/LeadChangeEvent", pubsub.Earliest(), 3)
	require.Equal(t, "T0", got[0].Set["Title"])
	require.Equal(t, "GAP_UPDATE", got[1].Header.ChangeType)
	require.NotEmpty(t, got[1].Header.RecordIDs)
	require.Equal(t, "GAP_OVERFLOW", got[2].Header.ChangeType)
}
