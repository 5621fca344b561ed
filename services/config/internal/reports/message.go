package reports

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Message puts a run into the words of the API.
func Message(run store.ReportRun, now time.Time) (*configv1.ReportRun, error) {
	out := &configv1.ReportRun{
		Workspace: run.Workspace, Id: run.ID, Push: run.Push, PushVersion: run.PushVersion, Number: run.Number,
		Trigger: configv1.ReportRunTrigger(run.Cause), ReportName: run.ReportName, Object: run.Object, Connection: run.Connection,
		StartedAt: timestamppb.New(run.StartedAt), Status: configv1.ReportRunStatus(run.Status), Reason: streamv1.Reason(run.Reason),
		Detail: run.Detail, Delivery: run.Delivery, Counts: countsOf(run.Counts),
	}
	until := now
	if !run.EndedAt.IsZero() {
		until, out.EndedAt = run.EndedAt, timestamppb.New(run.EndedAt)
	}
	out.RunTime = durationpb.New(max(0, until.Sub(run.StartedAt)))
	if run.Body != nil {
		work := &configv1.ClaimReportRunResponse{}
		if err := proto.Unmarshal(run.Body, work); err != nil {
			return nil, fmt.Errorf("decode what run %s of workspace %s works with: %w", run.ID, run.Workspace, err)
		}
		out.LeftOut = work.GetRun().GetLeftOut()
	}
	return out, nil
}

// countsOf adds up what chunks decided and what the writer answered. Answers to writes of a worker that went away before its chunk
// was recorded take the place of rows that the next worker found unchanged: each row counts once.
func countsOf(c store.RunCounts) *configv1.ReportRunCounts {
	extra := max(0, -c.Pending())
	return &configv1.ReportRunCounts{
		Rows: c.Rows, Written: c.WroteDone, Unchanged: max(0, c.Unchanged+c.WroteUnchanged-extra), Unmatched: c.Unmatched,
		Ambiguous: c.Ambiguous, BlankKeys: c.BlankKeys, RepeatedKeys: c.RepeatedKeys, EqualRows: c.EqualRows,
		Failed: c.Failed + c.WroteFailed, Pending: max(0, c.Pending()), Skipped: c.WroteSkipped,
	}
}
