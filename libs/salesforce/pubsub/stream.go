package pubsub

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
)

// stream is one attempt at a subscription.
type stream struct {
	s       *Subscriber
	topic   string
	from    Start // moves on with every event dealt with
	handler Handler
	heard   bool // something was dealt with
	sent    bool // the token source gave a token
}

// run reads until the stream ends. It never returns nil.
func (st *stream) run(ctx context.Context) error {
	cfg := st.s.cfg
	// The credentials belong to the stream; asking the token source is not part of its silence.
	authorised, refused, err := st.s.authorised(ctx)
	if err != nil {
		return err
	}
	st.sent = true
	calls, cancel := context.WithCancel(authorised)
	defer cancel()
	silence := time.AfterFunc(cfg.SilenceTimeout, cancel)
	defer silence.Stop()
	call, err := st.s.client.Subscribe(calls, grpc.MaxCallRecvMsgSize(cfg.MaxMessageBytes))
	if err != nil {
		return classify(err, nil)
	}
	ask := func(n int32) error {
		return call.Send(&eventbusv1.FetchRequest{
			TopicName: st.topic, ReplayPreset: st.from.preset, ReplayId: st.from.id, NumRequested: n,
		})
	}
	// A Send that fails only says that the stream is over; Recv says why.
	_ = ask(cfg.Window)
	for outstanding := cfg.Window; ; {
		silence.Reset(cfg.SilenceTimeout)
		answer, err := call.Recv()
		silence.Stop()
		if err != nil {
			err = classify(err, call.Trailer())
			refused(err)
			return err
		}
		if err := st.deliver(ctx, answer); err != nil {
			return err
		}
		st.heard = true
		// Never more than Window on the way: more is asked for only once the events before are dealt with.
		outstanding -= int32(min(len(answer.GetEvents()), int(outstanding)))
		if outstanding <= cfg.Window/2 {
			_ = ask(cfg.Window - outstanding)
			outstanding = cfg.Window
		}
	}
}

// deliver hands over the events of an answer, and where to go on from when there are none.
func (st *stream) deliver(ctx context.Context, answer *eventbusv1.FetchResponse) error {
	for _, event := range answer.GetEvents() {
		d, err := st.s.decoder(ctx, event.GetEvent().GetSchemaId())
		if err != nil {
			return err
		}
		change, err := d.decode(event.GetEvent().GetPayload())
		if err != nil {
			return fmt.Errorf("event %.36q: %w", event.GetEvent().GetId(), err)
		}
		change.ReplayID = event.GetReplayId()
		if err := st.handler.Change(ctx, change); err != nil {
			return err
		}
		st.from, st.heard = After(change.ReplayID), true
	}
	if id := answer.GetLatestReplayId(); len(answer.GetEvents()) == 0 && len(id) > 0 {
		if err := st.handler.Alive(ctx, id); err != nil {
			return err
		}
		st.from = After(id)
	}
	return nil
}
