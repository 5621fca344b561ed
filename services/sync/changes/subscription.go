package changes

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	"github.com/throughline-dev/throughline/services/internal/change"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// markVersion is the format of what is remembered of a subscription.
const markVersion = 1

// subscription reads the change events of one object of one org, and tells them. Trouble with the org is its own: it waits,
// and nobody waits for it (promise 6).
type subscription struct {
	org    *org
	object string
	log    *slog.Logger
	// reader turns events into changes; it is new with every attempt.
	reader reader
	lag    lag

	mu      sync.Mutex // held while what came is told, so that more of it waits (promise 7)
	pending batch
	// replay is where to go on, saved is what the state topic has, lost says that what came in between may be missing.
	replay, saved []byte
	lost, up      bool
	// trouble is what was logged last, so that it is said once.
	trouble string
	defects defects
	// stuck is where to go on was when the reading failed by a defect.
	stuck []byte
}

func newSubscription(g *org, object string) *subscription {
	return &subscription{
		org: g, object: object, lag: lag{heard: g.o.s.deps.Clock.Now()},
		log: g.o.s.deps.Logger.With("workspace", g.key.workspace, "connection", g.key.connection, "object", object),
	}
}

// run keeps the subscription up until ctx ends.
func (s *subscription) run(ctx context.Context) {
	cfg := s.org.o.s.cfg
	defer s.org.o.s.stats.follow(&s.lag)()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = cfg.RetryMin, cfg.RetryMax
	for {
		// A panic is the trouble of this subscription, and not of other orgs' (promise 6).
		err := stage.Guarded(func() error { return s.once(ctx) })
		heard := s.down()
		if ctx.Err() != nil {
			return
		}
		if heard && stage.DefectPlace(err) == "" { // else a defect that is met again and again would use up the org's events
			wait.Reset()
		}
		pause := wait.NextBackOff()
		unavailable := s.explain(ctx, err)
		if unavailable {
			pause = cfg.Recheck
			s.org.o.s.stats.unavailable.Add(1)
			s.lag.missing(true)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if unavailable {
			s.org.o.s.stats.unavailable.Add(-1)
			s.lag.missing(false)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// once subscribes and stays until the subscription breaks.
func (s *subscription) once(ctx context.Context) error {
	me, err := s.org.identity(ctx)
	if err != nil {
		return err
	}
	subscriber, err := s.org.subscriber(me)
	if err != nil {
		return err
	}
	from, err := s.recall(me.OrganizationID)
	if err != nil {
		return err
	}
	s.reader = newReader(s, me.UserID)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := make(chan error, 1)
	go func() {
		defer cancel()
		broken <- stage.Guarded(func() error { return subscriber.Run(ctx, "/data/"+s.object+"ChangeEvent", from, s) })
	}()
	ticker := time.NewTicker(s.org.o.s.cfg.FlushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.flush(ctx); err != nil && ctx.Err() == nil {
				cancel()
				return errors.Join(err, <-broken)
			}
		case err := <-broken:
			if errors.Is(err, pubsub.ErrReplayLost) || errors.Is(err, pubsub.ErrEvent) || errors.Is(err, pubsub.ErrBitmap) || s.standsStill(err) {
				s.forget()
			}
			return errors.Join(err, s.lastFlush(ctx))
		}
	}
}

// lastFlush tells what came before the subscription broke, also while everything stops. What it cannot tell comes again.
func (s *subscription) lastFlush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.org.o.s.cfg.Stage.DrainTimeout/2)
	defer cancel()
	return s.flush(ctx)
}

// recall returns where to go on: after the last event told, if that was one of the same org.
func (s *subscription) recall(orgID string) (pubsub.Start, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := new(statev1.ReplayMark)
	if value, ok := s.org.o.table.Get(s.stateKey()); ok {
		if err := proto.Unmarshal(value, mark); err != nil || mark.GetVersion() != markVersion || mark.GetOrgId() != orgID {
			mark.Reset()
		}
	}
	s.pending.org = orgID
	if s.replay = mark.GetReplayId(); len(s.replay) > 0 {
		s.saved = s.replay
		return pubsub.After(s.replay), nil
	}
	s.lost = true
	return pubsub.Latest(), nil
}

// forget goes on from now at the next attempt: what is between is lost, and said to be.
func (s *subscription) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.everything = true
	s.replay = []byte{}
}

// standsStill reports whether the reading failed by a defect where it did before: what comes there is as good as lost.
func (s *subscription) standsStill(err error) bool {
	if stage.DefectPlace(err) == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	again := len(s.replay) > 0 && string(s.stuck) == string(s.replay)
	s.stuck = s.replay
	return again
}

// Change implements pubsub.Handler. An event that the program cannot take may mean anything; those behind it are read.
func (s *subscription) Change(ctx context.Context, event *pubsub.ChangeEvent) error {
	stats := s.org.o.s.stats
	stats.events.Add(1)
	s.alive()
	s.lag.received(s.org.o.s.deps.Clock.Now(), event.Header.CommittedAt())
	err := stage.Guarded(func() error { return s.take(event) })
	s.mu.Lock()
	if err != nil {
		s.mayBeAnything(ctx, err)
	}
	s.replay = event.ReplayID
	full := s.pending.records >= s.org.o.s.cfg.FlushRecords
	s.mu.Unlock()
	if full {
		return s.flush(ctx)
	}
	return nil
}

func (s *subscription) take(event *pubsub.ChangeEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.add(s.reader.read(event))
	return nil
}

// mayBeAnything notes a defect in dealing with what came: nobody knows what it was, so that anything may have changed. The caller
// has the lock.
func (s *subscription) mayBeAnything(ctx context.Context, err error) {
	s.pending.reset()
	s.pending.everything = true
	s.defect(ctx, "change events failed by a defect of this program; everything that is remembered of the org is asked for again", err)
}

// defect counts a defect, and says once what it does. The caller has the lock.
func (s *subscription) defect(ctx context.Context, what string, err error) {
	s.org.o.s.stats.panicked.Add(1)
	if s.defects.isNew("", err) {
		s.log.ErrorContext(ctx, what, "place", stage.DefectPlace(err))
	}
}

// Alive implements pubsub.Handler.
func (s *subscription) Alive(_ context.Context, replayID []byte) error {
	s.alive()
	now := s.org.o.s.deps.Clock.Now()
	s.lag.received(now, now) // nothing that the org has done waits
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replay = replayID
	return nil
}

// alive notes that the subscription stands. Only then is nothing missed any more: what happened since the last event that was
// told, or since nobody knows when, is told to be anything.
func (s *subscription) alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		s.pending.everything, s.lost = true, false
		s.org.o.s.stats.missed.Add(1)
	}
	if !s.up {
		s.up = true
		s.org.o.s.stats.subscribed.Add(1)
		s.log.Info("change events are read")
		s.trouble = ""
	}
}

// down notes that the subscription broke, and reports whether it stood.
func (s *subscription) down() bool {
	s.lag.broke()
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.up
	if was {
		s.org.o.s.stats.subscribed.Add(-1)
	}
	s.up = false
	return was
}

// flush tells what came, and saves where to go on. Promise 2: outputs first, and then the state, so that a death in between
// tells them again.
func (s *subscription) flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := stage.Guarded(func() error { return s.tell(ctx) })
	if stage.DefectPlace(err) == "" {
		return err
	}
	s.mayBeAnything(ctx, err)
	return stage.Guarded(func() error { return s.tell(ctx) })
}

func (s *subscription) tell(ctx context.Context) error {
	messages, err := s.messages()
	if err != nil {
		return err
	}
	if err := s.org.o.port.Publish(ctx, messages...); err != nil {
		return err
	}
	s.org.o.s.stats.told.Add(int64(len(messages)))
	s.pending.reset()
	if string(s.replay) == string(s.saved) {
		return nil
	}
	entry := stage.Entry{Key: s.stateKey()}
	if len(s.replay) > 0 {
		entry.Value, err = proto.Marshal(&statev1.ReplayMark{
			Version: markVersion, ReplayId: s.replay, OrgId: s.pending.org, SavedAt: timestamppb.New(s.org.o.s.deps.Clock.Now()),
		})
		if err != nil {
			return err
		}
	}
	if err := s.org.o.port.Save(ctx, entry); err != nil {
		return err
	}
	s.saved = s.replay
	return nil
}

func (s *subscription) messages() ([]stage.Message, error) {
	var all []stage.Message
	for _, c := range s.pending.changes(s.org.o.s.cfg.FlushRecords) {
		c.Workspace, c.Connection, c.ReplayId = s.org.key.workspace, s.org.key.connection, s.replay
		if c.GetObject() == "" {
			c.Object = s.object
		}
		m, err := change.Message(c)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (s *subscription) stateKey() string {
	return string(topic.ConnectionKey(s.org.key.workspace, s.org.key.connection)) + "/" + s.object
}

// explain logs trouble once, and reports whether the org has no change events of the object for this user: then identity works
// by age alone.
func (s *subscription) explain(ctx context.Context, err error) (unavailable bool) {
	unavailable = salesforce.ClassOf(err) == salesforce.ClassConfig
	text := err.Error()
	s.mu.Lock()
	if stage.DefectPlace(err) != "" {
		defer s.mu.Unlock()
		s.defect(ctx, "the subscription to change events failed by a defect of this program and is tried again", err)
		return false
	}
	known := s.trouble == text
	s.trouble = text
	s.mu.Unlock()
	switch {
	case known:
	case unavailable:
		s.log.WarnContext(ctx, "no change events of this object; what is remembered of it is as old as its ages allow. Select it for change data capture and let the integration user view all of its records",
			"error", err, "recheck", s.org.o.s.cfg.Recheck)
	default:
		s.log.WarnContext(ctx, "the subscription to change events broke and is tried again", "error", err)
	}
	return unavailable
}
