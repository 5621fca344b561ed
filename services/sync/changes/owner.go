package changes

import (
	"context"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// key names a connection.
type key struct{ workspace, connection string }

// owner keeps up the subscriptions of the connections whose key belongs to one partition, while the partition is assigned
// here. The records of the topic are its own: it settles them.
type owner struct {
	s         *Service
	partition stage.Partition
	table     *stage.Table
	port      stage.Port

	stop context.CancelFunc
	done chan struct{}
	orgs map[key]*org
	// defects are those that were logged, by workspace.
	defects defects
}

func newOwner(s *Service, p stage.Partition, table *stage.Table, port stage.Port) *owner {
	ctx, stop := context.WithCancel(context.Background())
	o := &owner{s: s, partition: p, table: table, port: port, stop: stop, done: make(chan struct{}), orgs: map[key]*org{}}
	go o.run(ctx)
	return o
}

// Accept implements stage.SinkHandler.
func (o *owner) Accept(_ context.Context, rec stage.Record) error {
	o.port.Settle(rec.Offset)
	return nil
}

// Drain implements stage.SinkHandler: subscriptions end, and where they go on is saved.
func (o *owner) Drain(ctx context.Context) error {
	o.stop()
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *owner) run(ctx context.Context) {
	defer close(o.done)
	ticker := time.NewTicker(o.s.cfg.Refresh)
	defer ticker.Stop()
	for {
		o.guarded(ctx, "", func() { o.reconcile(ctx) })
		select {
		case <-ticker.C:
		case <-ctx.Done():
			o.keep(nil)
			return
		}
	}
}

// guarded calls f, which is about a workspace or, if that is "", about all. A panic in it is told, and only f's work waits until it is
// called again (promise 6).
func (o *owner) guarded(ctx context.Context, workspace string, f func()) (ok bool) {
	err := stage.Guarded(func() error { f(); return nil })
	if err == nil {
		return true
	}
	o.s.stats.panicked.Add(1)
	if o.defects.isNew(workspace, err) {
		o.s.deps.Logger.ErrorContext(ctx, "subscriptions could not be started and ended as the settings say, by a defect of this program; those that run go on, and it is tried again",
			"workspace", workspace, "partition", o.partition.ID, "place", stage.DefectPlace(err))
	}
	return false
}

// reconcile starts and ends subscriptions as the settings say.
func (o *owner) reconcile(ctx context.Context) {
	view := o.s.deps.Settings.View()
	if view == nil {
		return
	}
	partitions, err := o.s.deps.Partitioner.Partitions(ctx, o.partition.Topic)
	if err != nil {
		o.s.deps.Logger.DebugContext(ctx, "the partitions of the topic are not known; what is subscribed to stays", "error", err)
		return
	}
	wanted := map[key]*configv1.Connection{}
	for _, w := range view.Workspaces() {
		if !o.guarded(ctx, w.ID(), func() { o.want(w, partitions, wanted) }) {
			o.wantAsBefore(w.ID(), wanted)
		}
	}
	o.keep(wanted)
	for k, c := range wanted {
		if o.orgs[k] == nil {
			o.guarded(ctx, k.workspace, func() { o.orgs[k] = startOrg(ctx, o, k, c) })
		}
	}
}

// want adds those connections of a workspace that any integration in force writes through, whose people identity looks up.
func (o *owner) want(w *settings.Workspace, partitions int, wanted map[key]*configv1.Connection) {
	for _, i := range w.IntegrationsAt(o.s.deps.Clock.Now()) {
		c, ok := w.Connection(i.GetConnection())
		if !ok {
			continue
		}
		k := key{w.ID(), c.GetId()}
		if wanted[k] != nil || o.s.deps.Partitioner.PartitionFor(topic.ConnectionKey(k.workspace, k.connection), partitions) != o.partition.ID {
			continue
		}
		if _, err := o.s.deps.Orgs.Tokens(k.workspace, k.connection); err == nil {
			wanted[k] = c
		}
	}
}

// wantAsBefore adds those connections of a workspace that are subscribed to.
func (o *owner) wantAsBefore(workspace string, wanted map[key]*configv1.Connection) {
	for k, running := range o.orgs {
		if k.workspace == workspace {
			wanted[k] = running.connection
		}
	}
}

// keep ends the subscriptions that are not wanted any more, and those of connections that were saved anew: they may lead to
// another org now.
func (o *owner) keep(wanted map[key]*configv1.Connection) {
	var ended sync.WaitGroup
	for k, running := range o.orgs {
		if c, ok := wanted[k]; ok && c.GetVersion() == running.connection.GetVersion() {
			continue
		}
		ended.Go(running.end)
		delete(o.orgs, k)
	}
	ended.Wait()
}
