package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/throughline-dev/throughline/libs/stage"
)

const (
	joinBackoff = time.Second
	// leaveTimeout is how long a member that stops waits for its goodbye to be heard.
	leaveTimeout = 5 * time.Second
	// watchEvery is how often a member looks for added partitions.
	watchEvery = 15 * time.Second
)

// Consume is a member of a group until ctx ends; see stage.Broker.
func (c *Client) Consume(ctx context.Context, m stage.Membership, serve func(context.Context, stage.Generation)) error {
	if m.State == nil {
		m.State = func(error) {}
	}
	if err := c.awaitTopics(ctx, m); err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return err
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                m.Group,
		Brokers:           c.cfg.Brokers,
		Dialer:            c.dialer,
		Topics:            []string{m.Topic},
		SessionTimeout:    m.SessionTimeout,
		HeartbeatInterval: m.SessionTimeout / 5,
		RebalanceTimeout:  m.RebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
		StartOffset:       kafka.FirstOffset,
		Timeout:           c.cfg.RequestTimeout,
	})
	if err != nil {
		return fmt.Errorf("kafka: group %s: %w", m.Group, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = group.Close() })
	defer func() {
		stop()
		c.leave(group)
	}()
	for {
		// Not ctx: Close makes Next return once the member has left, and the last generation must have ended by then.
		gen, err := group.Next(context.WithoutCancel(ctx))
		switch {
		case errors.Is(err, kafka.ErrGroupClosed):
			return nil
		case err != nil:
			m.State(fmt.Errorf("joining group %s: %w", m.Group, err))
		default:
			m.State(nil)
			c.serve(ctx, gen, m, serve)
		}
	}
}

// leave closes a group, which makes the member leave it, and waits a while for that. kafka-go cannot interrupt a join, which
// may wait as long as a rebalance; a member that could not say goodbye is dropped after its session.
func (c *Client) leave(group *kafka.ConsumerGroup) {
	left := make(chan struct{})
	go func() {
		defer close(left)
		_ = group.Close()
	}()
	patience := time.NewTimer(leaveTimeout)
	defer patience.Stop()
	select {
	case <-left:
	case <-patience.C:
		c.logger.Warn("left a consumer group without a goodbye; its partitions move on after the session timeout")
	}
}

// serve runs one generation. kafka-go joins the next one only when every function given to Generation.Start has returned,
// and stops its own heartbeats as soon as the generation ends; so one function of ours stays until serve has drained, and
// goes on with the heartbeats. Without them a drain longer than the session timeout would get this member expelled, and
// its last commit refused.
func (c *Client) serve(ctx context.Context, gen *kafka.Generation, m stage.Membership, serve func(context.Context, stage.Generation)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan struct{})
	partitions := c.partitionsNow(ctx, m.Topic)
	gen.Start(func(ended context.Context) {
		c.awaitEnd(ctx, ended, served, topicSize{m.Topic, partitions})
		cancel()
		beat := time.NewTicker(m.SessionTimeout / 5)
		defer beat.Stop()
		for {
			select {
			case <-served:
				return
			case <-beat.C:
				c.heartbeat(ctx, gen)
			}
		}
	})
	serve(ctx, &generation{gen: gen, topic: m.Topic, tel: c.tel})
	close(served)
}

// awaitEnd returns when the generation has ended, when serve has returned, or when the topic has got more partitions,
// which ends the generation.
func (c *Client) awaitEnd(ctx, ended context.Context, served <-chan struct{}, topic topicSize) {
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-ended.Done():
			return
		case <-served:
			return
		case <-watch.C:
			// kafka-go's own watcher ends the generation on every failed look-up, and joins in a tight loop when there is no
			// such topic.
			if now := c.partitionsNow(ctx, topic.name); now != topic.partitions && now != 0 {
				return
			}
		}
	}
}

type topicSize struct {
	name       string
	partitions int
}

func (c *Client) partitionsNow(ctx context.Context, topic string) int {
	n, err := c.Partitions(ctx, topic)
	if err != nil {
		return 0
	}
	return n
}

// heartbeat keeps a draining member in the group. Its answer says "rebalance in progress", which is known, or that the
// member was expelled, which the commit will find out.
func (c *Client) heartbeat(ctx context.Context, gen *kafka.Generation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.RequestTimeout)
	defer cancel()
	_, _ = c.admin.Heartbeat(ctx, &kafka.HeartbeatRequest{
		GroupID: gen.GroupID, GenerationID: gen.ID, MemberID: gen.MemberID,
	})
}

// awaitTopics waits for the topics of a membership. It fails if their partition counts can never work together, or if ctx
// ends.
func (c *Client) awaitTopics(ctx context.Context, m stage.Membership) error {
	for {
		n, err := c.Partitions(ctx, m.Topic)
		for _, topic := range m.CoPartitioned {
			if err != nil {
				break
			}
			var k int
			if k, err = c.Partitions(ctx, topic); err == nil && k != n {
				return fmt.Errorf("kafka: topic %s has %d partitions and %s has %d; they must have as many, "+
					"so create the smaller one anew", m.Topic, n, topic, k)
			}
		}
		if err == nil {
			return nil
		}
		m.State(err)
		if err := sleep(ctx, joinBackoff); err != nil {
			return err
		}
	}
}

// generation is a stage.Generation.
type generation struct {
	gen   *kafka.Generation
	topic string
	tel   *telemetry
}

// Assigned returns the partitions of the stage's topic.
func (g *generation) Assigned() []stage.Assignment {
	list := g.gen.Assignments[g.topic]
	out := make([]stage.Assignment, len(list))
	for i, a := range list {
		out[i] = stage.Assignment{Partition: a.ID, Offset: a.Offset}
	}
	return out
}

// Commit stores offsets under the generation's id, so that the broker refuses them once the generation is over.
func (g *generation) Commit(ctx context.Context, offsets map[int]int64) error {
	if len(offsets) == 0 {
		return nil
	}
	start := time.Now()
	err := g.gen.CommitOffsets(map[string]map[int]int64{g.topic: offsets})
	g.tel.operation(ctx, "commit", g.topic, start, err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kafka.IllegalGeneration), errors.Is(err, kafka.UnknownMemberId),
		errors.Is(err, kafka.RebalanceInProgress), errors.Is(err, kafka.FencedInstanceID):
		return fmt.Errorf("%w: %w", stage.ErrFenced, err)
	default:
		return fmt.Errorf("kafka: committing: %w", err)
	}
}
