package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// PutReportPush implements configv1.ReportServiceServer.
func (r *Reports) PutReportPush(ctx context.Context, req *configv1.PutReportPushRequest) (*configv1.PutReportPushResponse, error) {
	next := proto.CloneOf(req.GetPush())
	next.PausedBecause, next.NextRunAt = "", nil // output only
	if err := r.docs.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	warnings, err := r.checkPush(ctx, next, req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return &configv1.PutReportPushResponse{Push: next, Warnings: warnings}, nil
	}
	if err := r.savePush(ctx, next); err != nil {
		return nil, err
	}
	r.judge(ctx, next)
	return &configv1.PutReportPushResponse{Push: next, Warnings: warnings}, r.withNext(ctx, next)
}

// checkPush lists all that is wrong with a push together (WALK-20). What does not fit the report or the org is only a warning while the
// push is switched off: a copy for another org can be kept and mended, and cannot be switched on before (WALK-41). An org that cannot
// be asked keeps nobody from saving: every run asks it again.
func (r *Reports) checkPush(ctx context.Context, push *configv1.ReportPush, validate bool) (warnings []string, err error) {
	var v violations
	report, err := r.reportFor(ctx, &v, push)
	if err != nil {
		return nil, err
	}
	conn, err := r.connectionFor(ctx, &v, push)
	if err != nil {
		return nil, err
	}
	if err := r.checkRecipients(ctx, &v, push); err != nil {
		return nil, err
	}
	if report == nil {
		return nil, v.err()
	}
	push.Name = cmp.Or(push.GetName(), report.GetName()+" → "+push.GetObject())
	object, asked, note := r.describe(ctx, conn, push)
	found := conform.CheckPush(push, report, object, asked)
	for _, p := range found.Problems {
		if drifts(p) && !push.GetEnabled() && !validate {
			warnings = append(warnings, p.Path+": "+p.Message)
			continue
		}
		v.add("push."+p.Path, "%s", p.Message)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if note != "" {
		warnings = append(warnings, note)
	}
	same, err := r.same(ctx, push)
	return append(append(warnings, found.Notes...), same...), err
}

// checkRecipients refuses recipients of notices that the workspace does not have.
func (r *Reports) checkRecipients(ctx context.Context, v *violations, push *configv1.ReportPush) error {
	if len(push.GetNoticeRecipients()) == 0 {
		return nil
	}
	docs, err := r.docs.deps.Documents.List(ctx, push.GetWorkspace(), store.KindRecipient)
	if err != nil {
		return err
	}
	for n, id := range push.GetNoticeRecipients() {
		// One without an address was removed.
		if !slices.ContainsFunc(docs, func(doc store.Document) bool { return doc.ID == id && len(doc.Sealed) > 0 }) {
			v.add(fmt.Sprintf("push.notice_recipients[%d]", n), "workspace %q has no recipient of notices %q", push.GetWorkspace(), id)
		}
	}
	return nil
}

// drifts reports whether a problem is between a push and its report or its org, and not within the push.
func drifts(p conform.PushProblem) bool {
	return p.Column >= 0 || p.Path == "object" || p.Path == "key_field" || p.Path == "key_column"
}

// describe returns what is known of a push's object, with a note when the org could not be asked.
func (r *Reports) describe(ctx context.Context, conn *configv1.Connection, push *configv1.ReportPush) (o *configv1.DescribedObject, asked bool, note string) {
	if conn == nil {
		return nil, false, ""
	}
	described, err := r.docs.deps.Catalogue.Object(ctx, conn, push.GetObject())
	if err != nil {
		r.docs.deps.Logger.WarnContext(ctx, "a report push could not be checked against its org",
			"workspace", push.GetWorkspace(), "push", push.GetId(), "connection", conn.GetId(), "object", push.GetObject(), "error", err)
		return nil, false, fmt.Sprintf("could not check %s: the org of connection %s could not be asked; every run asks it first", push.GetObject(), conn.GetId())
	}
	return described.Object, true, ""
}

// same warns of pushes that would write the same records (WALK-20).
func (r *Reports) same(ctx context.Context, push *configv1.ReportPush) ([]string, error) {
	others, err := r.pushesOf(ctx, push.GetWorkspace(), push.GetReport())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, o := range others {
		if o.GetId() != push.GetId() && o.GetConnection() == push.GetConnection() && strings.EqualFold(o.GetObject(), push.GetObject()) &&
			o.GetKeyColumn() == push.GetKeyColumn() && strings.EqualFold(o.GetKeyField(), push.GetKeyField()) {
			out = append(out, fmt.Sprintf("push %s has the same report, object and key", o.GetId()))
		}
	}
	return out, nil
}

// savePush saves the version after the push's, with what it means for the schedule.
func (r *Reports) savePush(ctx context.Context, next *configv1.ReportPush) error {
	key := pushKey(next.GetWorkspace(), next.GetId())
	old := &configv1.ReportPush{}
	doc, err := r.docs.load(ctx, key, old)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case doc.Version != next.GetVersion():
		return store.ErrStale
	}
	expected := next.GetVersion()
	next.Version = expected + 1
	change, err := r.pushChange(ctx, old, next)
	if err != nil {
		return err
	}
	body, err := encoding.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode push %s: %w", next.GetId(), err)
	}
	var before proto.Message
	if expected > 0 {
		before = old
	}
	act, err := actOf(ctx, r.docs.deps.Clock.Now(), changes.Between(before, next, "version"))
	if err != nil {
		return err
	}
	return r.deps.Pushes.PutPush(ctx, store.Save{
		Key: key, Expected: expected, Body: body, Author: act.Actor, At: act.At, Role: act.Role, Action: act.Action, Reason: act.Reason,
		Changes: act.Changes,
	}, change)
}

// pushChange tells what a save means for the schedule: days on which a push was switched off are not missed, and a run under way ends
// only when the push is switched off (WALK-35).
func (r *Reports) pushChange(ctx context.Context, old, next *configv1.ReportPush) (store.PushChange, error) {
	change := store.PushChange{Enabled: next.GetEnabled(), Fresh: next.GetEnabled() && !old.GetEnabled()}
	if !next.GetEnabled() {
		change.Stop = "stopped by user: the push was paused"
	}
	var err error
	change.Day, err = r.deps.Runner.Begun(ctx, next.GetWorkspace())
	return change, err
}

// withNext adds when a push will run next.
func (r *Reports) withNext(ctx context.Context, push *configv1.ReportPush) error {
	if !push.GetEnabled() {
		return nil
	}
	at, err := r.deps.Runner.Next(ctx, push.GetWorkspace(), push.GetId())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	push.NextRunAt = timestamppb.New(at)
	return err
}

// GetReportPush implements configv1.ReportServiceServer.
func (r *Reports) GetReportPush(ctx context.Context, req *configv1.GetReportPushRequest) (*configv1.GetReportPushResponse, error) {
	push := &configv1.ReportPush{}
	if _, err := r.docs.load(ctx, pushKey(req.GetWorkspace(), req.GetPush()), push); err != nil {
		return nil, err
	}
	return &configv1.GetReportPushResponse{Push: push}, r.withNext(ctx, push)
}

// ListReportPushes implements configv1.ReportServiceServer.
func (r *Reports) ListReportPushes(ctx context.Context, req *configv1.ListReportPushesRequest) (*configv1.ListReportPushesResponse, error) {
	pushes, err := r.pushesOf(ctx, req.GetWorkspace(), "")
	if err != nil {
		return nil, err
	}
	for _, p := range pushes {
		if err := r.withNext(ctx, p); err != nil {
			return nil, err
		}
	}
	return &configv1.ListReportPushesResponse{Pushes: pushes}, nil
}

// DeleteReportPush implements configv1.ReportServiceServer.
func (r *Reports) DeleteReportPush(ctx context.Context, req *configv1.DeleteReportPushRequest) (*configv1.DeleteReportPushResponse, error) {
	save, err := r.deletion(ctx, pushKey(req.GetWorkspace(), req.GetPush()), req.GetVersion())
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteReportPushResponse{}, r.deps.Pushes.DeletePush(ctx, save, "stopped by user: the push was deleted")
}

func pushKey(workspace, id string) store.Key {
	return store.Key{Workspace: workspace, Kind: store.KindReportPush, ID: id}
}
