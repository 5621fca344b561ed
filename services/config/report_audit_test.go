package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestStartAndStopOfARunAreAudited(t *testing.T) {
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	started, err := b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.NoError(t, err)
	run, at := started.GetRun().GetId(), b.clock.Now()
	b.clock.Advance(time.Second)
	for range 2 { // the second one changes nothing
		_, err = b.runs.StopReportRun(t.Context(), &configv1.StopReportRunRequest{Workspace: "acme", Run: run})
		require.NoError(t, err)
	}
	b.clock.Set(epoch)
	b.complete(t, b.claim(t))
	require.Len(t, b.list(t), 2, "the day's run is nobody's doing")

	entries := b.audit(t, acmeToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", Kind: "report_run"})
	require.Len(t, entries, 2)
	stop, start := entries[0], entries[1]
	require.NotEmpty(t, start.GetActor())
	require.True(t, proto.Equal(&configv1.AuditEntry{
		Sequence: start.GetSequence(), Workspace: "acme", At: timestamppb.New(at), Actor: start.GetActor(), Role: start.GetRole(),
		Action: "StartReportRun", Kind: "report_run", Target: run, Changes: []*configv1.FieldChange{
			{Path: "push", After: `"scores"`}, {Path: "push_version", After: "1"}, {Path: "status", After: `"REPORT_RUN_STATUS_RUNNING"`},
		},
	}, start), start)
	require.True(t, proto.Equal(&configv1.AuditEntry{
		Sequence: stop.GetSequence(), Workspace: "acme", At: timestamppb.New(at.Add(time.Second)), Actor: start.GetActor(), Role: start.GetRole(),
		Action: "StopReportRun", Kind: "report_run", Target: run, Changes: []*configv1.FieldChange{
			{Path: "status", Before: `"REPORT_RUN_STATUS_RUNNING"`, After: `"REPORT_RUN_STATUS_FAILED"`}, {Path: "detail", After: `"stopped by user"`},
		},
	}, stop), stop)
}
