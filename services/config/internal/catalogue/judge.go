package catalogue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Gather returns what is known of the objects that an integration writes, asking the org if need be, with notes on what
// could not be asked. The error is the store's.
func (c *Catalogue) Gather(ctx context.Context, conn *configv1.Connection, i *configv1.Integration) (conform.Objects, []string, error) {
	objects := conform.Objects{}
	var notes []string
	for _, name := range conform.Used(i) {
		described, err := c.Object(ctx, conn, name)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			c.deps.Logger.WarnContext(ctx, "an integration could not be checked against its org",
				"workspace", conn.GetWorkspace(), "integration", i.GetId(), "connection", conn.GetId(), "object", name, "error", err)
			notes = append(notes, fmt.Sprintf("could not check %s: the org of connection %s could not be asked", name, conn.GetId()))
		default:
			objects[name] = described.Object
			if described.Old != nil {
				notes = append(notes, fmt.Sprintf("checked %s against what the org of connection %s said at %s; it could not be asked now",
					name, conn.GetId(), described.AskedAt.UTC().Format(time.RFC3339)))
			}
		}
	}
	return objects, notes, nil
}

// Judge judges the connection's integrations and report pushes, those switched on, in their newest versions, by what is kept, and asks
// nobody. Broken ones are kept until they fit.
func (c *Catalogue) Judge(ctx context.Context, conn *configv1.Connection) error {
	integrations, err := c.integrations(ctx, conn)
	if err != nil {
		return err
	}
	if err := c.judgeAll(ctx, conn, integrations); err != nil {
		return err
	}
	return c.judgePushes(ctx, conn)
}

// JudgeSaved judges an integration that was just saved, in the same way: one that could not be checked when it was saved is
// still broken if what is known of its org says so.
func (c *Catalogue) JudgeSaved(ctx context.Context, i *configv1.Integration) error {
	conn, err := c.connection(ctx, i.GetWorkspace(), i.GetConnection())
	if err != nil {
		return err
	}
	return c.judgeAll(ctx, conn, []*configv1.Integration{i})
}

func (c *Catalogue) judgeAll(ctx context.Context, conn *configv1.Connection, integrations []*configv1.Integration) error {
	objects, err := c.Known(ctx, conn, integrations...)
	if err != nil {
		return err
	}
	for _, i := range integrations {
		if err := c.judge(ctx, i, objects); err != nil {
			return err
		}
	}
	return nil
}

// Known returns what is kept of the objects that integrations write, however old, and asks nobody.
func (c *Catalogue) Known(ctx context.Context, conn *configv1.Connection, integrations ...*configv1.Integration) (conform.Objects, error) {
	objects := conform.Objects{}
	for _, i := range integrations {
		for _, name := range conform.Used(i) {
			if _, there := objects[name]; there {
				continue
			}
			row, known, err := c.kept(ctx, conn, name)
			if err != nil {
				return nil, err
			}
			if !known {
				continue
			}
			if objects[name], err = decodeObject(row); err != nil {
				return nil, err
			}
		}
	}
	return objects, nil
}

func (c *Catalogue) judge(ctx context.Context, i *configv1.Integration, objects conform.Objects) error {
	if !i.GetEnabled() {
		return c.heal(ctx, i, i.GetVersion())
	}
	problems, err := c.problems(i, objects)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		upTo := i.GetVersion()
		if !covered(i, objects) {
			upTo-- // what is not known acquits nobody; it is another version than the broken one at best
		}
		return c.heal(ctx, i, upTo)
	}
	isNew, err := c.keepBroken(ctx, store.Broken{
		Workspace: i.GetWorkspace(), Kind: store.KindIntegration, ID: i.GetId(), Connection: i.GetConnection(), Version: i.GetVersion(),
	}, &configv1.BrokenIntegration{Integration: i.GetId(), Problems: problems})
	if err != nil || !isNew {
		return err
	}
	// Promise 8: problems name fields and constants of the rule, which an administrator wrote, and nobody's data.
	c.deps.Logger.WarnContext(ctx, "an integration does not fit its org any more: its writes will be refused until the org or the rule is corrected",
		"workspace", i.GetWorkspace(), "integration", i.GetId(), "version", i.GetVersion(), "connection", i.GetConnection(),
		"field", problems[0].GetField(), "problem", problems[0].GetDescription(), "problems", len(problems))
	return nil
}

// keepBroken keeps what is wrong with a setting, and reports whether it was not known to be broken.
func (c *Catalogue) keepBroken(ctx context.Context, b store.Broken, found *configv1.BrokenIntegration) (isNew bool, err error) {
	found.Version, found.Connection = b.Version, b.Connection
	if b.Body, err = (proto.MarshalOptions{Deterministic: true}).Marshal(found); err != nil {
		return false, fmt.Errorf("encode what is wrong with %s %s: %w", b.Kind, b.ID, err)
	}
	b.FoundAt = c.deps.Clock.Now()
	return c.deps.Broken.PutBroken(ctx, b)
}

// problems judges one integration. One that does not compile is mapping's to tell of.
func (c *Catalogue) problems(i *configv1.Integration, objects conform.Objects) ([]*configv1.IntegrationProblem, error) {
	program, err := c.deps.Compile(proto.CloneOf(i))
	var invalid *integration.Error
	switch {
	case errors.As(err, &invalid):
		return Problems(invalid.Problems), nil
	case err != nil:
		return nil, err
	}
	return Problems(conform.Check(program, objects).Problems), nil
}

// Problems puts problems into the words of the API.
func Problems(found []integration.Problem) []*configv1.IntegrationProblem {
	out := make([]*configv1.IntegrationProblem, len(found))
	for n, p := range found {
		text := p.Message
		if p.Line > 0 {
			text = fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, text)
		}
		out[n] = &configv1.IntegrationProblem{Field: p.Path, Description: text}
	}
	return out
}

// covered reports whether all is known that the integration can be judged by.
func covered(i *configv1.Integration, objects conform.Objects) bool {
	for _, name := range conform.Used(i) {
		if _, known := objects[name]; !known {
			return false
		}
	}
	return true
}

// heal notes that an integration fits, or writes nothing, and that versions of it up to one are not broken any more.
func (c *Catalogue) heal(ctx context.Context, i *configv1.Integration, upTo int64) error {
	healed, err := c.deps.Broken.DropBroken(ctx, store.Key{Workspace: i.GetWorkspace(), Kind: store.KindIntegration, ID: i.GetId()}, upTo)
	if err != nil || !healed {
		return err
	}
	c.deps.Logger.InfoContext(ctx, "a broken integration is in order again",
		"workspace", i.GetWorkspace(), "integration", i.GetId(), "version", i.GetVersion(), "connection", i.GetConnection())
	return nil
}

// BrokenOf lists a workspace's broken integrations, by id, and then its broken report pushes; of one connection, or of all for "".
func (c *Catalogue) BrokenOf(ctx context.Context, workspace, connection string) ([]*configv1.BrokenIntegration, error) {
	rows, err := c.deps.Broken.BrokenOf(ctx, workspace)
	if err != nil {
		return nil, err
	}
	var out []*configv1.BrokenIntegration
	for _, row := range rows {
		if connection != "" && row.Connection != connection {
			continue
		}
		b := &configv1.BrokenIntegration{}
		if err := proto.Unmarshal(row.Body, b); err != nil {
			return nil, fmt.Errorf("decode what is wrong with %s %s of workspace %s: %w", row.Kind, row.ID, workspace, err)
		}
		b.FoundAt = timestamppb.New(row.FoundAt)
		out = append(out, b)
	}
	return out, nil
}

// integrations reads the newest versions of a connection's integrations.
func (c *Catalogue) integrations(ctx context.Context, conn *configv1.Connection) ([]*configv1.Integration, error) {
	all, err := c.integrationsOf(ctx, conn.GetWorkspace())
	if err != nil {
		return nil, err
	}
	var out []*configv1.Integration
	for _, i := range all {
		if i.GetConnection() == conn.GetId() {
			out = append(out, i)
		}
	}
	return out, nil
}

func (c *Catalogue) integrationsOf(ctx context.Context, workspace string) ([]*configv1.Integration, error) {
	docs, err := c.deps.Settings.List(ctx, workspace, store.KindIntegration)
	if err != nil {
		return nil, err
	}
	out := make([]*configv1.Integration, len(docs))
	for n, doc := range docs {
		out[n] = &configv1.Integration{}
		if err := proto.Unmarshal(doc.Body, out[n]); err != nil {
			return nil, fmt.Errorf("decode integration %s of workspace %s: %w", doc.ID, workspace, err)
		}
	}
	return out, nil
}
