package reports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// maxPrepared is how many runs one call prepares: those that end at once or wait make place for the next.
const maxPrepared = 5

// Claim hands a run to a worker; an answer without a run when nothing is due.
func (r *Runner) Claim(ctx context.Context, worker string) (*configv1.ClaimReportRunResponse, error) {
	if err := r.startDue(ctx, true); err != nil {
		return nil, err
	}
	for range maxPrepared {
		now := r.deps.Clock.Now()
		run, err := r.deps.Claims.ClaimRun(ctx, worker, now, now.Add(r.cfg.Lease))
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		work, err := r.guarded(ctx, run)
		if err != nil || work != nil {
			return work, err
		}
	}
	return &configv1.ClaimReportRunResponse{}, nil
}

// guarded is hand. A panic ends the run, and neither the call nor the runs of others that are due (promise 6): the next call would
// only meet it again.
func (r *Runner) guarded(ctx context.Context, run store.ReportRun) (work *configv1.ClaimReportRunResponse, err error) {
	err = stage.Guarded(func() (err error) {
		work, err = r.hand(ctx, run)
		return err
	})
	if defect, ok := errors.AsType[*stage.PanicError](err); ok {
		return nil, r.end(ctx, run, *failed(streamv1.Reason_REASON_BAD_SCHEMA, "the program %s; report it", defect))
	}
	return work, err
}

// hand returns what a claimed run works with, or nil if it has ended or waits.
func (r *Runner) hand(ctx context.Context, run store.ReportRun) (*configv1.ClaimReportRunResponse, error) {
	work := &configv1.ClaimReportRunResponse{}
	resumed := run.Body != nil
	if resumed {
		if err := proto.Unmarshal(run.Body, work); err != nil {
			return nil, fmt.Errorf("decode what run %s of workspace %s works with: %w", run.ID, run.Workspace, err)
		}
	} else {
		end, err := r.prepare(ctx, run, work)
		var waits *waiting
		switch {
		case errors.As(err, &waits):
			return nil, r.wait(ctx, run, waits)
		case err != nil:
			return nil, err
		case end != nil:
			return nil, r.end(ctx, run, *end)
		}
		if run, err = r.keep(ctx, run, work); err != nil {
			return nil, err
		}
	}
	told, err := Message(run, r.deps.Clock.Now())
	if err != nil {
		return nil, err
	}
	work.Run, work.NextChunk, work.NextRow, work.Resumed = told, run.NextChunk, run.NextRow, resumed
	work.ClaimedUntil = timestamppb.New(run.ClaimedUntil)
	return work, nil
}

// keep stores what the run works with, so that whoever takes it over works with the same (WALK-35).
func (r *Runner) keep(ctx context.Context, run store.ReportRun, work *configv1.ClaimReportRunResponse) (store.ReportRun, error) {
	var err error
	if run.Body, err = proto.Marshal(work); err != nil {
		return run, fmt.Errorf("encode what run %s of workspace %s works with: %w", run.ID, run.Workspace, err)
	}
	run.Delivery, run.Tolerated, run.Counts.Rows = work.GetDelivery().GetId(), work.GetPush().GetToleratedFailuresPercent(), work.GetDelivery().GetRows()
	run.Reason, run.Detail = 0, ""
	return run, r.deps.Claims.PrepareRun(ctx, run)
}

// waiting is why a run cannot begin yet.
type waiting struct {
	reason streamv1.Reason
	detail string
}

func (w *waiting) Error() string { return w.detail }

func (r *Runner) wait(ctx context.Context, run store.ReportRun, why *waiting) error {
	run.Reason, run.Detail = int32(why.reason), why.detail
	now := r.deps.Clock.Now()
	// Promise 6: an org that stays away for long is asked less and less, so that asking it keeps no other's run waiting.
	wait := max(r.cfg.Retry, min(now.Sub(run.StartedAt)/4, mostWait))
	return r.deps.Claims.ReleaseRun(ctx, run, now.Add(wait))
}

// mostWait is the longest that a run waits before its org is asked again.
const mostWait = 15 * time.Minute

func (r *Runner) end(ctx context.Context, run store.ReportRun, end store.RunEnd) error {
	end.At = r.deps.Clock.Now()
	if _, err := r.deps.Ends.EndRun(ctx, run.Workspace, run.ID, end); err != nil {
		return err
	}
	if end.Status == store.RunFailed {
		r.deps.Logger.WarnContext(ctx, "a report push could not run", "workspace", run.Workspace, "push", run.Push, "run", run.ID,
			"reason", streamv1.Reason(end.Reason).String(), "detail", end.Detail)
	}
	return nil
}

// prepare finds out what a run works with, before its first write (WALK-38). The end is how the run ends instead, if it does; a
// *waiting error means that it is to be tried again.
func (r *Runner) prepare(ctx context.Context, run store.ReportRun, work *configv1.ClaimReportRunResponse) (*store.RunEnd, error) {
	push, err := r.push(ctx, run.Workspace, run.Push, run.PushVersion)
	if errors.Is(err, store.ErrNotFound) {
		return failed(0, "the push was deleted"), nil
	}
	if err != nil {
		return nil, err
	}
	report, err := r.report(ctx, push)
	if errors.Is(err, store.ErrNotFound) {
		return failed(streamv1.Reason_REASON_MAPPING_INVALID, "report %s is not there any more", push.GetReport()), nil
	}
	if err != nil {
		return nil, err
	}
	object, end, err := r.describe(ctx, push)
	if end != nil || err != nil {
		return end, err
	}
	leftOut, end := fit(push, report, object)
	if end != nil {
		return end, nil
	}
	delivery, end, err := r.delivery(ctx, run)
	if end != nil || err != nil {
		return end, err
	}
	work.Push, work.Report, work.Delivery, work.Fields = push, report, delivery, described(push, object)
	work.Run = &configv1.ReportRun{LeftOut: leftOut}
	return nil, nil
}

func failed(reason streamv1.Reason, format string, args ...any) *store.RunEnd {
	return &store.RunEnd{Status: store.RunFailed, Reason: int32(reason), Detail: fmt.Sprintf(format, args...)}
}

// describe asks the push's org for its object. An org that does not let us in fails the run (WALK-6); one that does not answer lets
// it wait.
func (r *Runner) describe(ctx context.Context, push *configv1.ReportPush) (*configv1.DescribedObject, *store.RunEnd, error) {
	conn := &configv1.Connection{}
	err := r.read(ctx, store.Key{Workspace: push.GetWorkspace(), Kind: store.KindConnection, ID: push.GetConnection()}, conn)
	if errors.Is(err, store.ErrNotFound) {
		return nil, failed(streamv1.Reason_REASON_SF_AUTH_REVOKED, "disconnected: there is no connection %s", push.GetConnection()), nil
	}
	if err != nil {
		return nil, nil, err
	}
	why, err := r.Disconnected(ctx, push.GetWorkspace(), push.GetConnection())
	if err != nil || why != "" {
		return nil, failed(streamv1.Reason_REASON_SF_AUTH_REVOKED, "%s", why), err
	}
	object, err := r.deps.Describer.Fresh(ctx, conn, push.GetObject())
	if err == nil {
		return object, nil, nil
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	var refused *salesforce.Error
	if errors.As(err, &refused) {
		reason := streamv1.Reason(streamv1.Reason_value["REASON_"+refused.Reason])
		if refused.Class == salesforce.ClassAuth || refused.Class == salesforce.ClassConfig {
			return nil, failed(reason, "disconnected: the org of connection %s does not let us in: %s", push.GetConnection(), refused.Reason), nil
		}
		return nil, nil, &waiting{reason, fmt.Sprintf("waits: the org of connection %s could not be asked for %s", push.GetConnection(), push.GetObject())}
	}
	if status.Code(err) == codes.FailedPrecondition {
		return nil, failed(streamv1.Reason_REASON_SF_AUTH_REVOKED, "disconnected: connection %s has no credentials that open", push.GetConnection()), nil
	}
	r.deps.Logger.WarnContext(ctx, "an org could not be asked before a run; it will be again", "workspace", push.GetWorkspace(),
		"push", push.GetId(), "connection", push.GetConnection(), "error", err)
	return nil, nil, &waiting{
		streamv1.Reason_REASON_SF_UNAVAILABLE,
		fmt.Sprintf("waits: the org of connection %s could not be asked for %s", push.GetConnection(), push.GetObject()),
	}
}

// Disconnected says why nothing can be written through a connection; "" when something can.
func (r *Runner) Disconnected(ctx context.Context, workspace, connection string) (string, error) {
	state, err := r.deps.Connections.ConnectionStatus(ctx, workspace, connection)
	switch state.State {
	case configv1.ConnectionState_CONNECTION_STATE_NOT_CONNECTED, configv1.ConnectionState_CONNECTION_STATE_AWAITING_SF_ADMIN,
		configv1.ConnectionState_CONNECTION_STATE_REVOKED, configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED:
		return fmt.Sprintf("disconnected: connection %s is %s; connect its org again", connection,
			strings.TrimPrefix(state.State.String(), "CONNECTION_STATE_")), err
	}
	return "", err
}

// fit checks a push against report and object, and takes out what may be left out. Problems that stay end the run, with the fields
// named.
func fit(push *configv1.ReportPush, report *configv1.Report, object *configv1.DescribedObject) (leftOut []string, end *store.RunEnd) {
	found := conform.CheckPush(push, report, object, true)
	var stays []conform.PushProblem
	drop := map[int]bool{}
	for _, p := range found.Problems {
		if p.Column < 0 || !push.GetLeaveOutFields() {
			stays = append(stays, p)
			continue
		}
		if !drop[p.Column] {
			leftOut = append(leftOut, conform.LeftOut(push, p))
		}
		drop[p.Column] = true
	}
	if len(stays) == 0 && len(drop) == len(push.GetColumns()) {
		return nil, failed(found.Problems[0].Reason, "nothing is left to push: %s", strings.Join(leftOut, "; "))
	}
	if len(stays) > 0 {
		lines := make([]string, len(stays))
		for i, p := range stays {
			lines[i] = p.Path + ": " + p.Message
		}
		return nil, failed(stays[0].Reason, "%s", strings.Join(lines, "; "))
	}
	n := -1
	push.Columns = slices.DeleteFunc(push.GetColumns(), func(*configv1.ColumnMapping) bool { n++; return drop[n] })
	return leftOut, nil
}

// described picks the fields that the push uses.
func described(push *configv1.ReportPush, object *configv1.DescribedObject) []*configv1.DescribedField {
	used := map[string]bool{strings.ToLower(push.GetKeyField()): true}
	for _, m := range push.GetColumns() {
		used[strings.ToLower(m.GetField())] = true
	}
	var out []*configv1.DescribedField
	for _, d := range object.GetFields() {
		if used[strings.ToLower(d.GetName())] {
			out = append(out, d)
		}
	}
	return out
}

// delivery finds the rows of a run: those of the newest delivery, if no run of the push has completed with it. A run by hand takes
// the newest whatever was done with it. A delivery that is not whole fails the run, rather than writing half of it, or older rows
// over newer ones (WALK-9).
func (r *Runner) delivery(ctx context.Context, run store.ReportRun) (*configv1.ReportDelivery, *store.RunEnd, error) {
	newest, done, err := r.deps.Deliveries.NewestDelivery(ctx, run.Workspace, run.Report, run.Push)
	nothing := &store.RunEnd{Status: store.RunCompleted}
	switch {
	case errors.Is(err, store.ErrNotFound):
		nothing.Detail = fmt.Sprintf("no rows: report %s has not been delivered yet", run.Report)
		return nil, nothing, nil
	case err != nil:
		return nil, nil, err
	case done && run.Cause != int32(configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_MANUAL):
		nothing.Detail = fmt.Sprintf("no rows: report %s has not been delivered again since delivery %s, which an earlier run pushed", run.Report, newest.ID)
		return nil, nothing, nil
	}
	out := &configv1.ReportDelivery{}
	if err := proto.Unmarshal(newest.Body, out); err != nil {
		return nil, nil, fmt.Errorf("decode delivery %s of report %s of workspace %s: %w", newest.ID, run.Report, run.Workspace, err)
	}
	switch {
	case newest.Reason != 0:
		return nil, failed(out.GetReason(), "delivery %s is not whole, and nothing of it was pushed: %s", newest.ID, out.GetDetail()), nil
	case out.GetRows() == 0:
		nothing.Detail = fmt.Sprintf("no rows: delivery %s of report %s is empty", newest.ID, run.Report)
		return nil, nothing, nil
	}
	return out, nil, nil
}
