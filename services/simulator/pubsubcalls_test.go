package simulator_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	"github.com/throughline-dev/throughline/services/simulator"
)

func (e *events) raw(token string) (context.Context, eventbusv1.PubSubClient) {
	ctx := metadata.AppendToOutgoingContext(e.t.Context(), "accesstoken", token, "instanceurl", e.base, "tenantid", orgID)
	return ctx, eventbusv1.NewPubSubClient(e.conn)
}

// leads creates n leads in one transaction.
func (e *events) leads(n int) {
	e.t.Helper()
	records := make([]string, n)
	for i := range n {
		records[i] = fmt.Sprintf(`{"attributes":{"type":"Lead"},"LastName":"L%d","Company":"C"}`, i)
	}
	e.send(http.MethodPost, "/composite/sobjects", `{"records":[`+strings.Join(records, ",")+`]}`)
}

func TestFlowControl(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	e.leads(150)
	ctx, client := e.raw(e.token)
	call, err := client.Subscribe(ctx)
	require.NoError(t, err)
	ask := func(n int32) {
		require.NoError(t, call.Send(&eventbusv1.FetchRequest{
			TopicName: "/data/LeadChangeEvent", ReplayPreset: eventbusv1.ReplayPreset_EARLIEST, NumRequested: n,
		}))
	}
	receive := func() *eventbusv1.FetchResponse {
		answer, err := call.Recv()
		require.NoError(t, err)
		return answer
	}
	ask(3)
	require.Len(t, receive().GetEvents(), 3)
	ask(1000)
	require.Len(t, receive().GetEvents(), 100, "more than 100 count as 100")
	ask(60)
	answer := receive()
	require.Len(t, answer.GetEvents(), 47)
	require.Equal(t, int32(13), answer.GetPendingNumRequested())
	require.Equal(t, answer.GetEvents()[46].GetReplayId(), answer.GetLatestReplayId())
	require.NoError(t, call.Send(&eventbusv1.FetchRequest{TopicName: "/data/TaskChangeEvent", NumRequested: 1}))
	_, err = call.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestWhoMaySubscribe(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	ctx, client := e.raw("00D5TA000000001!nonsense")
	var trailer metadata.MD
	_, err := client.GetTopic(ctx, &eventbusv1.TopicRequest{TopicName: "/data/LeadChangeEvent"}, grpc.Trailer(&trailer))
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	require.Equal(t, []string{"sfdc.platform.eventbus.grpc.service.auth.error"}, trailer.Get("error-code"))
	require.Contains(t, err.Error(), "rpcId: ")
	_, err = e.subscriber("00D5TA000000009", e.token).Topic(t.Context(), "/data/LeadChangeEvent")
	require.Equal(t, salesforce.ClassAuth, salesforce.ClassOf(err))

	topic, err := e.sub.Topic(t.Context(), "/data/Engagement__ChangeEvent")
	require.NoError(t, err)
	require.True(t, topic.GetCanSubscribe())
	require.NotEmpty(t, topic.GetSchemaId())
	_, err = e.sub.Topic(t.Context(), "/data/NothingChangeEvent")
	require.Equal(t, salesforce.ClassConfig, salesforce.ClassOf(err))
}

// TestRefusalsOfThePubSubAPI compares status and trailer with the table of "Handle Errors".
func TestRefusalsOfThePubSubAPI(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	e := newEvents(t)
	ctx, client := e.raw(e.token)
	const topic = "/data/LeadChangeEvent"
	subscribe := func(asks ...*eventbusv1.FetchRequest) func(...grpc.CallOption) error {
		return func(options ...grpc.CallOption) error {
			call, err := client.Subscribe(ctx, options...)
			require.NoError(t, err)
			for _, ask := range asks {
				require.NoError(t, call.Send(ask))
			}
			_, err = call.Recv()
			return err
		}
	}
	ask := func(name string, n int32) *eventbusv1.FetchRequest {
		return &eventbusv1.FetchRequest{TopicName: name, NumRequested: n}
	}
	for name, tc := range map[string]struct {
		code string
		want codes.Code
		call func(...grpc.CallOption) error
	}{
		"no topic": {"topic.validation.empty", codes.InvalidArgument, func(o ...grpc.CallOption) error {
			_, err := client.GetTopic(ctx, &eventbusv1.TopicRequest{}, o...)
			return err
		}},
		"unknown topic": {"topic.not.found", codes.NotFound, subscribe(ask("/data/NothingChangeEvent", 1))},
		"no schema": {"schema.validation.failed", codes.InvalidArgument, func(o ...grpc.CallOption) error {
			_, err := client.GetSchema(ctx, &eventbusv1.SchemaRequest{}, o...)
			return err
		}},
		"no headers": {"service.auth.headers.invalid", codes.Unauthenticated, func(o ...grpc.CallOption) error {
			_, err := client.GetTopic(t.Context(), &eventbusv1.TopicRequest{TopicName: topic}, o...)
			return err
		}},
		"nothing asked for": {"subscription.fetch.requested.events.invalid", codes.InvalidArgument, subscribe(ask(topic, 0))},
		"another topic":     {"subscription.fetch.topic.mismatch", codes.InvalidArgument, subscribe(ask(topic, 1), ask("/data/TaskChangeEvent", 1))},
		"no replay id": {"subscription.fetch.replayid.validation.failed", codes.InvalidArgument, subscribe(&eventbusv1.FetchRequest{
			TopicName: topic, NumRequested: 1, ReplayPreset: eventbusv1.ReplayPreset_CUSTOM,
		})},
		"damaged replay id": {"subscription.fetch.replayid.corrupted", codes.InvalidArgument, subscribe(&eventbusv1.FetchRequest{
			TopicName: topic, NumRequested: 1, ReplayPreset: eventbusv1.ReplayPreset_CUSTOM, ReplayId: []byte("x"),
		})},
	} {
		var trailer metadata.MD
		err := tc.call(grpc.Trailer(&trailer))
		require.Equal(t, tc.want, status.Code(err), name)
		require.Equal(t, []string{"sfdc.platform.eventbus.grpc." + tc.code}, trailer.Get("error-code"), name)
		require.Contains(t, err.Error(), " rpcId: ", name)
	}
}

// TestThePubSubAPISpeaksTLSWithTheOthers dials as third-party clients do, which know nothing else.
func TestThePubSubAPISpeaksTLSWithTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := simulator.DefaultConfig()
	cfg.Listen, cfg.PubSub, cfg.Dir, cfg.TLS.Enabled, cfg.DrainTimeout = "127.0.0.1:0", "127.0.0.1:0", dir, true, time.Minute
	sim, err := simulator.New(cfg, simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, sim.Listen(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-ended)
	}()
	trusted, err := credentials.NewClientTLSFromFile(filepath.Join(dir, "tls", "ca.pem"), "")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		trust credentials.TransportCredentials
		want  codes.Code
	}{"TLS": {trusted, codes.Unauthenticated}, "plain": {insecure.NewCredentials(), codes.Unavailable}} {
		conn, err := grpc.NewClient(sim.PubSubAddr(), grpc.WithTransportCredentials(c.trust))
		require.NoError(t, err)
		_, err = eventbusv1.NewPubSubClient(conn).GetTopic(t.Context(), &eventbusv1.TopicRequest{TopicName: "/data/LeadChangeEvent"})
		require.Equal(t, c.want, status.Code(err), "%s: %v", name, err)
		require.NoError(t, conn.Close())
	}
}

func TestDeliveriesAreLimited(t *testing.T) {
	t.Parallel()
	e := newEvents(t)
	e.leads(200)
	c := &collector{n: 200}
	err := e.sub.Run(t.Context(), "/data/LeadChangeEvent", pubsub.Earliest(), c)
	require.Equal(t, salesforce.ClassQuota, salesforce.ClassOf(err))
	require.Len(t, c.got, 100, "the second hundred would be more than the org's 160")
}
