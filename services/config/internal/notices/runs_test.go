package notices_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// push saves the version after version of acme's push, switched on.
func (b *testBundle) push(t *testing.T, version int64, recipients ...string) {
	t.Helper()
	body, err := proto.Marshal(&configv1.ReportPush{Workspace: "acme", Id: "usage", Enabled: true, NoticeRecipients: recipients, Version: version + 1})
	require.NoError(t, err)
	require.NoError(t, b.store.PutPush(t.Context(), store.Save{
		Key: store.Key{Workspace: "acme", Kind: store.KindReportPush, ID: "usage"}, Expected: version, Body: body,
		Author: "root", At: b.clock.Now(), Action: "test",
	}, store.PushChange{Enabled: true, Fresh: version == 0}))
}

// run starts a run of the push and has it end as told.
func (b *testBundle) run(t *testing.T, end func(run store.ReportRun)) {
	t.Helper()
	now := b.clock.Now()
	started, err := b.store.StartRun(t.Context(), store.ReportRun{
		Workspace: "acme", ID: strconv.FormatInt(now.Unix(), 10), Push: "usage", PushVersion: 1, Report: "usage", ReportName: "Usage", Object: "Contact",
		Connection: "production", Day: store.NoDay, StartedAt: now,
	}, nil)
	require.NoError(t, err)
	end(started)
}

// matched has a run complete of whose 100 rows so many found their record.
func (b *testBundle) matched(t *testing.T, rows int64) {
	t.Helper()
	b.run(t, func(store.ReportRun) {
		now := b.clock.Now()
		run, err := b.store.ClaimRun(t.Context(), "worker", now, now.Add(time.Minute))
		require.NoError(t, err)
		run.Body, run.Counts.Rows = []byte{}, 100
		require.NoError(t, b.store.PrepareRun(t.Context(), run))
		_, err = b.store.RecordRun(t.Context(), store.RunRecord{
			Workspace: "acme", Run: run.ID, Worker: "worker", Last: true, Now: now, Until: now.Add(time.Minute),
			Chunk: &store.RunChunk{FirstRow: 1, Rows: 100, Counts: store.RunCounts{Unchanged: rows, Unmatched: 100 - rows}, Body: []byte{}},
		})
		require.NoError(t, err)
	})
	b.clock.Advance(time.Hour)
}

// ended has a run end at once.
func (b *testBundle) ended(t *testing.T, end store.RunEnd) {
	t.Helper()
	b.run(t, func(run store.ReportRun) {
		end.At = b.clock.Now()
		_, err := b.store.EndRun(t.Context(), "acme", run.ID, end)
		require.NoError(t, err)
	})
	b.clock.Advance(time.Hour)
}

func TestPeopleAreToldOfRunsThatGoWrong(t *testing.T) {
	t.Attr("requirement", "WALK-40")
	t.Parallel()
	for name, tc := range map[string]struct {
		wrong             func(*testing.T, *testBundle)
		trouble, reason   string
		english, japanese string
	}{
		"failed": {
			wrong: func(t *testing.T, b *testBundle) {
				b.ended(t, store.RunEnd{Status: store.RunFailed, Reason: int32(streamv1.Reason_REASON_SF_FIELD_GONE), Detail: "Contact has no field Score__c"})
			},
			trouble: "FAILED", reason: "SF_FIELD_GONE", english: "failed: SF_FIELD_GONE: Contact has no field Score__c", japanese: "実行が失敗しました",
		},
		"no rows": {
			wrong: func(t *testing.T, b *testBundle) {
				b.ended(t, store.RunEnd{Status: store.RunCompleted, Detail: "no rows: report usage has not been delivered yet"})
			},
			trouble: "NO_ROWS", reason: "UNSPECIFIED", english: "no rows: report usage has not been delivered yet", japanese: "0 行でした",
		},
		"match rate": {
			wrong:   func(t *testing.T, b *testBundle) { b.matched(t, 39) },
			trouble: "MATCH_RATE", reason: "UNSPECIFIED", english: "only 39.0 % of the rows", japanese: "39.0 %",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.recipient(t, "owner", "en")
			b.recipient(t, "owner-ja", "ja")
			b.recipient(t, "somebody", "en")
			b.push(t, 0, "owner", "owner-ja")
			for _, rows := range []int64{10, 100, 80, 80, 80, 70, 80, 90} { // the median of the last seven is 80
				b.matched(t, rows)
			}
			require.Empty(t, b.look(t))
			tc.wrong(t, b)
			told := b.look(t)
			require.Len(t, told, 2, "the push's recipients")
			for _, h := range told {
				n := h.Notices[0]
				require.Equal(t, []string{"REPORT_RUN", "usage", tc.trouble, tc.reason}, []string{n.Kind, n.ReportPush, n.Trouble, n.Reason})
				require.NotEmpty(t, n.Run)
				want := tc.english
				if h.Subject != "Throughline: usage needs you" {
					want = tc.japanese
				}
				require.Contains(t, h.Text, want)
				require.Contains(t, n.TextEn, tc.english)
				require.Contains(t, n.TextJa, tc.japanese)
			}
			require.NotEqual(t, told[0].Subject, told[1].Subject, "each in their language")
			for range 5 {
				tc.wrong(t, b)
				require.Empty(t, b.look(t), "once per cause and day")
			}
			b.ended(t, store.RunEnd{Status: store.RunFailed, Reason: int32(streamv1.Reason_REASON_SF_AUTH_REVOKED), Detail: "disconnected"})
			require.Len(t, b.look(t), 2, "another cause")
			b.clock.Advance(24 * time.Hour)
			require.Len(t, b.look(t), 2, "the next day")
			b.matched(t, 80)
			b.clock.Advance(48 * time.Hour)
			require.Empty(t, b.look(t), "it runs again")
		})
	}
}

func TestAMatchRateIsHeldAgainstWhatWasUsual(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before []int64
		rate   int64
		told   bool
	}{
		"half of it":              {[]int64{80, 80, 80, 80, 80, 80, 80}, 40, false},
		"less than half":          {[]int64{80, 80, 80, 80, 80, 80, 80}, 39, true},
		"of low ones":             {[]int64{10, 10, 10}, 5, false},
		"less than of low ones":   {[]int64{10, 10, 10}, 4, true},
		"too few before":          {[]int64{80, 80}, 1, false},
		"one good day among many": {[]int64{10, 10, 10, 100, 10, 10, 10}, 8, false},
		"nothing at all":          {[]int64{80, 80, 80}, 0, true},
		"older ones do not count": {[]int64{100, 100, 100, 100, 20, 20, 20, 20, 20, 20, 20}, 15, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.recipient(t, "ops", "en")
			b.push(t, 0)
			for _, rows := range tc.before {
				b.matched(t, rows)
			}
			b.matched(t, tc.rate)
			require.Equal(t, tc.told, len(b.look(t)) == 1)
		})
	}
}

func TestWhoStopsARunIsNotToldOfIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.push(t, 0)
	b.run(t, func(run store.ReportRun) {
		require.NoError(t, b.store.StopRun(t.Context(), "acme", run.ID, "stopped by user", store.Act{Actor: "hanako", At: b.clock.Now()}))
	})
	require.Empty(t, b.look(t))
}

func TestARunWhoseRecipientsAreGoneIsToldToEverybody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.push(t, 0, "gone")
	b.ended(t, store.RunEnd{Status: store.RunFailed, Detail: "the push was deleted"})
	require.Len(t, b.look(t), 1)
}

func TestABrokenPushIsNamedAndItsRunsAreNotToldAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recipient(t, "ops", "en")
	b.push(t, 0)
	body, err := proto.Marshal(&configv1.BrokenIntegration{ReportPush: "usage", Problems: []*configv1.IntegrationProblem{
		{Field: "columns[0].field", Description: "SF_FIELD_GONE: Contact has no field Score__c"},
	}})
	require.NoError(t, err)
	_, err = b.store.PutBroken(t.Context(), store.Broken{
		Workspace: "acme", Kind: store.KindReportPush, ID: "usage", Connection: "production", Version: 1, FoundAt: epoch, Body: body,
	})
	require.NoError(t, err)
	b.ended(t, store.RunEnd{Status: store.RunFailed, Reason: int32(streamv1.Reason_REASON_SF_FIELD_GONE), Detail: "Contact has no field Score__c"})
	told := b.look(t)
	require.Len(t, told, 1)
	require.Len(t, told[0].Notices, 1, "one cause")
	n := told[0].Notices[0]
	require.Equal(t, []string{"REPORT_PUSH", "usage", "SF_FIELD_GONE"}, []string{n.Kind, n.ReportPush, n.Reason})
	require.Contains(t, told[0].Text, "Report push usage: it cannot run any more: columns[0].field: SF_FIELD_GONE")
	b.ended(t, store.RunEnd{Status: store.RunFailed, Reason: int32(streamv1.Reason_REASON_SF_AUTH_REVOKED), Detail: "disconnected"})
	require.Equal(t, "FAILED", b.look(t)[0].Notices[0].Trouble, "another cause")
}
