package main

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/replay"
)

// auditTimeout bounds one entry of the audit log.
const auditTimeout = 15 * time.Second

// replayAudit tells the config service's audit log who replays what: before it begins, so that there is an entry also when the
// process dies, and with the counts when it has ended, also early.
type replayAudit struct {
	service configv1.ReplayServiceClient
	id      string
	flags   *replayFlags
}

// record adds an entry; report is nil at the beginning.
func (a *replayAudit) record(ctx context.Context, report *replay.Report) error {
	ctx, cancel := context.WithTimeout(because(ctx, a.flags.why), auditTimeout)
	defer cancel()
	f := &a.flags.filter
	req := &configv1.RecordReplayRequest{Workspace: f.Workspace, Replay: a.id, Scope: &configv1.ReplayScope{
		Connection: f.Connection, Stage: f.Stage, Reason: f.Reason, Event: f.Event, Write: f.Write, DeadLetterId: f.Letter,
		From: instant(f.From), To: instant(f.To), FromStage: a.flags.restart.FromStage, NewMapping: a.flags.restart.NewMapping,
		RealTime: a.flags.restart.RealTime, Rate: a.flags.rate, Resumed: a.flags.resume != "",
	}}
	if report != nil {
		req.Done = &configv1.ReplayCounts{
			Matched: int64(report.Matched), Replayed: int64(report.Replayed), Unreadable: int64(report.Unreadable),
			Complete: report.Stopped == "",
		}
	}
	_, err := a.service.RecordReplay(ctx, req)
	return err
}

func instant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
