package settings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// ErrNoSettings means that no snapshot was received yet and none is saved. Wait: it ends when config can be reached.
var ErrNoSettings = errors.New("no settings yet: the config service was not reached and no snapshot is saved")

// Deps is what a Client works with.
type Deps struct {
	// Installation opens the workspaces' keys and the saved snapshot. Required by NewClient.
	Installation *seal.Installation
	// Conn is used instead of a connection of its own; the client then does not close it.
	Conn   grpc.ClientConnInterface
	Logger *slog.Logger
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// Client keeps the newest View by watching the config service.
type Client struct {
	cfg     Config
	deps    Deps
	service configv1.ConfigServiceClient
	close   func() error
	view    atomic.Pointer[View]
	unsaved chan struct{}
	ready   chan struct{}
	once    sync.Once
}

// NewClient prepares a client; it connects in Run.
func NewClient(cfg Config, deps Deps) (*Client, error) {
	cfg = cfg.withDefaults()
	if deps.Installation == nil {
		return nil, errors.New("config client: the installation's key is missing")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, deps: deps, close: func() error { return nil }, ready: make(chan struct{}), unsaved: make(chan struct{}, 1)}
	conn := deps.Conn
	if conn == nil {
		own, err := Dial(cfg, deps)
		if err != nil {
			return nil, err
		}
		conn, c.close = own, own.Close
	}
	c.service = configv1.NewConfigServiceClient(conn)
	return c, nil
}

// View returns the newest view, or nil until there is one.
func (c *Client) View() *View { return c.view.Load() }

// Ready returns nil once there is a view, and ErrNoSettings before.
func (c *Client) Ready() error {
	if c.view.Load() == nil {
		return ErrNoSettings
	}
	return nil
}

// WaitReady returns the view as soon as there is one. Its error is that of ctx.
func (c *Client) WaitReady(ctx context.Context) (*View, error) {
	select {
	case <-c.ready:
		return c.view.Load(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrNoSettings, ctx.Err())
	}
}

// Service is the config service on the client's connection, for other calls than Watch. It works until Run returns.
func (c *Client) Service() configv1.ConfigServiceClient { return c.service }

// Run watches until ctx ends and then returns nil; while config is away it keeps the last view and tries again. Call it
// once.
func (c *Client) Run(ctx context.Context) error {
	defer func() { _ = c.close() }()
	c.restore()
	watched, saved := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(saved)
		c.saveChanges(ctx, watched)
	}()
	defer func() { close(watched); <-saved }()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = c.cfg.RetryMin, c.cfg.RetryMax
	away := false
	for ctx.Err() == nil {
		received, err := c.watch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if received {
			wait.Reset()
			away = false
		}
		if !away {
			// Promise 3: the stages go on with what they have.
			away = true
			c.deps.Logger.WarnContext(ctx, "lost the config service; working from the last settings until it is back",
				"revision", c.View().revisionOrZero(), "error", describe(err))
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
	return nil
}

// watch follows one stream until it breaks and reports whether it brought anything. It asks for what it has not got yet.
func (c *Client) watch(ctx context.Context) (received bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &configv1.WatchRequest{Parts: true}
	if v := c.View(); v != nil {
		request.Revision, request.Lineage = v.revision, v.lineage
	}
	stream, err := c.service.Watch(ctx, request)
	if err != nil {
		return false, err
	}
	pieces := &change{}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return received, err
		}
		next := pieces
		if part := resp.GetPart(); part == nil { // a service that does not know pieces
			next = whole(resp.GetSnapshot())
		} else if last, err := pieces.add(part, c.cfg.MaxSnapshotBytes); err != nil {
			return received, err
		} else if !last {
			continue
		}
		pieces = &change{}
		if err := c.apply(ctx, next); err != nil {
			return received, err
		}
		received = true
	}
}

func (c *Client) apply(ctx context.Context, next *change) error {
	view, troubles := c.View().with(next, c.deps.Installation)
	err := errors.Join(troubles...)
	if view == nil {
		return err // it would refuse the events of those it lacks
	}
	c.publish(view)
	c.deps.Logger.InfoContext(ctx, "settings received", "revision", view.Revision(), "workspaces", len(view.workspaces),
		"changed", len(next.workspaces)+len(next.amended))
	if err != nil {
		c.deps.Logger.ErrorContext(ctx, "a workspace's keys do not open; it goes on with those in memory, which a restart would lose",
			"revision", view.Revision(), "error", err)
		return nil // and what is saved, whose keys open, stays
	}
	select {
	case c.unsaved <- struct{}{}:
	default: // the newest view will be saved anyway
	}
	return nil
}

func (c *Client) publish(view *View) {
	c.view.Store(view)
	c.once.Do(func() { close(c.ready) })
}

func (v *View) revisionOrZero() int64 {
	if v == nil {
		return 0
	}
	return v.revision
}

// describe leaves addresses and other details of the transport out of the logs.
func describe(err error) string {
	if s, ok := status.FromError(err); ok {
		return s.Code().String()
	}
	return err.Error()
}
