package simulator

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
	"github.com/throughline-dev/throughline/services/simulator/internal/changes"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/pubsub"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// capture lets an org's commits give change events from now on, after those that were kept. It does nothing when the Pub/Sub
// API is off.
func (s *Simulator) capture(ctx context.Context, t *tenant) error {
	if s.cfg.PubSub == "" {
		return nil
	}
	log, err := changes.New(changes.Deps{Org: t.org, Gap: s.gaps(t.org.Key)})
	if err != nil {
		return err
	}
	if err := log.Restore(ctx, t.org, s.clock.Now()); err != nil {
		return err
	}
	t.changes = log
	t.org.Watch(log.Commit)
	return nil
}

// gaps returns what decides about gap events of an org.
func (s *Simulator) gaps(key string) func(object string) string {
	return func(object string) string {
		rule := s.faults.Event(faults.Call{Org: key, Route: pubsub.Route, Object: object, Now: s.clock.Now()})
		if rule == nil {
			return ""
		}
		if rule.Code != "" {
			return rule.Code
		}
		return "GAP"
	}
}

// servePubSub starts the Pub/Sub API on its listener, if there is one. The function ends it and all subscriptions; it may be
// called more than once.
func (s *Simulator) servePubSub(ctx context.Context) (stop func()) {
	if s.events == nil {
		return func() {}
	}
	var options []grpc.ServerOption
	if s.secure != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.secure)))
	}
	server := grpc.NewServer(options...)
	eventbusv1.RegisterPubSubServer(server, pubsub.New(pubsub.Deps{
		Tenant: s.subscribed, Faults: s.faults, Keepalive: s.cfg.PubSubKeepalive,
	}))
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(s.events); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.deps.Logger.ErrorContext(ctx, "the Pub/Sub API ended", "error", err)
		}
	}()
	s.deps.Logger.InfoContext(ctx, "the Pub/Sub API is up", "address", s.PubSubAddr())
	return func() {
		server.Stop()
		<-served
	}
}

// subscribed finds an org by its id.
func (s *Simulator) subscribed(id string) (pubsub.Tenant, bool) {
	for _, t := range s.all() {
		if t.org.ID == id && t.changes != nil {
			return pubsub.Tenant{Org: t.org, Auth: t.auth, Log: t.changes, Deliveries: t.deliver}, true
		}
	}
	return pubsub.Tenant{}, false
}

// PubSubAddr returns the address of the Pub/Sub API, or "" before Listen and when it is off.
func (s *Simulator) PubSubAddr() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.events == nil {
		return ""
	}
	return s.events.Addr().String()
}

// deliveries is how many change events an org may be sent in 24 hours (Change Data Capture guide, "Change Data Capture
// Allocations").
func deliveries(spec scenario.Org) int {
	if spec.API.EventDeliveries > 0 {
		return spec.API.EventDeliveries
	}
	switch {
	case strings.HasPrefix(spec.Edition, "Unlimited"), strings.HasPrefix(spec.Edition, "Performance"):
		return 50_000
	case strings.HasPrefix(spec.Edition, "Developer"):
		return 10_000
	}
	return 25_000
}
