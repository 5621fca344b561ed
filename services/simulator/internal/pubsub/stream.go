package pubsub

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
	"github.com/throughline-dev/throughline/services/simulator/internal/changes"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
)

// maxRequested is how many events can be asked for and not yet delivered; more counts as this (Pub/Sub API guide, "Pub/Sub API
// and Event Allocations").
const maxRequested = 100

// stream is one subscription.
type stream struct {
	*session
	call   grpc.BidiStreamingServer[eventbusv1.FetchRequest, eventbusv1.FetchResponse]
	faults *faults.Engine
	topic  changes.Topic
	at     changes.Position
	wanted int // events asked for and not delivered
}

// Subscribe delivers the events of a topic as they are asked for.
func (s *Server) Subscribe(call grpc.BidiStreamingServer[eventbusv1.FetchRequest, eventbusv1.FetchResponse]) error {
	ctx := call.Context()
	in, err := s.admit(ctx)
	if err != nil {
		return err
	}
	first, err := call.Recv()
	if err != nil {
		return ended(err)
	}
	st := &stream{session: in, call: call, faults: s.deps.Faults}
	if st.topic, err = in.topic(ctx, first.GetTopicName(), codeSubscribe); err != nil {
		return err
	}
	if st.at, err = st.start(first); err != nil {
		return err
	}
	if err := st.ask(first); err != nil {
		return err
	}
	requests, failed := receive(call)
	quiet := time.NewTimer(s.deps.Keepalive)
	defer quiet.Stop()
	for {
		changed := st.Log.Changed()
		sent, err := st.deliver()
		if err != nil {
			return err
		}
		if sent {
			quiet.Reset(s.deps.Keepalive)
			continue
		}
		select {
		case <-changed:
		case ask := <-requests:
			if err := st.ask(ask); err != nil {
				return err
			}
		case err := <-failed:
			return ended(err)
		case <-quiet.C:
			if err := st.alive(); err != nil {
				return err
			}
			quiet.Reset(s.deps.Keepalive)
		}
	}
}

// receive hands over the requests of a call until it ends.
func receive(call grpc.BidiStreamingServer[eventbusv1.FetchRequest, eventbusv1.FetchResponse]) (<-chan *eventbusv1.FetchRequest, <-chan error) {
	requests, failed := make(chan *eventbusv1.FetchRequest), make(chan error, 1)
	go func() {
		for {
			ask, err := call.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- ask:
			case <-call.Context().Done():
				return
			}
		}
	}()
	return requests, failed
}

// ended is how a call ends whose client has said all it wanted to.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// start finds where a subscription begins.
func (st *stream) start(first *eventbusv1.FetchRequest) (changes.Position, error) {
	now := st.Org.Now()
	switch first.GetReplayPreset() {
	case eventbusv1.ReplayPreset_EARLIEST:
		return st.Log.Earliest(now), nil
	case eventbusv1.ReplayPreset_CUSTOM:
		if len(first.GetReplayId()) == 0 {
			return changes.Position{}, failure(st.call.Context(), codes.InvalidArgument, codeNoReplay, "CUSTOM needs a Replay ID.")
		}
		p, ok := st.Log.Position(first.GetReplayId(), now)
		if !ok {
			return p, failure(st.call.Context(), codes.InvalidArgument, codeReplay,
				"The Replay ID validation failed. Ensure that the Replay ID is valid.")
		}
		return p, nil
	case eventbusv1.ReplayPreset_LATEST:
	}
	return st.Log.Latest(now), nil
}

// ask takes a request for more events. The topic and the start count in the first request only.
func (st *stream) ask(ask *eventbusv1.FetchRequest) error {
	ctx := st.call.Context()
	if name := ask.GetTopicName(); name != "" && name != st.topic.Name {
		return failure(ctx, codes.InvalidArgument, codeMismatch, "The topic of a subscription cannot change.")
	}
	if ask.GetNumRequested() <= 0 {
		return failure(ctx, codes.InvalidArgument, codeRequested, "num_requested must be above 0.")
	}
	if token := ask.GetAuthRefresh(); token != "" {
		old := st.token
		if st.token = token; !st.good(ctx) {
			st.token = old
			return failure(ctx, codes.Unauthenticated, codeAuthRefresh, "The token of auth_refresh is expired or invalid.")
		}
	}
	st.wanted = min(st.wanted+int(min(ask.GetNumRequested(), maxRequested)), maxRequested)
	return nil
}

// deliver sends what there is of what was asked for, and reports whether that was something.
func (st *stream) deliver() (bool, error) {
	ctx := st.call.Context()
	if st.Log.Closed() {
		return false, failure(ctx, codes.Unavailable, codeUnavailable, "The organization is gone.")
	}
	if st.wanted == 0 {
		return false, nil
	}
	var events []changes.Event
	at := st.at
	// What a subscriber is shown must not be lost any more.
	if err := st.Org.View(ctx, func() { events, at = st.Log.After(st.at, st.topic, st.wanted) }); err != nil {
		return false, failure(ctx, codes.Unavailable, codeUnavailable, "The events cannot be kept.")
	}
	if len(events) == 0 {
		st.at = at
		return false, nil
	}
	if !st.good(ctx) {
		return false, failure(ctx, codes.Unauthenticated, codeAuth, "Authentication failed: the session is expired or invalid.")
	}
	rule := st.fault()
	if err := st.befall(rule); err != nil {
		return false, err
	}
	if !st.Deliveries.Add(st.Org.Now(), len(events)) {
		return false, failure(ctx, codes.ResourceExhausted, codeLimit, "You have exceeded the event delivery limit for your org.")
	}
	if err := st.send(events); err != nil {
		return false, err
	}
	st.at = at
	if rule != nil && rule.Action == faults.DropAfter {
		return false, failure(ctx, codes.Unavailable, codeUnavailable, "The stream was dropped.")
	}
	return true, nil
}

func (st *stream) send(events []changes.Event) error {
	st.wanted -= len(events)
	out := &eventbusv1.FetchResponse{
		LatestReplayId: st.Log.ReplayID(events[len(events)-1].Position()), RpcId: rpcID(), PendingNumRequested: int32(st.wanted),
	}
	for i := range events {
		e := &events[i]
		out.Events = append(out.Events, &eventbusv1.ConsumerEvent{
			Event:    &eventbusv1.ProducerEvent{Id: e.ID, SchemaId: e.SchemaID, Payload: e.Payload},
			ReplayId: st.Log.ReplayID(e.Position()),
		})
	}
	return st.call.Send(out)
}

// alive sends an answer without events and the place that the subscriber has come to.
func (st *stream) alive() error {
	at := st.at
	if latest := st.Log.Latest(st.Org.Now()); latest.Number == at.Number {
		at = latest // nothing came since, so that the place is as good as new
	}
	return st.call.Send(&eventbusv1.FetchResponse{
		LatestReplayId: st.Log.ReplayID(at), RpcId: rpcID(), PendingNumRequested: int32(st.wanted),
	})
}

// fault returns the rule that hits the next answer with events, or nil.
func (st *stream) fault() *faults.Rule {
	object := ""
	if st.topic.Object != nil {
		object = st.topic.Object.Name
	}
	return st.faults.Request(faults.Call{Org: st.Org.Key, Route: Route, Object: object, Now: st.Org.Now()})
}

// befall does what a rule says before the events are sent.
func (st *stream) befall(rule *faults.Rule) error {
	if rule == nil {
		return nil
	}
	ctx := st.call.Context()
	switch rule.Action {
	case faults.Status, faults.Maintenance, faults.DropBefore:
		code, text := rule.Code, rule.Message
		if code == "" {
			code = codeUnavailable
		}
		if text == "" {
			text = "The stream was dropped."
		}
		pause(ctx, rule.Wait)
		return failure(ctx, codes.Unavailable, code, text)
	case faults.QuotaExceeded:
		return failure(ctx, codes.ResourceExhausted, codeLimit, "You have exceeded the event delivery limit for your org.")
	case faults.ExpireSession:
		st.Auth.Expire(st.token)
		return failure(ctx, codes.Unauthenticated, codeAuth, "Authentication failed: the session is expired or invalid.")
	case faults.Delay:
		pause(ctx, rule.Wait)
	}
	return nil
}

// pause waits for d, or until the client is gone.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
