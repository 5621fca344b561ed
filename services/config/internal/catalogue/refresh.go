package catalogue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Run keeps answers fresh and follows refused writes until ctx ends. The error means that metrics could not be registered.
func (c *Catalogue) Run(ctx context.Context) error {
	stop, err := c.observe()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.follow(ctx) })
	group.Go(func() error { return c.keepFresh(ctx) })
	return errors.Join(group.Wait(), stop())
}

func (c *Catalogue) keepFresh(ctx context.Context) error {
	ticker := time.NewTicker(c.cfg.CheckEvery)
	defer ticker.Stop()
	for {
		if err := c.RefreshDue(ctx); err != nil && ctx.Err() == nil {
			c.deps.Logger.ErrorContext(ctx, "the catalogues could not be looked through; it will be tried again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// use is a connection with the objects that its integrations write.
type use struct {
	conn    *configv1.Connection
	objects []string
}

// RefreshDue asks the orgs whose answers are missing or too old, and judges the integrations of those that said something
// new. Orgs in trouble come last, so that the others do not wait for them (promise 6). The error is the store's.
func (c *Catalogue) RefreshDue(ctx context.Context) error {
	uses, err := c.uses(ctx)
	if err != nil {
		return err
	}
	there := make(map[connectionKey]bool, len(uses))
	var sound, suspect []use
	for _, u := range uses {
		there[keyOf(u.conn)] = true
		if c.isSuspect(keyOf(u.conn)) {
			suspect = append(suspect, u)
			continue
		}
		sound = append(sound, u)
	}
	c.forgetOthers(there)
	var errs []error
	for _, part := range [][]use{sound, suspect} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(c.cfg.Concurrency)
		for _, u := range part {
			group.Go(func() error { return c.refreshDue(ctx, u) })
		}
		errs = append(errs, group.Wait())
	}
	return errors.Join(errs...)
}

// refreshDue asks one org what is due.
func (c *Catalogue) refreshDue(ctx context.Context, u use) error {
	news := false
	for _, object := range u.objects {
		if c.isLeftAlone(u.conn) {
			break
		}
		if _, ok, err := c.fresh(ctx, u.conn, object); ok || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		_, _, err := c.ask(ctx, question{conn: u.conn, object: object, unlessFresh: true})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			c.deps.Logger.WarnContext(ctx, "an org could not be asked about an object its integrations write; it will be again",
				"workspace", u.conn.GetWorkspace(), "connection", u.conn.GetId(), "object", object, "error", err)
		default:
			news = true
		}
	}
	if !news {
		return nil
	}
	return c.Judge(ctx, u.conn)
}

// uses reads which objects the switched-on integrations and report pushes of each connection write.
func (c *Catalogue) uses(ctx context.Context) ([]use, error) {
	workspaces, err := c.deps.Settings.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	var out []use
	for _, ws := range workspaces {
		integrations, err := c.integrationsOf(ctx, ws.ID)
		if err != nil {
			return nil, err
		}
		objects := map[string][]string{}
		for _, i := range integrations {
			if i.GetEnabled() {
				objects[i.GetConnection()] = append(objects[i.GetConnection()], conform.Used(i)...)
			}
		}
		if err := c.pushed(ctx, ws.ID, objects); err != nil {
			return nil, err
		}
		for _, id := range slices.Sorted(maps.Keys(objects)) {
			conn, err := c.connection(ctx, ws.ID, id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			slices.Sort(objects[id])
			used := slices.Compact(objects[id])
			out = append(out, use{conn: conn, objects: used[:min(len(used), c.cfg.MaxObjects)]}) // promise 7
		}
	}
	return out, nil
}

// connection reads a connection as it is now.
func (c *Catalogue) connection(ctx context.Context, workspace, id string) (*configv1.Connection, error) {
	doc, err := c.deps.Settings.Get(ctx, store.Key{Workspace: workspace, Kind: store.KindConnection, ID: id})
	if err != nil {
		return nil, err
	}
	conn := &configv1.Connection{}
	if err := proto.Unmarshal(doc.Body, conn); err != nil {
		return nil, fmt.Errorf("decode connection %s of workspace %s: %w", id, workspace, err)
	}
	return conn, nil
}

// Refresh reads objects again in full, whatever their age and whatever trouble there was; none named means those that the
// connection's integrations write. It then judges those integrations. The error is the org's, or the store's.
func (c *Catalogue) Refresh(ctx context.Context, conn *configv1.Connection, objects []string) ([]*configv1.RefreshedObject, error) {
	if len(objects) == 0 {
		integrations, err := c.integrations(ctx, conn)
		if err != nil {
			return nil, err
		}
		for _, i := range integrations {
			objects = append(objects, conform.Used(i)...)
		}
	}
	objects = slices.Clone(objects)
	slices.Sort(objects)
	var out []*configv1.RefreshedObject
	for _, object := range slices.Compact(objects) {
		row, changed, err := c.ask(ctx, question{conn: conn, object: object, full: true})
		if err != nil {
			return nil, err
		}
		out = append(out, &configv1.RefreshedObject{Name: object, Changed: changed, Gone: len(row.Body) == 0})
	}
	slices.SortFunc(out, func(x, y *configv1.RefreshedObject) int { return cmp.Compare(x.GetName(), y.GetName()) })
	return out, c.Judge(ctx, conn)
}
