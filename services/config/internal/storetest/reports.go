package storetest

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// today is the day of the tests' time.
const today = int64(20513)

func savePush(t *testing.T, s *store.Store, expected int64, change store.PushChange) {
	t.Helper()
	require.NoError(t, s.PutPush(t.Context(), save("acme", store.KindReportPush, "usage", expected, "push"), change))
}

// on switches the push on for the day that begins.
func on(t *testing.T, s *store.Store) {
	t.Helper()
	savePush(t, s, 0, store.PushChange{Enabled: true, Fresh: true, Day: today - 1})
}

func run(id string, day int64) store.ReportRun {
	return store.ReportRun{
		Workspace: "acme", ID: id, Push: "usage", PushVersion: 1, Cause: 1, Report: "report", ReportName: "Report", Object: "Contact",
		Connection: "main", Day: day, StartedAt: epoch,
	}
}

func start(t *testing.T, s *store.Store, id string, day int64) store.ReportRun {
	t.Helper()
	var hand *store.ByHand
	if day == store.NoDay {
		hand = byHand(10)
	}
	got, err := s.StartRun(t.Context(), run(id, day), hand)
	require.NoError(t, err)
	return got
}

// byHand lets so many runs be started by hand within the last hour.
func byHand(most int) *store.ByHand {
	return &store.ByHand{By: store.Act{Actor: "hanako", Role: "owner", Action: "StartReportRun", At: epoch}, Most: most, Since: epoch.Add(-time.Hour)}
}

// stopping is who stops a run.
var stopping = store.Act{Actor: "hanako", Role: "owner", Action: "StopReportRun", At: epoch}

func end(t *testing.T, s *store.Store, id string, status int32) {
	t.Helper()
	ended, err := s.EndRun(t.Context(), "acme", id, store.RunEnd{Status: status, At: epoch.Add(time.Minute)})
	require.NoError(t, err)
	require.True(t, ended)
}

func pushes(t *testing.T, open Open) {
	t.Run("AreDueUntilTheirDayIsDone", func(t *testing.T) {
		t.Attr("requirement", "WALK-21")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		due, err := s.DuePushes(ctx, today)
		require.NoError(t, err)
		require.Equal(t, []store.PushSchedule{{Workspace: "acme", Push: "usage", Day: today - 1}}, due)
		start(t, s, "one", today)
		due, err = s.DuePushes(ctx, today)
		require.NoError(t, err)
		require.Empty(t, due)
		done, err := s.ScheduledDay(ctx, "acme", "usage")
		require.NoError(t, err)
		require.Equal(t, today, done)
		_, err = s.ScheduledDay(ctx, "globex", "usage")
		require.ErrorIs(t, err, store.ErrNotFound)
		n, err := s.EnabledPushes(ctx)
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
	})

	t.Run("KeepTheirScheduleWhenTheyAreEdited", func(t *testing.T) {
		t.Attr("requirement", "WALK-35")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		start(t, s, "one", today)
		savePush(t, s, 1, store.PushChange{Enabled: true, Day: today + 5})
		done, err := s.ScheduledDay(ctx, "acme", "usage")
		require.NoError(t, err)
		require.Equal(t, today, done, "an edit does not shift the schedule")
		got, err := s.Run(ctx, "acme", "one")
		require.NoError(t, err)
		require.Equal(t, int32(store.RunRunning), got.Status)
		require.Empty(t, got.Stop, "the run goes on")
		require.ErrorIs(t, s.PutPush(ctx, save("acme", store.KindReportPush, "usage", 1, "late"), store.PushChange{Stop: "no"}), store.ErrStale)
		got, err = s.Run(ctx, "acme", "one")
		require.NoError(t, err)
		require.Empty(t, got.Stop, "a save that is refused stops nothing")
	})
}

func pushStops(t *testing.T, open Open) {
	t.Run("StopTheirRunWhenTheyArePausedOrDeleted", func(t *testing.T) {
		t.Attr("requirement", "WALK-35")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		start(t, s, "one", today)
		claimed, err := s.ClaimRun(ctx, "a", epoch, epoch.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, "one", claimed.ID)
		savePush(t, s, 1, store.PushChange{Stop: "paused"})
		got, err := s.Run(ctx, "acme", "one")
		require.NoError(t, err)
		require.Equal(t, "paused", got.Stop)
		require.Equal(t, int32(store.RunRunning), got.Status, "its worker does the chunk that it is at")
		due, err := s.DuePushes(ctx, today+1)
		require.NoError(t, err)
		require.Empty(t, due)
		_, err = s.StartRun(ctx, run("two", today+1), nil)
		require.ErrorIs(t, err, store.ErrBusy)

		end(t, s, "one", store.RunFailed)
		savePush(t, s, 2, store.PushChange{Enabled: true, Fresh: true, Day: today})
		start(t, s, "two", today+1)
		require.NoError(t, s.DeletePush(ctx, save("acme", store.KindReportPush, "usage", 3, ""), "deleted"))
		got, err = s.Run(ctx, "acme", "two")
		require.NoError(t, err)
		require.Equal(t, int32(store.RunFailed), got.Status, "nobody works on it")
		require.Equal(t, "deleted", got.Detail)
		require.False(t, got.EndedAt.IsZero())
		on(t, s)
		require.Equal(t, int64(3), start(t, s, "three", today+2).Number, "numbers only grow, also of one that was made anew")
	})

	t.Run("CannotBeDeletedAtAnOldVersion", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		require.ErrorIs(t, s.DeletePush(ctx, save("acme", store.KindReportPush, "usage", 7, ""), "x"), store.ErrStale)
		require.ErrorIs(t, s.DeletePush(ctx, save("globex", store.KindReportPush, "usage", 1, ""), "x"), store.ErrNotFound)
		require.NoError(t, s.Put(ctx, save("acme", store.KindReport, "report", 0, "r")))
		snap, err := s.Snapshot(ctx, 0)
		require.NoError(t, err)
		require.Empty(t, snap.Documents, "runs bring them to those who need them")
		require.NoError(t, s.DeleteReport(ctx, save("acme", store.KindReport, "report", 1, "")))
		require.NoError(t, s.Put(ctx, save("acme", store.KindReport, "report", 0, "again")))
	})
}

func failedDays(t *testing.T, open Open) {
	t.Run("CountFailedDaysInARow", func(t *testing.T) {
		t.Attr("requirement", "WALK-36")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		for n := range int64(2) {
			start(t, s, fmt.Sprint("f", n), today+n)
			end(t, s, fmt.Sprint("f", n), store.RunFailed)
		}
		failing, err := s.FailingPushes(ctx, 2)
		require.NoError(t, err)
		require.Equal(t, []store.PushSchedule{{Workspace: "acme", Push: "usage", Day: today + 1, FailedDays: 2}}, failing)
		start(t, s, "hand", store.NoDay)
		end(t, s, "hand", store.RunFailed)
		failing, err = s.FailingPushes(ctx, 3)
		require.NoError(t, err)
		require.Empty(t, failing, "a run by hand is no day")
		start(t, s, "well", store.NoDay)
		end(t, s, "well", store.RunCompleted)
		failing, err = s.FailingPushes(ctx, 1)
		require.NoError(t, err)
		require.Empty(t, failing, "a success ends the row")
	})
}

func runs(t *testing.T, open Open) {
	t.Run("AreOneAPushAndDayHoweverManyStartThem", func(t *testing.T) {
		t.Attr("requirement", "WALK-21")
		t.Attr("requirement", "WALK-22")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []string
		for n := range 8 {
			wg.Go(func() {
				id := fmt.Sprint("run", n)
				_, err := s.StartRun(ctx, run(id, today), nil)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, id)
				}
			})
		}
		wg.Wait()
		require.Len(t, won, 1)
		busy, err := s.StartRun(ctx, run("hand", store.NoDay), byHand(10))
		require.ErrorIs(t, err, store.ErrBusy)
		require.Equal(t, won[0], busy.ID)
		end(t, s, won[0], store.RunCompleted)
		_, err = s.StartRun(ctx, run("again", today), nil)
		require.ErrorIs(t, err, store.ErrStale, "the day had its run")
	})
}

func runClaims(t *testing.T, open Open) {
	t.Run("GoToOneWorkerUntilItIsSilent", func(t *testing.T) {
		t.Attr("requirement", "WALK-22")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		start(t, s, "one", today)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var got []store.ReportRun
		for n := range 8 {
			wg.Go(func() {
				claimed, err := s.ClaimRun(ctx, fmt.Sprint("worker", n), epoch, epoch.Add(time.Minute))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got = append(got, claimed)
				}
			})
		}
		wg.Wait()
		require.Len(t, got, 1)
		require.Nil(t, got[0].Body)
		prepared := got[0]
		prepared.Body, prepared.Delivery, prepared.Tolerated, prepared.Counts.Rows = []byte("work"), "d1", 2.5, 100
		require.NoError(t, s.PrepareRun(ctx, prepared))
		_, err := s.ClaimRun(ctx, "late", epoch.Add(59*time.Second), epoch.Add(time.Hour))
		require.ErrorIs(t, err, store.ErrNotFound)
		taken, err := s.ClaimRun(ctx, "late", epoch.Add(time.Minute), epoch.Add(time.Hour))
		require.NoError(t, err)
		require.Equal(t, "work", string(taken.Body), "it works with the same")
		require.Equal(t, "d1", taken.Delivery)
		require.Equal(t, int64(100), taken.Counts.Rows)
		require.ErrorIs(t, s.PrepareRun(ctx, prepared), store.ErrStale)
		taken.Detail, taken.Reason = "waits", 94
		require.NoError(t, s.ReleaseRun(ctx, taken, epoch.Add(2*time.Hour)))
		_, err = s.ClaimRun(ctx, "x", epoch.Add(time.Hour), epoch.Add(2*time.Hour))
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

func runLimits(t *testing.T, open Open) {
	t.Run("ByHandAreLimited", func(t *testing.T) {
		t.Attr("requirement", "WALK-24")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		limit := byHand(2)
		for n := range 2 {
			_, err := s.StartRun(ctx, run(strconv.Itoa(n), store.NoDay), limit)
			require.NoError(t, err)
			end(t, s, strconv.Itoa(n), store.RunFailed)
		}
		_, err := s.StartRun(ctx, run("three", store.NoDay), limit)
		require.ErrorIs(t, err, store.ErrTooOften)
		limit.Since = epoch
		_, err = s.StartRun(ctx, run("three", store.NoDay), limit)
		require.NoError(t, err)
		done, err := s.ScheduledDay(ctx, "acme", "usage")
		require.NoError(t, err)
		require.Equal(t, today-1, done, "the day's run still comes")
	})

	t.Run("OfMissedDaysAreNotedOnce", func(t *testing.T) {
		t.Attr("requirement", "WALK-22")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		missed := run("missed", today)
		missed.EndedAt = epoch
		require.NoError(t, s.MissDay(ctx, missed))
		missed.ID = "again"
		require.NoError(t, s.MissDay(ctx, missed))
		list, err := s.Runs(ctx, store.RunsQuery{Workspace: "acme", Limit: 10})
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, int32(store.RunMissed), list[0].Status)
		require.Equal(t, int64(1), start(t, s, "next", today+1).Number)
	})
}

func runPages(t *testing.T, open Open) {
	t.Run("ArePagedAndStayWithinTheirWorkspace", func(t *testing.T) {
		t.Attr("requirement", "WALK-32")
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		for n := range int64(5) {
			r := run(fmt.Sprint("r", n), today+n)
			r.StartedAt = epoch.Add(time.Duration(n/2) * time.Hour)
			_, err := s.StartRun(ctx, r, nil)
			require.NoError(t, err)
			end(t, s, r.ID, store.RunCompleted)
		}
		var got []string
		q := store.RunsQuery{Workspace: "acme", Push: "usage", Limit: 2}
		for {
			page, err := s.Runs(ctx, q)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				got = append(got, r.ID)
			}
			q.Before, q.BeforeID = page[len(page)-1].StartedAt, page[len(page)-1].ID
		}
		require.Equal(t, []string{"r4", "r3", "r2", "r1", "r0"}, got)
		other, err := s.Runs(ctx, store.RunsQuery{Workspace: "globex", Limit: 10})
		require.NoError(t, err)
		require.Empty(t, other)
		_, err = s.Run(ctx, "globex", "r1")
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, s.StopRun(ctx, "globex", "r1", "x", stopping), store.ErrNotFound)
	})
}

func runDeliveries(t *testing.T, open Open) {
	t.Run("TakeTheNewestDelivery", func(t *testing.T) {
		t.Parallel()
		s, ctx := open(t), t.Context()
		on(t, s)
		_, _, err := s.NewestDelivery(ctx, "acme", "report", "usage")
		require.ErrorIs(t, err, store.ErrNotFound)
		first := store.ReportDelivery{Workspace: "acme", Report: "report", ID: "d1", CompletedAt: epoch, Reason: 1, Body: []byte("broken")}
		require.NoError(t, s.NoteDelivery(ctx, first))
		whole := first
		whole.Reason, whole.Body = 0, []byte("whole")
		require.NoError(t, s.NoteDelivery(ctx, whole))
		require.NoError(t, s.NoteDelivery(ctx, first), "noting it again changes nothing")
		got, done, err := s.NewestDelivery(ctx, "acme", "report", "usage")
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, whole, got)
		start(t, s, "one", today)
		claimed, err := s.ClaimRun(ctx, "w", epoch, epoch.Add(time.Minute))
		require.NoError(t, err)
		claimed.Delivery, claimed.Body = "d1", []byte("x")
		require.NoError(t, s.PrepareRun(ctx, claimed))
		end(t, s, "one", store.RunCompleted)
		_, done, err = s.NewestDelivery(ctx, "acme", "report", "usage")
		require.NoError(t, err)
		require.True(t, done)
		_, done, err = s.NewestDelivery(ctx, "acme", "report", "another")
		require.NoError(t, err)
		require.False(t, done)
	})
}
