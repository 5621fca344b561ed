package catalogue

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// pushesOf reads the report pushes of a workspace.
func (c *Catalogue) pushesOf(ctx context.Context, workspace string) ([]*configv1.ReportPush, error) {
	docs, err := c.deps.Settings.List(ctx, workspace, store.KindReportPush)
	if err != nil {
		return nil, err
	}
	out := make([]*configv1.ReportPush, len(docs))
	for n, doc := range docs {
		out[n] = &configv1.ReportPush{}
		if err := proto.Unmarshal(doc.Body, out[n]); err != nil {
			return nil, fmt.Errorf("decode push %s of workspace %s: %w", doc.ID, workspace, err)
		}
	}
	return out, nil
}

// pushed adds the objects, by connection, that a workspace's switched-on report pushes write.
func (c *Catalogue) pushed(ctx context.Context, workspace string, objects map[string][]string) error {
	pushes, err := c.pushesOf(ctx, workspace)
	if err != nil {
		return err
	}
	for _, p := range pushes {
		if p.GetEnabled() {
			objects[p.GetConnection()] = append(objects[p.GetConnection()], p.GetObject())
		}
	}
	return nil
}

// judgePushes judges the report pushes of a connection.
func (c *Catalogue) judgePushes(ctx context.Context, conn *configv1.Connection) error {
	pushes, err := c.pushesOf(ctx, conn.GetWorkspace())
	if err != nil {
		return err
	}
	for _, p := range pushes {
		if p.GetConnection() != conn.GetId() {
			continue
		}
		if err := c.JudgePush(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// JudgePush judges a report push by its report and by what is kept of its object, and asks nobody. One that the service has paused is
// broken until somebody saves it.
func (c *Catalogue) JudgePush(ctx context.Context, push *configv1.ReportPush) error {
	key := store.Key{Workspace: push.GetWorkspace(), Kind: store.KindReportPush, ID: push.GetId()}
	problems, sure, err := c.pushProblems(ctx, push)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		upTo := push.GetVersion()
		if !sure {
			upTo-- // as in judge
		}
		healed, err := c.deps.Broken.DropBroken(ctx, key, upTo)
		if err == nil && healed {
			c.deps.Logger.InfoContext(ctx, "a broken report push is in order again", "workspace", push.GetWorkspace(), "push", push.GetId(),
				"version", push.GetVersion(), "connection", push.GetConnection())
		}
		return err
	}
	isNew, err := c.keepBroken(ctx, store.Broken{
		Workspace: push.GetWorkspace(), Kind: store.KindReportPush, ID: push.GetId(), Connection: push.GetConnection(), Version: push.GetVersion(),
	}, &configv1.BrokenIntegration{ReportPush: push.GetId(), Problems: problems})
	if err != nil || !isNew {
		return err
	}
	c.deps.Logger.WarnContext(ctx, "a report push cannot be carried out any more, until its report, its org or the push itself is corrected",
		"workspace", push.GetWorkspace(), "push", push.GetId(), "version", push.GetVersion(), "connection", push.GetConnection(),
		"field", problems[0].GetField(), "problem", problems[0].GetDescription(), "problems", len(problems))
	return nil
}

// pushProblems says what keeps a push from being carried out; sure is whether all is known that it can be judged by.
func (c *Catalogue) pushProblems(ctx context.Context, push *configv1.ReportPush) (problems []*configv1.IntegrationProblem, sure bool, err error) {
	problem := func(field, format string, args ...any) []*configv1.IntegrationProblem {
		return []*configv1.IntegrationProblem{{Field: field, Description: "MAPPING_INVALID: " + fmt.Sprintf(format, args...)}}
	}
	switch {
	case push.GetEnabled():
	case push.GetPausedBecause() != "":
		return problem("enabled", "the push was paused: %s", push.GetPausedBecause()), true, nil
	default:
		return nil, true, nil
	}
	report := &configv1.Report{}
	doc, err := c.deps.Settings.Get(ctx, store.Key{Workspace: push.GetWorkspace(), Kind: store.KindReport, ID: push.GetReport()})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return problem("report", "report %s is not there any more", push.GetReport()), true, nil
	case err != nil:
		return nil, false, err
	}
	if err := proto.Unmarshal(doc.Body, report); err != nil {
		return nil, false, fmt.Errorf("decode report %s of workspace %s: %w", push.GetReport(), push.GetWorkspace(), err)
	}
	object, known, err := c.pushObject(ctx, push)
	if err != nil {
		return nil, false, err
	}
	return breaking(push, conform.CheckPush(push, report, object, known).Problems), known, nil
}

// breaking are the problems that a run does not get over: columns that may be left out are none, unless nothing is left (WALK-38).
func breaking(push *configv1.ReportPush, found []conform.PushProblem) []*configv1.IntegrationProblem {
	dropped := map[int]bool{}
	for _, p := range found {
		if p.Column >= 0 {
			dropped[p.Column] = true
		}
	}
	lenient := push.GetLeaveOutFields() && len(dropped) < len(push.GetColumns())
	var out []*configv1.IntegrationProblem
	for _, p := range found {
		if p.Column < 0 || !lenient {
			out = append(out, &configv1.IntegrationProblem{Field: p.Path, Description: p.Message})
		}
	}
	return out
}

// pushObject returns what is kept of the object that a push writes.
func (c *Catalogue) pushObject(ctx context.Context, push *configv1.ReportPush) (*configv1.DescribedObject, bool, error) {
	conn, err := c.connection(ctx, push.GetWorkspace(), push.GetConnection())
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil // told of as a connection that is gone
	}
	if err != nil {
		return nil, false, err
	}
	row, known, err := c.kept(ctx, conn, push.GetObject())
	if err != nil || !known {
		return nil, false, err
	}
	object, err := decodeObject(row)
	return object, true, err
}
