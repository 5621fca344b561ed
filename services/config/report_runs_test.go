package config_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

const (
	running   = configv1.ReportRunStatus_REPORT_RUN_STATUS_RUNNING
	completed = configv1.ReportRunStatus_REPORT_RUN_STATUS_COMPLETED
	failedRun = configv1.ReportRunStatus_REPORT_RUN_STATUS_FAILED
	missedRun = configv1.ReportRunStatus_REPORT_RUN_STATUS_MISSED
)

func delivery(id string, rows int64, at time.Time) *configv1.ReportDelivery {
	return &configv1.ReportDelivery{
		Workspace: "acme", Report: "usage", Id: id, Partition: 1, FirstOffset: 10, LastOffset: 20, Rows: rows, CompletedAt: timestamppb.New(at),
	}
}

func (b *reportBundle) deliver(t *testing.T, d *configv1.ReportDelivery) {
	t.Helper()
	_, err := b.sync.NoteReportDelivery(t.Context(), &configv1.NoteReportDeliveryRequest{Delivery: d})
	require.NoError(t, err)
}

func (b *reportBundle) claim(t *testing.T) *configv1.ClaimReportRunResponse {
	t.Helper()
	resp, err := b.sync.ClaimReportRun(t.Context(), &configv1.ClaimReportRunRequest{Worker: "one"})
	require.NoError(t, err)
	return resp
}

// list reads the runs, newest first.
func (b *reportBundle) list(t *testing.T) []*configv1.ReportRun {
	t.Helper()
	resp, err := b.runs.ListReportRuns(t.Context(), &configv1.ListReportRunsRequest{Workspace: "acme"})
	require.NoError(t, err)
	return resp.GetRuns()
}

// last is the newest run, which has ended with a status.
func (b *reportBundle) last(t *testing.T, want configv1.ReportRunStatus) *configv1.ReportRun {
	t.Helper()
	all := b.list(t)
	require.NotEmpty(t, all)
	require.Equal(t, want, all[0].GetStatus(), "%v", all[0])
	return all[0]
}

func (b *reportBundle) record(t *testing.T, req *configv1.RecordReportRunRequest) bool {
	t.Helper()
	req.Workspace, req.Worker = "acme", "one"
	resp, err := b.sync.RecordReportRun(t.Context(), req)
	require.NoError(t, err)
	return resp.GetStop()
}

// complete does a run whose rows are all unchanged.
func (b *reportBundle) complete(t *testing.T, work *configv1.ClaimReportRunResponse) {
	t.Helper()
	rows := work.GetDelivery().GetRows()
	b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Last: true, Chunk: &configv1.ReportRunChunk{
		FirstRow: 1, Rows: rows, Counts: &configv1.ReportRunCounts{Unchanged: rows},
	}})
}

func TestARunADayAtNine(t *testing.T) {
	t.Attr("requirement", "WALK-21")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	require.Nil(t, b.claim(t).GetRun(), "it is six")
	b.clock.Set(epoch.Add(-time.Second))
	require.Nil(t, b.claim(t).GetRun())
	b.clock.Set(epoch)
	work := b.claim(t)
	require.Equal(t, "scores", work.GetRun().GetPush())
	require.Equal(t, configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_SCHEDULE, work.GetRun().GetTrigger())
	require.Equal(t, int64(1), work.GetRun().GetNumber())
	require.Equal(t, epoch, work.GetRun().GetStartedAt().AsTime())
	require.Equal(t, "d1", work.GetDelivery().GetId())
	require.Equal(t, "Usage", work.GetReport().GetName())
	require.Equal(t, epoch.AddDate(0, 0, 1), b.push(t).GetNextRunAt().AsTime())
	b.complete(t, work)
	b.last(t, completed)
	b.clock.Advance(23*time.Hour + 59*time.Minute)
	require.Nil(t, b.claim(t).GetRun(), "one a day")

	// Summer time comes to half of the world, and UTC stays.
	b.clock.Set(time.Date(2026, 3, 29, 8, 59, 59, 0, time.UTC))
	b.deliver(t, delivery("d2", 2, b.clock.Now()))
	require.Nil(t, b.claim(t).GetRun())
	b.clock.Advance(time.Second)
	require.Equal(t, int64(2), b.claim(t).GetRun().GetNumber())
}

func TestReplicasStartOneRun(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T, *reportBundle){
		"SQLite":   func(*testing.T, *reportBundle) {},
		"Postgres": func(t *testing.T, b *reportBundle) { b.cfg.Database.PostgresDSN = schemaDSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Attr("requirement", "WALK-21")
			t.Parallel()
			one := prepareReports(t)
			database(t, one)
			one.clock.Advance(-3 * time.Hour)
			two := prepareReports(t)
			two.cfg.Database, two.deps, two.clock, two.live = one.cfg.Database, one.deps, one.clock, one.live
			one.start(t)
			two.start(t)
			one.connect(t, "acme")
			one.register(t, usage())
			one.save(t, scores())
			one.deliver(t, delivery("d1", 2, one.clock.Now()))
			one.clock.Set(epoch)
			var mu sync.Mutex
			var got []*configv1.ClaimReportRunResponse
			var wg sync.WaitGroup
			for n := range 12 {
				wg.Go(func() {
					b := []*reportBundle{one, two}[n%2]
					resp, err := b.sync.ClaimReportRun(t.Context(), &configv1.ClaimReportRunRequest{Worker: string(rune('a' + n))})
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					if resp.GetRun() != nil {
						got = append(got, resp)
					}
				})
			}
			wg.Wait()
			require.Len(t, got, 1, "one run, for one worker")
			require.Len(t, two.list(t), 1)
		})
	}
}

func TestMissedAndOverlappingRuns(t *testing.T) {
	t.Attr("requirement", "WALK-22")
	t.Parallel()

	t.Run("ADayIsCaughtUpWithinSixHours", func(t *testing.T) {
		t.Parallel()
		b := setupReports(t)
		b.deliver(t, delivery("d1", 2, b.clock.Now()))
		b.clock.Set(epoch.Add(6*time.Hour - time.Second))
		work := b.claim(t)
		require.Equal(t, configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_CATCH_UP, work.GetRun().GetTrigger())
		require.Equal(t, b.clock.Now(), work.GetRun().GetStartedAt().AsTime())
		require.Nil(t, b.claim(t).GetRun())
	})

	t.Run("ALaterOneIsMissed", func(t *testing.T) {
		t.Parallel()
		b := setupReports(t)
		b.deliver(t, delivery("d1", 2, b.clock.Now()))
		b.clock.Set(epoch.Add(2*24*time.Hour + 6*time.Hour))
		// Nobody asks for runs, and it is recorded all the same.
		require.Eventually(t, func() bool { return len(b.list(t)) == 3 }, time.Minute, 5*time.Millisecond)
		for n, run := range b.list(t) {
			require.Equal(t, missedRun, run.GetStatus())
			require.Equal(t, epoch.AddDate(0, 0, 2-n), run.GetStartedAt().AsTime())
			require.NotEmpty(t, run.GetDetail())
		}
		require.Nil(t, b.claim(t).GetRun())
		require.Equal(t, epoch.AddDate(0, 0, 3), b.push(t).GetNextRunAt().AsTime())
		b.clock.Set(epoch.AddDate(0, 0, 3))
		require.Equal(t, configv1.ReportRunTrigger_REPORT_RUN_TRIGGER_SCHEDULE, b.claim(t).GetRun().GetTrigger())
	})

	t.Run("ASecondOneDoesNotStart", func(t *testing.T) {
		t.Parallel()
		b := setupReports(t)
		b.deliver(t, delivery("d1", 2, b.clock.Now()))
		hand, err := b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
		require.NoError(t, err)
		work := b.claim(t)
		require.Equal(t, hand.GetRun().GetId(), work.GetRun().GetId())
		b.clock.Set(epoch.Add(time.Minute))
		b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId()}) // its worker is still there
		require.Nil(t, b.claim(t).GetRun())
		b.complete(t, work)
		b.deliver(t, delivery("d2", 2, b.clock.Now()))
		require.Equal(t, int64(2), b.claim(t).GetRun().GetNumber(), "the day's run, now that there is place")
	})

	t.Run("OneThatTakesTooLongIsCancelled", func(t *testing.T) {
		t.Parallel()
		b := setupReports(t)
		b.deliver(t, delivery("d1", 2, b.clock.Now()))
		b.clock.Set(epoch)
		work := b.claim(t)
		b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Last: true, Chunk: &configv1.ReportRunChunk{
			FirstRow: 1, Rows: 2, Counts: &configv1.ReportRunCounts{Pending: 2},
		}})
		b.clock.Advance(20 * time.Hour)
		b.last(t, running)
		b.clock.Advance(time.Second)
		require.Eventually(t, func() bool { return b.list(t)[0].GetStatus() == failedRun }, time.Minute, 5*time.Millisecond)
		require.Contains(t, b.last(t, failedRun).GetDetail(), "took longer than 20h0m0s; 2 rows still wait for Salesforce")
		require.True(t, b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId()}), "its worker is told")
	})
}

func TestRunNow(t *testing.T) {
	t.Attr("requirement", "WALK-24")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	now := func() (*configv1.StartReportRunResponse, error) {
		return b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	}
	started, err := now()
	require.NoError(t, err)
	require.Equal(t, running, b.last(t, running).GetStatus(), "at once, for everybody to see")
	_, err = now()
	require.Equal(t, codes.AlreadyExists, status.Code(err))
	require.ErrorContains(t, err, started.GetRun().GetId())
	b.complete(t, b.claim(t))
	for range 9 {
		_, err = now()
		require.NoError(t, err)
		work := b.claim(t)
		require.Equal(t, "d1", work.GetDelivery().GetId(), "by hand the newest rows go again")
		b.complete(t, work)
	}
	_, err = now()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Equal(t, epoch, b.push(t).GetNextRunAt().AsTime(), "the schedule stays")
	b.clock.Advance(time.Hour + time.Second)
	_, err = now()
	require.NoError(t, err)
	b.complete(t, b.claim(t))

	_, err = configv1.NewReportRunServiceClient(b.dial(t, acmeViewer)).StartReportRun(t.Context(),
		&configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	paused := b.push(t)
	paused.Enabled = false
	b.save(t, paused)
	_, err = now()
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "paused")
}

func TestAFieldThatIsGoneIsFoundBeforeTheFirstWrite(t *testing.T) {
	t.Attr("requirement", "WALK-38")
	t.Attr("requirement", "XC-38")
	t.Parallel()
	for name, c := range map[string]struct {
		fields, profile, says string
		reason                streamv1.Reason
	}{
		"gone":      {"", "", "columns[1].field: SF_FIELD_GONE: Score__c has no field Stage__c", streamv1.Reason_REASON_SF_FIELD_GONE},
		"read-only": {stageField, ", read_only_fields: [Score__c.Stage__c]", "may not change", streamv1.Reason_REASON_SF_NO_PERMISSION},
		"hidden":    {stageField, ", hidden_fields: [Score__c.Stage__c]", "has no field Stage__c", streamv1.Reason_REASON_SF_FIELD_GONE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupReports(t)
			b.deliver(t, delivery("d1", 2, b.clock.Now()))
			b.clock.Set(epoch)
			b.live.change(t, c.fields, c.profile) // what is known of the org is not old
			require.Nil(t, b.claim(t).GetRun())
			run := b.last(t, failedRun)
			require.Equal(t, c.reason, run.GetReason())
			require.Contains(t, run.GetDetail(), c.says)
			require.Empty(t, run.GetDelivery())

			lenient := b.push(t)
			lenient.LeaveOutFields, lenient.Enabled = true, true
			lenient.Columns = lenient.Columns[:1]
			b.save(t, lenient)
		})
	}
}

func TestAColumnIsLeftOutWhereThatIsChosen(t *testing.T) {
	t.Attr("requirement", "WALK-38")
	t.Parallel()
	b := setupReports(t, func(p *configv1.ReportPush) { p.LeaveOutFields = true })
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	b.live.change(t, "", "")
	work := b.claim(t)
	require.Len(t, work.GetPush().GetColumns(), 1)
	require.Equal(t, "Points__c", work.GetPush().GetColumns()[0].GetField())
	require.Len(t, work.GetRun().GetLeftOut(), 1)
	require.Contains(t, work.GetRun().GetLeftOut()[0], "Stage → Stage__c: SF_FIELD_GONE")
	var fields []string
	for _, f := range work.GetFields() {
		fields = append(fields, f.GetName())
	}
	require.ElementsMatch(t, []string{"Key__c", "Points__c"}, fields)
	b.complete(t, work)
	require.Len(t, b.last(t, completed).GetLeftOut(), 1, "the log says so")

	// A column that the report lost is the same; nothing left is not.
	fewer := usage()
	fewer.Version, fewer.Columns = 1, append(fewer.Columns[:1:1], fewer.Columns[4:]...)
	require.Len(t, b.register(t, fewer).GetBroken(), 2)
	b.deliver(t, delivery("d2", 2, b.clock.Now()))
	b.clock.Advance(24 * time.Hour)
	require.Nil(t, b.claim(t).GetRun())
	run := b.last(t, failedRun)
	require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, run.GetReason())
	require.Contains(t, run.GetDetail(), "nothing is left to push")
}

func TestAnObjectThatIsGoneFailsTheRun(t *testing.T) {
	t.Attr("requirement", "WALK-12")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	b.live.change(t, stageField, ", objects: {Score__c: []}")
	require.Nil(t, b.claim(t).GetRun())
	run := b.last(t, failedRun)
	require.Equal(t, streamv1.Reason_REASON_SF_FIELD_GONE, run.GetReason())
	require.Contains(t, run.GetDetail(), "Score__c")
}

func TestADisconnectedOrgFailsTheRunAndKeepsTheSchedule(t *testing.T) {
	t.Attr("requirement", "WALK-6")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	_, err := configv1.NewConnectServiceClient(b.dial(t, adminToken)).Disconnect(t.Context(),
		&configv1.DisconnectRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	_, err = b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "disconnected")
	b.clock.Set(epoch)
	require.Nil(t, b.claim(t).GetRun())
	require.Contains(t, b.last(t, failedRun).GetDetail(), "disconnected")
	require.True(t, b.push(t).GetEnabled())
	require.Equal(t, epoch.AddDate(0, 0, 1), b.push(t).GetNextRunAt().AsTime())
}

func TestAnOrgThatIsDisconnectedInTheMiddleEndsTheRun(t *testing.T) {
	t.Attr("requirement", "WALK-6")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 3, b.clock.Now()))
	b.clock.Set(epoch)
	work := b.claim(t)
	b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Last: true, Chunk: &configv1.ReportRunChunk{
		FirstRow: 1, Rows: 3, Counts: &configv1.ReportRunCounts{Pending: 2, Unchanged: 1},
	}})
	b.last(t, running)
	_, err := configv1.NewConnectServiceClient(b.dial(t, adminToken)).Disconnect(t.Context(),
		&configv1.DisconnectRequest{Workspace: "acme", Connection: "main"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.list(t)[0].GetStatus() == failedRun }, time.Minute, 5*time.Millisecond)
	run := b.last(t, failedRun)
	require.Equal(t, streamv1.Reason_REASON_SF_AUTH_REVOKED, run.GetReason())
	require.Contains(t, run.GetDetail(), "2 rows wait for it")
	require.Equal(t, int64(1), run.GetCounts().GetUnchanged())
}

func TestAnOrgThatDoesNotAnswerLetsTheRunWait(t *testing.T) {
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	b.live.down.Store(true)
	require.Nil(t, b.claim(t).GetRun())
	require.Contains(t, b.last(t, running).GetDetail(), "waits")
	b.live.down.Store(false)
	require.Nil(t, b.claim(t).GetRun(), "not at once again")
	b.clock.Advance(time.Minute)
	work := b.claim(t)
	require.NotNil(t, work.GetRun())
	require.False(t, work.GetResumed(), "nobody has worked on it")
	require.Empty(t, b.last(t, running).GetDetail())
}

func TestARunTakesWholeDeliveriesOnly(t *testing.T) {
	t.Attr("requirement", "WALK-9")
	t.Parallel()
	b := setupReports(t)
	_, err := b.sync.NoteReportDelivery(t.Context(), &configv1.NoteReportDeliveryRequest{Delivery: &configv1.ReportDelivery{
		Workspace: "acme", Report: "unknown", Id: "d", CompletedAt: timestamppb.New(epoch),
	}})
	require.Equal(t, codes.NotFound, status.Code(err))
	b.clock.Set(epoch)
	require.Nil(t, b.claim(t).GetRun())
	require.Contains(t, b.last(t, completed).GetDetail(), "has not been delivered yet")
	require.Zero(t, b.last(t, completed).GetCounts().GetRows())

	next := func() *configv1.ClaimReportRunResponse {
		b.clock.Advance(24 * time.Hour)
		return b.claim(t)
	}
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	broken := delivery("d2", 1, b.clock.Now().Add(time.Second))
	broken.Reason, broken.Detail = streamv1.Reason_REASON_BAD_SCHEMA, "2 of 3 rows came"
	b.deliver(t, broken)
	require.Nil(t, next().GetRun())
	run := b.last(t, failedRun)
	require.Equal(t, streamv1.Reason_REASON_BAD_SCHEMA, run.GetReason())
	require.Contains(t, run.GetDetail(), "2 of 3 rows came")

	whole := delivery("d2", 3, b.clock.Now())
	b.deliver(t, whole)
	b.deliver(t, whole)
	work := next()
	require.True(t, proto.Equal(whole, work.GetDelivery()))
	b.complete(t, work)
	require.Equal(t, int64(3), b.last(t, completed).GetCounts().GetRows())
	require.Nil(t, next().GetRun())
	require.Contains(t, b.last(t, completed).GetDetail(), "has not been delivered again since delivery d2")
	b.deliver(t, delivery("d3", 0, b.clock.Now()))
	require.Nil(t, next().GetRun())
	require.Contains(t, b.last(t, completed).GetDetail(), "d3 of report usage is empty")
}

func TestAnEditWaitsForTheNextRunAndAPauseStopsThisOne(t *testing.T) {
	t.Attr("requirement", "WALK-35")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 4, b.clock.Now()))
	b.clock.Set(epoch)
	work := b.claim(t)
	chunk := &configv1.ReportRunChunk{FirstRow: 1, Rows: 2, Counts: &configv1.ReportRunCounts{Unmatched: 2}}
	require.False(t, b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Chunk: chunk}))
	edited := b.push(t)
	edited.Columns = edited.Columns[:1]
	b.save(t, edited)
	b.clock.Advance(2 * time.Minute) // its worker goes silent
	taken, err := b.sync.ClaimReportRun(t.Context(), &configv1.ClaimReportRunRequest{Worker: "two"})
	require.NoError(t, err)
	require.True(t, taken.GetResumed())
	require.Equal(t, work.GetRun().GetId(), taken.GetRun().GetId())
	require.Equal(t, int64(1), taken.GetRun().GetPushVersion())
	require.True(t, proto.Equal(work.GetPush(), taken.GetPush()), "as it began")
	require.Equal(t, []int64{1, 3}, []int64{taken.GetNextChunk(), taken.GetNextRow()})
	_, err = b.sync.RecordReportRun(t.Context(), &configv1.RecordReportRunRequest{
		Workspace: "acme", Run: work.GetRun().GetId(), Worker: "one", Chunk: &configv1.ReportRunChunk{Number: 1, FirstRow: 3, Rows: 2},
	})
	require.Equal(t, codes.Aborted, status.Code(err), "the claim is another's")

	paused := b.push(t)
	paused.Enabled = false
	b.save(t, paused)
	resp, err := b.sync.RecordReportRun(t.Context(), &configv1.RecordReportRunRequest{
		Workspace: "acme", Run: work.GetRun().GetId(), Worker: "two",
		Chunk: &configv1.ReportRunChunk{Number: 1, FirstRow: 3, Rows: 1, Counts: &configv1.ReportRunCounts{Unmatched: 1}},
	})
	require.NoError(t, err)
	require.True(t, resp.GetStop())
	require.Contains(t, b.last(t, failedRun).GetDetail(), "stopped by user")
	b.clock.Advance(48 * time.Hour)
	require.Nil(t, b.claim(t).GetRun(), "neither schedule")
	_, err = b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "nor run-now")
	on := b.push(t)
	on.Enabled = true
	b.save(t, on)
	b.clock.Advance(24 * time.Hour)
	next := b.claim(t)
	require.Len(t, next.GetPush().GetColumns(), 1, "the next run uses the new one")
	require.Len(t, b.list(t), 2, "days on which it was paused were not missed")
}

func TestALogOutlivesItsPush(t *testing.T) {
	t.Attr("requirement", "WALK-36")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	b.complete(t, b.claim(t))
	_, err := b.reports.DeleteReportPush(t.Context(), &configv1.DeleteReportPushRequest{Workspace: "acme", Push: "scores", Version: 7})
	require.Equal(t, codes.Aborted, status.Code(err))
	_, err = b.reports.DeleteReportPush(t.Context(), &configv1.DeleteReportPushRequest{Workspace: "acme", Push: "scores", Version: 1})
	require.NoError(t, err)
	run := b.last(t, completed)
	got, err := b.runs.GetReportRun(t.Context(), &configv1.GetReportRunRequest{Workspace: "acme", Run: run.GetId()})
	require.NoError(t, err)
	require.Len(t, got.GetChunks(), 1)
	_, err = b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.Equal(t, codes.NotFound, status.Code(err))
	b.clock.Advance(24 * time.Hour)
	require.Nil(t, b.claim(t).GetRun())
}

func TestAPushThatFailsForSevenDaysIsPaused(t *testing.T) {
	t.Attr("requirement", "WALK-36")
	t.Parallel()
	b := setupReports(t)
	broken := delivery("d1", 1, b.clock.Now())
	broken.Reason, broken.Detail = streamv1.Reason_REASON_BAD_SCHEMA, "half of it"
	b.deliver(t, broken)
	for n := range 7 {
		require.True(t, b.push(t).GetEnabled())
		b.clock.Set(epoch.AddDate(0, 0, n))
		require.Nil(t, b.claim(t).GetRun())
		b.last(t, failedRun)
	}
	require.Eventually(t, func() bool { return !b.push(t).GetEnabled() }, time.Minute, 5*time.Millisecond)
	require.Contains(t, b.push(t).GetPausedBecause(), "failed on 7 days in a row")
	require.Eventually(t, func() bool { return len(b.broken(t)) == 1 }, time.Minute, 5*time.Millisecond, "and told as broken")
	require.Equal(t, int64(2), b.push(t).GetVersion())
	on := b.push(t)
	on.Enabled = true
	b.save(t, on)
	b.clock.Set(epoch.AddDate(0, 0, 7))
	b.claim(t)
	b.last(t, failedRun)
	require.True(t, b.push(t).GetEnabled(), "it begins to count anew")
	require.Empty(t, b.push(t).GetPausedBecause())
}

func TestTheLogOfRunsHasTheNamesOfTheirTime(t *testing.T) {
	t.Attr("requirement", "WALK-32")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	b.clock.Set(epoch)
	work := b.claim(t)
	renamed := usage()
	renamed.Version, renamed.Name = 1, "Usage, new"
	b.register(t, renamed)
	b.clock.Advance(90 * time.Second)
	run := b.last(t, running)
	require.Equal(t, "Usage", run.GetReportName())
	require.Equal(t, "Score__c", run.GetObject())
	require.Equal(t, epoch, run.GetStartedAt().AsTime())
	require.Equal(t, 90*time.Second, run.GetRunTime().AsDuration(), "it counts up")
	require.Nil(t, run.GetEndedAt())
	b.complete(t, work)
	b.clock.Advance(time.Hour)
	run = b.last(t, completed)
	require.Equal(t, 90*time.Second, run.GetRunTime().AsDuration())
	require.Equal(t, epoch.Add(90*time.Second), run.GetEndedAt().AsTime())
	_, err := b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.NoError(t, err)
	page, err := b.runs.ListReportRuns(t.Context(), &configv1.ListReportRunsRequest{Workspace: "acme", Push: "scores", PageSize: 1})
	require.NoError(t, err)
	require.Equal(t, "Usage, new", page.GetRuns()[0].GetReportName(), "newest first")
	page, err = b.runs.ListReportRuns(t.Context(), &configv1.ListReportRunsRequest{
		Workspace: "acme", Push: "scores", PageSize: 1, PageToken: page.GetNextPageToken(),
	})
	require.NoError(t, err)
	require.Equal(t, run.GetId(), page.GetRuns()[0].GetId())
	require.Empty(t, page.GetNextPageToken())
	_, err = b.runs.ListReportRuns(t.Context(), &configv1.ListReportRunsRequest{Workspace: "acme", PageToken: "x"})
	require.Equal(t, []string{"page_token"}, fieldsOf(t, err))
}

// workspaceKeys opens the keys as the data plane gets them.
func (b *reportBundle) workspaceKeys(t *testing.T) *seal.Keys {
	t.Helper()
	stream := b.watch(t, 0)
	for _, ws := range receive(t, stream).GetWorkspaces() {
		if ws.GetWorkspace().GetId() == "acme" {
			keys, err := b.deps.Installation.OpenKeys("acme", ws.GetSealedKeys())
			require.NoError(t, err)
			return keys
		}
	}
	t.Fatal("there is no workspace acme")
	return nil
}

func sealed(t *testing.T, keys *seal.Keys, key string) []byte {
	t.Helper()
	out, err := keys.Seal([]byte(key))
	require.NoError(t, err)
	return out
}

func TestTheRawLogShowsKeysToWhoMaySeeThem(t *testing.T) {
	t.Attr("requirement", "WALK-33")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 4, b.clock.Now()))
	b.clock.Set(epoch)
	work := b.claim(t)
	keys := b.workspaceKeys(t)
	chunk := &configv1.ReportRunChunk{
		FirstRow: 1, Rows: 4, StartedAt: timestamppb.New(epoch), Took: durationpb.New(time.Second), RequestIds: []string{"req-1"},
		Counts: &configv1.ReportRunCounts{Unmatched: 2, Ambiguous: 1, BlankKeys: 1},
	}
	rows := []*configv1.ReportRunRow{
		{Number: 1, Reason: streamv1.Reason_REASON_NO_MATCH, SealedKey: sealed(t, keys, "hanako@example.com")},
		{Number: 2, Reason: streamv1.Reason_REASON_NO_MATCH, SealedKey: sealed(t, keys, "a1")},
		{Number: 3, Reason: streamv1.Reason_REASON_KEY_AMBIGUOUS, SealedKey: sealed(t, keys, "花子さんの鍵"), RecordIds: []string{"003A", "003B"}},
		{Number: 4, Reason: streamv1.Reason_REASON_KEY_BLANK},
	}
	b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Chunk: chunk, Rows: rows, Last: true})
	run := b.last(t, completed)
	require.True(t, proto.Equal(&configv1.ReportRunCounts{Rows: 4, Unmatched: 2, Ambiguous: 1, BlankKeys: 1}, run.GetCounts()))
	got, err := b.runs.GetReportRun(t.Context(), &configv1.GetReportRunRequest{Workspace: "acme", Run: run.GetId()})
	require.NoError(t, err)
	require.Len(t, got.GetChunks(), 1)
	require.True(t, proto.Equal(chunk, got.GetChunks()[0]))
	require.Equal(t, int64(1), got.GetRun().GetPushVersion())

	read := func(token string) []*configv1.ReportRunRow {
		client := configv1.NewReportRunServiceClient(b.dial(t, token))
		var out []*configv1.ReportRunRow
		for next := ""; ; {
			resp, err := client.ListReportRunRows(t.Context(), &configv1.ListReportRunRowsRequest{
				Workspace: "acme", Run: run.GetId(), PageSize: 3, PageToken: next,
			})
			require.NoError(t, err)
			out = append(out, resp.GetRows()...)
			if next = resp.GetNextPageToken(); next == "" {
				return out
			}
		}
	}
	shown := func(rows []*configv1.ReportRunRow) []string {
		var out []string
		for _, row := range rows {
			require.Nil(t, row.GetSealedKey())
			out = append(out, row.GetKey())
		}
		return out
	}
	for _, token := range []string{ownerToken, officerToken} {
		require.Equal(t, []string{"hanako@example.com", "a1", "花子さんの鍵", ""}, shown(read(token)))
	}
	for _, token := range []string{acmeToken, acmeViewer, adminToken} {
		require.Equal(t, []string{"h•••", "•••", "花•••", ""}, shown(read(token)))
	}
	require.Equal(t, []string{"003A", "003B"}, read(acmeViewer)[2].GetRecordIds())
	_, err = b.runs.ListReportRunRows(t.Context(), &configv1.ListReportRunRowsRequest{Workspace: "acme", Run: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestWhatSalesforceSaysOfRowsEndsTheRun(t *testing.T) {
	t.Attr("requirement", "WALK-30")
	t.Parallel()
	b := prepareReports(t)
	broker := stagetest.NewBroker()
	broker.Create(topic.Outcomes, 2)
	broker.Create(deadLetters, 1)
	b.deps.Broker = broker
	b.cfg.RunLog.Stage.BatchWait = 5 * time.Millisecond
	b.cfg.RunLog.Stage.DeadLetterTopic = deadLetters
	b.clock.Advance(-3 * time.Hour)
	b.start(t)
	b.connect(t, "acme")
	b.register(t, usage())
	push := scores()
	push.ToleratedFailuresPercent = 25
	b.save(t, push)
	b.deliver(t, delivery("d1", 4, b.clock.Now()))
	b.clock.Set(epoch)
	work := b.claim(t)
	b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Last: true, Chunk: &configv1.ReportRunChunk{
		FirstRow: 1, Rows: 4, Writes: 4, Counts: &configv1.ReportRunCounts{Pending: 4},
	}})
	require.Equal(t, int64(4), b.last(t, running).GetCounts().GetPending())
	keys := b.workspaceKeys(t)
	say := func(row int64, change func(*streamv1.Outcome)) {
		o := written("acme", int(row))
		o.RunRow = &streamv1.RunRow{Run: work.GetRun().GetId(), Number: row}
		change(o)
		broker.Append(topic.Outcomes, int(row%2), record(t, o), record(t, o)) // twice
	}
	say(1, func(*streamv1.Outcome) {})
	say(2, func(o *streamv1.Outcome) {
		o.Status, o.Reason = streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_UNCHANGED
	})
	say(3, func(o *streamv1.Outcome) {
		o.Status, o.Reason, o.SalesforceCode = streamv1.Status_STATUS_FAILED, streamv1.Reason_REASON_SF_VALIDATION, "FIELD_CUSTOM_VALIDATION_EXCEPTION"
		o.Detail, o.RecordId, o.RunRow.SealedKey = "Points may not fall", "a00000000000003AAA", sealed(t, keys, "key-three")
	})
	require.Eventually(t, func() bool { return b.list(t)[0].GetCounts().GetPending() == 1 }, time.Minute, 5*time.Millisecond)
	b.last(t, running)
	say(4, func(o *streamv1.Outcome) {
		o.Status, o.Reason = streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_SUPERSEDED
	})
	require.Eventually(t, func() bool { return b.list(t)[0].GetStatus() != running }, time.Minute, 5*time.Millisecond)
	run := b.last(t, completed)
	require.True(t, proto.Equal(&configv1.ReportRunCounts{Rows: 4, Written: 1, Unchanged: 1, Failed: 1, Skipped: 1}, run.GetCounts()))
	resp, err := configv1.NewReportRunServiceClient(b.dial(t, officerToken)).ListReportRunRows(t.Context(),
		&configv1.ListReportRunRowsRequest{Workspace: "acme", Run: run.GetId()})
	require.NoError(t, err)
	require.Len(t, resp.GetRows(), 2)
	require.True(t, proto.Equal(&configv1.ReportRunRow{
		Number: 3, Key: "key-three", Reason: streamv1.Reason_REASON_SF_VALIDATION, Detail: "Points may not fall",
		SalesforceCode: "FIELD_CUSTOM_VALIDATION_EXCEPTION", RecordIds: []string{"a00000000000003AAA"},
	}, resp.GetRows()[0]))

	// The same with nothing tolerated.
	strict := b.push(t)
	strict.ToleratedFailuresPercent = 0
	b.save(t, strict)
	b.deliver(t, delivery("d2", 4, b.clock.Now()))
	b.clock.Advance(24 * time.Hour)
	work = b.claim(t)
	b.record(t, &configv1.RecordReportRunRequest{Run: work.GetRun().GetId(), Last: true, Chunk: &configv1.ReportRunChunk{
		FirstRow: 1, Rows: 4, Counts: &configv1.ReportRunCounts{Unchanged: 3, Failed: 1},
	}})
	require.Contains(t, b.last(t, failedRun).GetDetail(), "1 of 4 rows failed")
}

func TestAStoppedRunEndsAfterItsChunk(t *testing.T) {
	t.Attr("requirement", "WALK-35")
	t.Parallel()
	b := setupReports(t)
	b.deliver(t, delivery("d1", 2, b.clock.Now()))
	started, err := b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.NoError(t, err)
	stop := func() *configv1.ReportRun {
		resp, err := b.runs.StopReportRun(t.Context(), &configv1.StopReportRunRequest{Workspace: "acme", Run: b.list(t)[0].GetId()})
		require.NoError(t, err)
		return resp.GetRun()
	}
	require.Equal(t, failedRun, stop().GetStatus(), "nobody works on it yet")
	require.Equal(t, "stopped by user", stop().GetDetail())
	b.clock.Advance(time.Second)
	_, err = b.runs.StartReportRun(t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "scores"})
	require.NoError(t, err)
	work := b.claim(t)
	require.NotEqual(t, started.GetRun().GetId(), work.GetRun().GetId())
	require.Equal(t, running, stop().GetStatus())
	b.clock.Advance(time.Hour) // and its worker never came back
	require.Eventually(t, func() bool { return b.list(t)[0].GetStatus() == failedRun }, time.Minute, 5*time.Millisecond)
	require.True(t, strings.HasPrefix(b.last(t, failedRun).GetDetail(), "stopped by user"))
}
