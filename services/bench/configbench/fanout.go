package configbench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/recipe"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

const (
	// savers is how many administrators fill in settings at once.
	savers = 4
	// lookEvery is how precisely a receipt is seen.
	lookEvery = 500 * time.Microsecond
	// receivedWithin bounds the wait for a watcher: one that stands still ends the run.
	receivedWithin = 5 * time.Minute
	// placeholderOrg is never asked: no integration of the bench names a user.
	placeholderOrg = "http://127.0.0.1:9"
)

// fanOut times changes until the last watcher has them.
func (m *bench) fanOut(ctx context.Context) (err error) {
	s, err := m.place.start(m.place.file("settings.db"), nil) //nolint:contextcheck // the service ends with close
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := m.fillSettings(ctx, s); err != nil {
		return err
	}
	r := &m.result.FanOut
	r.Watchers, r.Integrations, r.Workspaces = m.cfg.Watchers, m.cfg.Integrations, m.cfg.Workspaces
	group, watching := errgroup.WithContext(ctx)
	watching, stop := context.WithCancel(watching)
	defer func() {
		stop()
		err = errors.Join(err, group.Wait())
	}()
	fmt.Fprintf(m.w, "\nFan-out: %d integrations in %d workspaces, %d watchers\n", r.Integrations, r.Workspaces, r.Watchers)
	began := time.Now()
	watchers := make(watchers, m.cfg.Watchers)
	for i := range watchers {
		watchers[i], err = settings.NewClient(settings.Config{
			Target: s.Addr(), Token: secret.New(serviceToken), TLS: m.place.certs.client(),
		}, settings.Deps{Installation: m.place.installation})
		if err != nil {
			return err
		}
		group.Go(func() error { return watchers[i].Run(watching) })
	}
	for _, w := range watchers {
		if _, err := w.WaitReady(ctx); err != nil {
			return err
		}
	}
	r.Begin = time.Since(began).Seconds()
	fmt.Fprintf(m.w, "%-34s %10.2f s\n", "all watchers have everything", r.Begin)
	changed, err := m.changes(ctx, s, watchers)
	if err != nil {
		return err
	}
	return m.bareFanOut(ctx, changed)
}

// fillSettings saves every integration through the API.
func (m *bench) fillSettings(ctx context.Context, s *service) error {
	for n := range m.cfg.Workspaces {
		if err := s.workspace(ctx, workspaceID(n), placeholderOrg); err != nil {
			return err
		}
	}
	p := newProgress(m.w, "integrations", 0, m.cfg.Integrations)
	group, saving := errgroup.WithContext(ctx)
	group.SetLimit(savers)
	for n := range m.cfg.Integrations {
		p.at(n)
		if saving.Err() != nil {
			break
		}
		group.Go(func() error { return m.fillIntegration(saving, s, n) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	m.result.Fill = append(m.result.Fill, p.done(m.cfg.Integrations))
	return nil
}

func (m *bench) fillIntegration(ctx context.Context, s *service, n int) error {
	i, err := m.integration(n)
	if err != nil {
		return err
	}
	_, err = s.admin.PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: i})
	return err
}

// integration is one as the recipe for videos makes it, about 1.3 KB.
func (m *bench) integration(n int) (*configv1.Integration, error) {
	return recipe.Build("video-engagement", recipe.Params{
		Workspace: workspaceID(n % m.cfg.Workspaces), ID: fmt.Sprintf("integration-%05d", n), Connection: connectionID, PackageInstalled: true,
	})
}

// changes saves one integration after the other and times each until the last watcher has it.
func (m *bench) changes(ctx context.Context, s *service, all watchers) (*configv1.Integration, error) {
	took := make([]time.Duration, 0, m.cfg.Changes)
	var saved *configv1.Integration
	cpu := cpuTime()
	for n := range m.cfg.Changes {
		i, err := m.integration(n * 7 % m.cfg.Integrations)
		if err != nil {
			return nil, err
		}
		newest, err := s.admin.GetIntegration(ctx, &configv1.GetIntegrationRequest{Workspace: i.GetWorkspace(), Integration: i.GetId()})
		if err != nil {
			return nil, err
		}
		i.Version, i.Name = newest.GetIntegration().GetVersion(), fmt.Sprintf("changed %d", n)
		next, began := all.revision()+1, time.Now()
		resp, err := s.admin.PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: i})
		if err != nil {
			return nil, err
		}
		saved = resp.GetIntegration()
		if err := all.await(ctx, next); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	r := &m.result.FanOut
	r.CPU = milliseconds(cpuTime()-cpu) / float64(m.cfg.Changes)
	r.Changes = spread(took)
	fmt.Fprintf(m.w, spreadHeader, "", "p50 ms", "p99 ms", "max ms", "ratio")
	return saved, nil
}

// bareFanOut sends the changed integration to as many streams of a server that does nothing else.
func (m *bench) bareFanOut(ctx context.Context, changed *configv1.Integration) (err error) {
	payload, err := proto.Marshal(changed)
	if err != nil {
		return err
	}
	b, err := startBare(m.place.certs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	streams := make([]grpc.ClientStream, m.cfg.Watchers)
	for i := range streams {
		conn, err := m.place.dial(b.addr(), "")
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if streams[i], err = watchBare(ctx, conn); err != nil {
			return err
		}
	}
	took := make([]time.Duration, 0, m.cfg.Changes)
	for range m.cfg.Changes {
		began := time.Now()
		b.tell(wrapperspb.Bytes(payload))
		var group errgroup.Group
		for _, s := range streams {
			group.Go(func() error { return s.RecvMsg(&wrapperspb.BytesValue{}) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	r := &m.result.FanOut
	r.Bare = spread(took)
	r.Changes.writeTo(m.w, "save to last watcher", r.Changes.P50/max(r.Bare.P50, 0.001))
	r.Bare.writeTo(m.w, fmt.Sprintf("bare gRPC, %d bytes", len(payload)), 0)
	fmt.Fprintf(m.w, "%-34s %10.1f ms\n", "CPU of one change", r.CPU)
	return nil
}

// watchers follow the settings as services do.
type watchers []*settings.Client

func (w watchers) revision() int64 { return w[0].View().Revision() }

// await returns when the last one has the revision.
func (w watchers) await(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, receivedWithin)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for _, client := range w {
		for client.View().Revision() < revision {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("a watcher never got revision %d: %w", revision, ctx.Err())
			}
		}
	}
	return nil
}
