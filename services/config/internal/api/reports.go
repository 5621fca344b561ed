package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/reports"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// maxColumns is how many columns a report may have (WALK-8).
const maxColumns = 500

// PushStore keeps pushes with their schedules, and lets settings of reports go.
type PushStore interface {
	PutPush(ctx context.Context, save store.Save, change store.PushChange) error
	DeletePush(ctx context.Context, save store.Save, stop string) error
	DeleteReport(ctx context.Context, save store.Save) error
}

// Reports implements configv1.ReportServiceServer and configv1.ReportRunServiceServer. What is said of Server holds here too.
type Reports struct {
	configv1.UnimplementedReportServiceServer
	configv1.UnimplementedReportRunServiceServer
	deps ReportDeps
	docs *Server
}

// NewReports returns a server.
func NewReports(deps ReportDeps, docs *Server) *Reports { return &Reports{deps: deps, docs: docs} }

// PutReport implements configv1.ReportServiceServer.
func (r *Reports) PutReport(ctx context.Context, req *configv1.PutReportRequest) (*configv1.PutReportResponse, error) {
	next := proto.CloneOf(req.GetReport())
	if err := r.docs.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	if err := checkReport(next).err(); err != nil {
		return nil, err
	}
	expected := next.GetVersion()
	next.Version = expected + 1
	if err := r.docs.save(ctx, reportKey(next.GetWorkspace(), next.GetId()), expected, next, nil); err != nil {
		return nil, err
	}
	broken, err := r.brokenBy(ctx, next)
	return &configv1.PutReportResponse{Report: next, Broken: broken}, err
}

// judge looks whether a push fits that was saved, or whose report was.
func (r *Reports) judge(ctx context.Context, push *configv1.ReportPush) {
	if err := r.docs.deps.Catalogue.JudgePush(ctx, push); err != nil {
		r.docs.deps.Logger.ErrorContext(ctx, "a report push was saved, and the list of broken ones may be wrong until the next look at its org",
			"workspace", push.GetWorkspace(), "push", push.GetId(), "error", err)
	}
}

// checkReport finds what makes a table unreadable (WALK-8).
func checkReport(report *configv1.Report) violations {
	var v violations
	if n := len(report.GetColumns()); n == 0 || n > maxColumns {
		v.add("report.columns", "BAD_SCHEMA: want 1 to %d columns, not %d", maxColumns, n)
	}
	names := map[string]int{}
	for n, c := range report.GetColumns() {
		if before, there := names[c.GetName()]; there {
			v.add(fmt.Sprintf("report.columns[%d].name", n), "BAD_SCHEMA: %q is the name of columns[%d], too", c.GetName(), before)
			continue
		}
		names[c.GetName()] = n
	}
	return v
}

// brokenBy judges the pushes of a report anew and lists those that do not fit it, with what is wrong.
func (r *Reports) brokenBy(ctx context.Context, report *configv1.Report) ([]string, error) {
	pushes, err := r.pushesOf(ctx, report.GetWorkspace(), report.GetId())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range pushes {
		r.judge(ctx, p)
		for _, problem := range conform.CheckPush(p, report, nil, false).Problems {
			out = append(out, fmt.Sprintf("push %s: %s: %s", p.GetId(), problem.Path, problem.Message))
		}
	}
	return out, nil
}

// ListReports implements configv1.ReportServiceServer.
func (r *Reports) ListReports(ctx context.Context, req *configv1.ListReportsRequest) (*configv1.ListReportsResponse, error) {
	all, err := list[configv1.Report](ctx, r.docs, req.GetWorkspace(), store.KindReport)
	return &configv1.ListReportsResponse{Reports: all}, err
}

// DeleteReport implements configv1.ReportServiceServer. The pushes are paused first: a run between the two finds no report, and fails.
func (r *Reports) DeleteReport(ctx context.Context, req *configv1.DeleteReportRequest) (*configv1.DeleteReportResponse, error) {
	report := &configv1.Report{}
	key := reportKey(req.GetWorkspace(), req.GetReport())
	switch doc, err := r.docs.load(ctx, key, report); {
	case err != nil:
		return nil, err
	case doc.Version != req.GetVersion():
		return nil, store.ErrStale
	}
	pushes, err := r.pushesOf(ctx, req.GetWorkspace(), req.GetReport())
	if err != nil {
		return nil, err
	}
	resp := &configv1.DeleteReportResponse{}
	for _, p := range pushes {
		if !p.GetEnabled() {
			continue
		}
		why := fmt.Sprintf("report %s was deleted", report.GetName())
		if err := r.pause(ctx, p, why); err != nil {
			return nil, err
		}
		resp.Paused = append(resp.Paused, p.GetId())
	}
	save, err := r.deletion(ctx, key, req.GetVersion())
	if err != nil {
		return nil, err
	}
	return resp, r.deps.Pushes.DeleteReport(ctx, save)
}

// pause switches a push off in the caller's name and stops its run.
func (r *Reports) pause(ctx context.Context, push *configv1.ReportPush, why string) error {
	save, err := reports.Paused(push, why)
	if err != nil {
		return err
	}
	act, err := actOf(ctx, r.docs.deps.Clock.Now(), nil)
	if err != nil {
		return err
	}
	save.Author, save.At, save.Role, save.Action = act.Actor, act.At, act.Role, act.Action
	if err := r.deps.Pushes.PutPush(ctx, save, store.PushChange{Stop: "stopped: " + why}); err != nil {
		return err
	}
	paused := &configv1.ReportPush{}
	if err := proto.Unmarshal(save.Body, paused); err != nil {
		return fmt.Errorf("decode push %s of workspace %s: %w", push.GetId(), push.GetWorkspace(), err)
	}
	r.judge(ctx, paused)
	return nil
}

func (r *Reports) deletion(ctx context.Context, key store.Key, version int64) (store.Save, error) {
	act, err := actOf(ctx, r.docs.deps.Clock.Now(), nil)
	return store.Save{
		Key: key, Expected: version, Author: act.Actor, At: act.At, Role: act.Role, Action: act.Action, Reason: act.Reason, Changes: act.Changes,
	}, err
}

// pushesOf reads the pushes of a report; of all for "".
func (r *Reports) pushesOf(ctx context.Context, workspace, report string) ([]*configv1.ReportPush, error) {
	all, err := list[configv1.ReportPush](ctx, r.docs, workspace, store.KindReportPush)
	if err != nil || report == "" {
		return all, err
	}
	return slices.DeleteFunc(all, func(p *configv1.ReportPush) bool { return p.GetReport() != report }), nil
}

func reportKey(workspace, id string) store.Key {
	return store.Key{Workspace: workspace, Kind: store.KindReport, ID: id}
}

// ListPushObjects implements configv1.ReportServiceServer.
func (r *Reports) ListPushObjects(ctx context.Context, req *configv1.ListPushObjectsRequest) (*configv1.ListPushObjectsResponse, error) {
	c, err := r.docs.connectionOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	objects, at, err := r.docs.deps.Catalogue.Objects(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &configv1.ListPushObjectsResponse{AskedAt: timestamppb.New(at)}
	wanted := strings.ToLower(req.GetSearch())
	for _, o := range objects {
		if !strings.Contains(strings.ToLower(o.GetName()), wanted) && !strings.Contains(strings.ToLower(o.GetLabel()), wanted) {
			continue
		}
		if why := conform.NotPushable(o); why != "" {
			out.Hidden = append(out.Hidden, &configv1.HiddenObject{Name: o.GetName(), Label: o.GetLabel(), Why: why})
			continue
		}
		out.Objects = append(out.Objects, o)
	}
	return out, nil
}

// ListPushFields implements configv1.ReportServiceServer.
func (r *Reports) ListPushFields(ctx context.Context, req *configv1.ListPushFieldsRequest) (*configv1.ListPushFieldsResponse, error) {
	c, err := r.docs.connectionOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	described, err := r.docs.deps.Catalogue.Object(ctx, c, req.GetObject())
	if err != nil {
		return nil, err
	}
	if described.Object == nil {
		return nil, noObject(c, req.GetObject())
	}
	return &configv1.ListPushFieldsResponse{
		Keys: conform.KeyFields(described.Object), Targets: conform.TargetFields(described.Object), AskedAt: timestamppb.New(described.AskedAt),
	}, nil
}

// connectionFor reads the connection of a push; NotFound is told as a violation.
func (r *Reports) connectionFor(ctx context.Context, v *violations, push *configv1.ReportPush) (*configv1.Connection, error) {
	c, err := r.docs.connectionOf(ctx, push.GetWorkspace(), push.GetConnection())
	if status.Code(err) == codes.NotFound {
		v.add("push.connection", "the workspace has no connection %q", push.GetConnection())
		return nil, nil
	}
	return c, err
}

// reportFor reads the report of a push in the same way.
func (r *Reports) reportFor(ctx context.Context, v *violations, push *configv1.ReportPush) (*configv1.Report, error) {
	report := &configv1.Report{}
	_, err := r.docs.load(ctx, reportKey(push.GetWorkspace(), push.GetReport()), report)
	if errors.Is(err, store.ErrNotFound) {
		v.add("push.report", "the workspace has no report %q: register it first", push.GetReport())
		return nil, nil
	}
	return report, err
}
