package pubsub

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

type subscribeStream = grpc.BidiStreamingServer[eventbusv1.FetchRequest, eventbusv1.FetchResponse]

// server plays one function per subscription.
type server struct {
	eventbusv1.UnimplementedPubSubServer
	mu       sync.Mutex
	plays    []func(*eventbusv1.FetchRequest, subscribeStream) error
	firsts   []*eventbusv1.FetchRequest
	tokens   []string
	schemas  int
	noSchema bool
}

func (s *server) GetSchema(_ context.Context, ask *eventbusv1.SchemaRequest) (*eventbusv1.SchemaInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.schemas++
	if s.noSchema {
		return nil, status.Error(codes.Unavailable, "no schema")
	}
	return &eventbusv1.SchemaInfo{SchemaId: ask.GetSchemaId(), SchemaJson: leadSchema}, nil
}

func (s *server) Subscribe(call subscribeStream) error {
	first, err := call.Recv()
	if err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(call.Context())
	s.mu.Lock()
	play := s.plays[min(len(s.firsts), len(s.plays)-1)]
	s.firsts, s.tokens = append(s.firsts, first), append(s.tokens, md.Get("accesstoken")[0]+"@"+md.Get("tenantid")[0])
	s.mu.Unlock()
	return play(first, call)
}

// seen is a Handler that ends with the event whose replay id is last.
type seen struct {
	last   string
	ids    []string
	alive  []string
	values []map[string]any
}

var errDone = errors.New("done")

func (h *seen) Change(_ context.Context, e *ChangeEvent) error {
	h.ids, h.values = append(h.ids, string(e.ReplayID)), append(h.values, e.Set)
	if string(e.ReplayID) == h.last {
		return errDone
	}
	return nil
}

func (h *seen) Alive(_ context.Context, id []byte) error {
	h.alive = append(h.alive, string(id))
	return nil
}

// rotating hands out another token after each refusal.
type rotating struct {
	mu sync.Mutex
	n  int
}

func (r *rotating) Token(context.Context) (salesforce.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return salesforce.Token{AccessToken: secret.New(string(rune('a' + r.n)))}, nil
}

func (r *rotating) Refused(context.Context, salesforce.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
}

func subscriber(t *testing.T, s *server, change func(*Config)) *Subscriber {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	eventbusv1.RegisterPubSubServer(g, s)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("passthrough:test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	cfg := DefaultConfig()
	cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, time.Millisecond
	if change != nil {
		change(&cfg)
	}
	sub, err := New(conn, Org{ID: "00D000000000001AAA", Tokens: &rotating{}}, cfg)
	require.NoError(t, err)
	return sub
}

func events(t *testing.T, ids ...string) *eventbusv1.FetchResponse {
	t.Helper()
	res := &eventbusv1.FetchResponse{}
	for _, id := range ids {
		res.Events = append(res.Events, &eventbusv1.ConsumerEvent{
			ReplayId: []byte(id), Event: &eventbusv1.ProducerEvent{Id: id, SchemaId: "s", Payload: lead(t, "UPDATE")},
		})
	}
	return res
}

const (
	codeLimit = codePrefix + "subscription.limit.exceeded"
	codeAuth  = codePrefix + "service.auth.error"
)

func fail(code string) error { return status.Error(codes.Unknown, code+" rpcId: x") }

func trailed(code string) func(*eventbusv1.FetchRequest, subscribeStream) error {
	return func(_ *eventbusv1.FetchRequest, call subscribeStream) error {
		call.SetTrailer(metadata.Pairs("error-code", code))
		return fail(code)
	}
}

func TestResubscribesFromTheLastEvent(t *testing.T) {
	t.Parallel()
	s := &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error {
			_ = call.Send(events(t, "1", "2"))
			return status.Error(codes.Unavailable, "gone")
		},
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error {
			_ = call.Send(&eventbusv1.FetchResponse{LatestReplayId: []byte("5")})
			return nil
		},
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error { return call.Send(events(t, "6")) },
	}}
	h := &seen{last: "6"}
	err := subscriber(t, s, nil).Run(t.Context(), "/data/LeadChangeEvent", Earliest(), h)
	require.ErrorIs(t, err, errDone)
	require.Equal(t, []string{"1", "2", "6"}, h.ids)
	require.Equal(t, []string{"5"}, h.alive)
	require.Equal(t, "Ann", h.values[0]["Name.FirstName"])
	require.Equal(t, eventbusv1.ReplayPreset_EARLIEST, s.firsts[0].GetReplayPreset())
	require.Equal(t, "2", string(s.firsts[1].GetReplayId()))
	require.Equal(t, "5", string(s.firsts[2].GetReplayId()))
	require.Equal(t, eventbusv1.ReplayPreset_CUSTOM, s.firsts[2].GetReplayPreset())
	require.Equal(t, 1, s.schemas, "a schema is asked for once")
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{trailed(codeReplay)}}
	err := subscriber(t, s, nil).Run(t.Context(), "/data/ChangeEvents", After([]byte("x")), &seen{})
	require.ErrorIs(t, err, ErrReplayLost)

	s = &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{trailed(codeLimit)}}
	err = subscriber(t, s, nil).Run(t.Context(), "/data/ChangeEvents", Latest(), &seen{})
	require.Equal(t, salesforce.ClassQuota, salesforce.ClassOf(err))
	require.Len(t, s.firsts, 1)

	s = &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{
		func(*eventbusv1.FetchRequest, subscribeStream) error {
			return status.Error(codes.Unavailable, "secret.host")
		},
	}}
	err = subscriber(t, s, func(c *Config) { c.MaxFailures = 3 }).Run(t.Context(), "/data/ChangeEvents", Latest(), &seen{})
	require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
	require.NotContains(t, err.Error(), "secret.host")
	require.Len(t, s.firsts, 3)
}

func TestAnotherTokenAfterARefusal(t *testing.T) {
	t.Parallel()
	s := &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{
		trailed(codeAuth),
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error { return call.Send(events(t, "1")) },
	}}
	require.ErrorIs(t, subscriber(t, s, nil).Run(t.Context(), "/data/ChangeEvents", Latest(), &seen{last: "1"}), errDone)
	require.Equal(t, []string{"a@00D000000000001AAA", "b@00D000000000001AAA"}, s.tokens)
}

func TestASecondRefusalIsFinal(t *testing.T) {
	t.Parallel()
	s := &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{trailed(codeAuth)}}
	err := subscriber(t, s, nil).Run(t.Context(), "/data/ChangeEvents", Latest(), &seen{})
	require.Equal(t, salesforce.ClassAuth, salesforce.ClassOf(err))
	require.Equal(t, []string{"a@00D000000000001AAA", "b@00D000000000001AAA"}, s.tokens)
}

func TestFailingSchemasEndTheSubscription(t *testing.T) {
	t.Parallel()
	s := &server{noSchema: true, plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error { return call.Send(events(t, "1")) },
	}}
	h := &seen{}
	err := subscriber(t, s, func(c *Config) { c.MaxFailures = 3 }).Run(t.Context(), "/data/ChangeEvents", Earliest(), h)
	require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
	require.Len(t, s.firsts, 3)
	require.Empty(t, h.ids)
}

func TestASilentStreamIsLeft(t *testing.T) {
	t.Parallel()
	s := &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error {
			<-call.Context().Done()
			return call.Context().Err()
		},
		func(_ *eventbusv1.FetchRequest, call subscribeStream) error { return call.Send(events(t, "1")) },
	}}
	sub := subscriber(t, s, func(c *Config) { c.SilenceTimeout, c.MaxFailures = 200*time.Millisecond, 1000 })
	require.ErrorIs(t, sub.Run(t.Context(), "/data/ChangeEvents", Latest(), &seen{last: "1"}), errDone)
}

func TestAsksForNoMoreThanTheWindow(t *testing.T) {
	t.Parallel()
	s := &server{plays: []func(*eventbusv1.FetchRequest, subscribeStream) error{
		func(first *eventbusv1.FetchRequest, call subscribeStream) error {
			if first.GetNumRequested() != 4 {
				return fail("window")
			}
			_ = call.Send(events(t, "1"))
			_ = call.Send(events(t, "2"))
			more, err := call.Recv()
			if err != nil || more.GetNumRequested() != 2 {
				return fail(codeLimit)
			}
			return call.Send(events(t, "3"))
		},
	}}
	sub := subscriber(t, s, func(c *Config) { c.Window, c.MaxFailures = 4, 1 })
	require.ErrorIs(t, sub.Run(t.Context(), "/data/ChangeEvents", Latest(), &seen{last: "3"}), errDone)
}
