package pubsub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
	"github.com/throughline-dev/throughline/libs/salesforce"
)

// Handler deals with what a subscription brings. Calls come one after the other; an error ends Run with that error.
type Handler interface {
	// Change deals with an event. Once it returns nil, the subscription never goes back before the event.
	Change(ctx context.Context, event *ChangeEvent) error
	// Alive says that nothing before replayID is outstanding: keep it as the place to go on from.
	Alive(ctx context.Context, replayID []byte) error
}

// Start is where a subscription begins. The zero Start is Latest.
type Start struct {
	preset eventbusv1.ReplayPreset
	id     []byte
}

// Latest begins with what happens from now on. When the connection breaks before the first event or keepalive there is
// no replay id yet, and what happened in between is missed.
func Latest() Start { return Start{} }

// Earliest begins with the oldest event that Salesforce keeps, up to 72 h back.
func Earliest() Start { return Start{preset: eventbusv1.ReplayPreset_EARLIEST} }

// After begins with the event that follows the one with the replay id.
func After(replayID []byte) Start {
	return Start{preset: eventbusv1.ReplayPreset_CUSTOM, id: replayID}
}

// Org is whose events are read.
type Org struct {
	// ID is the org's 18-character id.
	ID     string
	Tokens salesforce.TokenSource
}

// Subscriber reads the topics of one org. It is safe for concurrent use.
type Subscriber struct {
	client eventbusv1.PubSubClient
	org    Org
	cfg    Config

	mu       sync.Mutex
	decoders map[string]*decoder // by schema id
}

// New returns a Subscriber on a connection, e.g. to api.pubsub.salesforce.com:443 with TLS, which stays the caller's to close. It
// fails only when the Config does not Validate. Source: Pub/Sub API Guide, "Pub/Sub API Endpoints".
func New(conn grpc.ClientConnInterface, org Org, cfg Config) (*Subscriber, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pubsub: %w", err)
	}
	return &Subscriber{client: eventbusv1.NewPubSubClient(conn), org: org, cfg: cfg, decoders: map[string]*decoder{}}, nil
}

// Run hands the events of a topic to the handler until ctx ends, and subscribes again from the last event dealt with when
// the stream breaks. It returns ErrReplayLost, ErrEvent, ErrBitmap, the handler's error, or an *salesforce.Error that no
// repetition mends or that came Config.MaxFailures times in a row.
func (s *Subscriber) Run(ctx context.Context, topic string, from Start, handler Handler) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = s.cfg.BackoffMin, s.cfg.BackoffMax
	failures, refusals := 0, 0
	for {
		st := &stream{s: s, topic: topic, from: from, handler: handler}
		err := st.run(ctx)
		from = st.from
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if st.heard {
			failures, refusals = 0, 0
			wait.Reset()
		}
		failures++
		switch salesforce.ClassOf(err) {
		case salesforce.ClassTransient:
		case salesforce.ClassAuth:
			refusals++
		default:
			failures = s.cfg.MaxFailures
		}
		// A refused token was reported to its source: one more attempt has another one. A source that fails for good, and a
		// second refusal, are for a person.
		if failures >= s.cfg.MaxFailures || refusals > 1 || refusals == 1 && !st.sent {
			return fmt.Errorf("subscribe to %s: %w", topic, err)
		}
		timer := time.NewTimer(wait.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// authorised adds the org's credentials to calls. The function reports a refusal of the token that was used.
func (s *Subscriber) authorised(ctx context.Context) (context.Context, func(error), error) {
	token, err := s.org.Tokens.Token(ctx)
	if err != nil {
		return nil, nil, tokenError(err)
	}
	refused := func(err error) {
		if salesforce.ClassOf(err) == salesforce.ClassAuth {
			s.org.Tokens.Refused(ctx, token)
		}
	}
	return metadata.AppendToOutgoingContext(ctx, "accesstoken", token.AccessToken.Reveal(),
		"instanceurl", token.InstanceURL, "tenantid", s.org.ID), refused, nil
}

// Topic asks what a topic is, e.g. whether the user may subscribe to it, and takes Config.CallTimeout at most. Errors are
// *salesforce.Error; it does not repeat the question.
func (s *Subscriber) Topic(ctx context.Context, name string) (*eventbusv1.TopicInfo, error) {
	return unary(ctx, s, &eventbusv1.TopicRequest{TopicName: name}, s.client.GetTopic)
}

// decoder returns what reads the events of a schema, and asks for the schema when it is new.
func (s *Subscriber) decoder(ctx context.Context, schemaID string) (*decoder, error) {
	s.mu.Lock()
	d := s.decoders[schemaID]
	s.mu.Unlock()
	if d != nil {
		return d, nil
	}
	info, err := unary(ctx, s, &eventbusv1.SchemaRequest{SchemaId: schemaID}, s.client.GetSchema)
	if err != nil {
		return nil, err
	}
	if d, err = newDecoder(info.GetSchemaJson()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.decoders) >= s.cfg.MaxSchemas {
		clear(s.decoders)
	}
	s.decoders[schemaID] = d
	return d, nil
}

// unary makes one call with the org's credentials.
func unary[Q, A any](ctx context.Context, s *Subscriber, ask Q, call func(context.Context, Q, ...grpc.CallOption) (A, error)) (A, error) {
	var none A
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	ctx, refused, err := s.authorised(ctx)
	if err != nil {
		return none, err
	}
	var trailer metadata.MD
	answer, err := call(ctx, ask, grpc.Trailer(&trailer))
	if err != nil {
		err = classify(err, trailer)
		refused(err)
		return none, err
	}
	return answer, nil
}
