package delivery_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

func TestJobTrouble(t *testing.T) {
	t.Parallel()

	t.Run("LostAnswersLoseAndDoubleNothing", func(t *testing.T) {
		t.Parallel()
		for _, step := range []orgtest.JobStep{orgtest.JobCreate, orgtest.JobUpload, orgtest.JobClose, orgtest.JobPoll, orgtest.JobResults} {
			for name, fault := range map[string]orgtest.Fault{
				"before":  {},
				"after":   {AfterCommit: true},
				"trouble": {Status: http.StatusServiceUnavailable, Body: apiError("SERVER_UNAVAILABLE", "Server Unavailable")},
			} {
				t.Run(string(step)+" "+name, func(t *testing.T) {
					t.Parallel()
					b := setupJobs(t)
					var calls atomic.Int64
					b.org.JobFault = func(s orgtest.JobStep, _ string) *orgtest.Fault {
						if s == step && calls.Add(1) == 1 {
							return &fault
						}
						return nil
					}
					b.backlog(jobRows)
					b.settled(jobRows) // the job is found again, and its results are; or another is made
					require.Equal(t, map[string]int{"bulk": jobRows}, b.apis())
					b.release()
					b.settled(jobRows + 1)
					b.written(jobRows)
					ran := 0
					for _, j := range b.org.Jobs() {
						if j.State == "JobComplete" {
							ran++
						}
					}
					require.Equal(t, 1, ran)
				})
			}
		}
	})

	t.Run("NothingIsSentBeforeALostJobHasEnded", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t, func(c *delivery.Config) { c.Attempts = 4 })
		held, silent := make(chan struct{}), atomic.Bool{}
		letGo := sync.OnceFunc(func() { close(held) })
		t.Cleanup(letGo)
		b.org.JobRun = func(orgtest.Job) orgtest.JobPlan {
			<-held
			return orgtest.JobPlan{Deaf: true}
		}
		var polls, aborts atomic.Int64
		silent.Store(true)
		b.org.JobFault = func(s orgtest.JobStep, _ string) *orgtest.Fault {
			switch {
			case s == orgtest.JobAbort:
				aborts.Add(1)
			case s == orgtest.JobPoll && silent.Load():
				polls.Add(1)
				return &orgtest.Fault{Status: http.StatusBadRequest, Body: apiError("INVALID_INPUT", "no")}
			}
			return nil
		}
		b.backlog(jobRows)
		require.Eventually(t, func() bool { return polls.Load() > 4 }, patience, time.Millisecond, "the job is given up")
		b.accept(b.upsert(write{key: "k7", revision: 2}))
		b.release()
		require.NoError(t, b.port.Await(t.Context(), func(p *stagetest.Port) bool { return len(p.Settled()) > 0 }))
		silent.Store(false)
		require.Eventually(t, func() bool { return aborts.Load() > 0 }, patience, time.Millisecond)
		require.Len(t, b.org.Requests(), 2, "the plug and the job")
		letGo()
		require.Eventually(t, func() bool { _, under := b.table.Get("!job/acme/main"); return !under }, patience, time.Millisecond)
		brought := 0
		require.Eventually(t, func() bool {
			brought = b.bringBack(brought)
			return b.outcomes()["k7/2"] == "WRITTEN"
		}, patience, time.Millisecond)
		for _, r := range b.org.Records("Engagement__c") {
			require.IsNonDecreasing(t, r.History, r.Key)
		}
		require.Empty(t, b.org.Problems())
	})

	t.Run("AJobThatDoesNotEndHoldsItsLane", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t, func(c *delivery.Config) { c.BulkFor = 4 * time.Minute })
		begun, held := make(chan struct{}), make(chan struct{})
		letGo := sync.OnceFunc(func() { close(held) })
		t.Cleanup(letGo)
		b.org.JobRun = func(orgtest.Job) orgtest.JobPlan {
			close(begun)
			<-held
			return orgtest.JobPlan{Deaf: true}
		}
		b.backlog(jobRows)
		<-begun
		b.clock.jump(b.cfg.BulkFor)
		require.Eventually(t, b.org.Aborting, patience, time.Millisecond)
		b.clock.jump(b.cfg.BulkFor)
		told := func() bool { return len(b.all()) >= jobRows } // that all of them are to come again
		require.Eventually(t, told, patience, time.Millisecond)
		b.accept(b.upsert(write{key: "k7", revision: 2}))
		b.release()
		b.settled(2) // the plug, and what was overtaken
		require.Equal(t, "SKIPPED SUPERSEDED", b.outcomes()["k7/1"])
		polls := b.org.Polls()
		require.Eventually(t, func() bool { return b.org.Polls() > polls+10 }, patience, time.Millisecond)
		require.Len(t, b.org.Requests(), 2, "the plug and the job")
		letGo()
		b.settled(jobRows + 2)
		for _, r := range b.org.Records("Engagement__c") {
			require.IsNonDecreasing(t, r.History)
			if r.Key == "k7" {
				require.Equal(t, []float64{1, 2}, r.History)
			}
		}
		require.Empty(t, b.org.Problems())
	})

	t.Run("AProcessThatDiedLeavesAJobThatTheNextOneWaitsFor", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		held := make(chan struct{})
		letGo := sync.OnceFunc(func() { close(held) })
		t.Cleanup(letGo)
		b.org.JobRun = func(orgtest.Job) orgtest.JobPlan {
			<-held
			return orgtest.JobPlan{Deaf: true}
		}
		var aborts atomic.Int64
		b.org.JobFault = func(s orgtest.JobStep, _ string) *orgtest.Fault {
			if s == orgtest.JobAbort {
				aborts.Add(1)
			}
			return nil
		}
		b.leaveJob("External_Id__c,Rev__c\nk,1\n")
		b.restart()
		b.accept(b.upsert(write{key: "k", revision: 1}), b.upsert(write{key: "k", revision: 2}))
		b.settled(1) // the overtaken one
		require.Eventually(t, func() bool { return aborts.Load() > 0 }, patience, time.Millisecond)
		require.Len(t, b.org.Requests(), 1, "only the job")
		letGo()
		b.settled(2)
		require.Equal(t, []float64{1, 2}, b.org.Records("Engagement__c")[0].History)
		_, under := b.table.Get("!job/acme/main")
		require.False(t, under)
		require.Empty(t, b.org.Problems())
	})

	t.Run("AnAbortThatGotLostIsRepeated", func(t *testing.T) {
		t.Parallel()
		lost := func(b *testBundle, also orgtest.JobStep) {
			var aborts atomic.Int64
			b.org.JobFault = func(s orgtest.JobStep, _ string) *orgtest.Fault {
				switch {
				case s == also:
					return &orgtest.Fault{Status: http.StatusBadRequest, Body: apiError("INVALID_INPUT", "no")}
				case s == orgtest.JobAbort && aborts.Add(1) == 1:
					return &orgtest.Fault{}
				}
				return nil
			}
		}
		t.Run("OfAJobThatAProcessLeftOpen", func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.leave(b.org.OpenJob(aJob, "External_Id__c,Rev__c\nk,1\n"))
			lost(b, "")
			b.restart()
			b.accept(b.upsert(write{key: "k", revision: 2}))
			b.settled(1)
			require.Equal(t, map[string]string{"k/2": "WRITTEN"}, b.outcomes())
			require.Equal(t, "Aborted", b.org.Jobs()[0].State)
		})
		t.Run("OfAJobThatCannotBeClosed", func(t *testing.T) {
			t.Parallel()
			b := setupJobs(t)
			lost(b.testBundle, orgtest.JobClose)
			b.backlog(jobRows)
			require.Eventually(t, func() bool { return len(b.all()) == jobRows }, patience, time.Millisecond, "they go on")
			b.release()
			b.settled(jobRows + 1)
			require.Equal(t, map[string]int{"collections": jobRows + 1}, b.apis())
			require.Equal(t, "Aborted", b.org.Jobs()[0].State)
		})
	})

	t.Run("AJobThatCannotBeLookedAtIsSaid", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.leaveJob("External_Id__c,Rev__c\nk,1\n")
		b.org.JobFault = func(orgtest.JobStep, string) *orgtest.Fault {
			return &orgtest.Fault{Status: http.StatusForbidden, Body: apiError("INSUFFICIENT_ACCESS", "no")}
		}
		b.restart()
		b.accept(b.upsert(write{key: "k", revision: 2}))
		b.settled(1)
		require.Equal(t, map[string]string{"k/2": "PARKED SF_NO_PERMISSION"}, b.outcomes())
		require.Contains(t, b.all()[0].GetDetail(), "cannot be looked at")
	})

	t.Run("AnOrgWithoutTheBulkAPIIsWrittenToAllTheSame", func(t *testing.T) {
		t.Parallel()
		for code, status := range map[string]int{"FEATURENOTENABLED": 400, "EXCEEDEDQUOTA": 400, "API_DISABLED": 403} {
			b := setupJobs(t)
			var creates atomic.Int64
			b.org.JobFault = func(orgtest.JobStep, string) *orgtest.Fault {
				creates.Add(1)
				return &orgtest.Fault{Status: status, Body: apiError(code, "no bulk")}
			}
			b.backlog(jobRows)
			b.warned.await(t, noJobs)
			b.release()
			b.settled(jobRows + 1)
			b.backlog(jobRows, func(w *write) { w.revision = 2 })
			b.settled(2*jobRows + 1)
			require.EqualValues(t, 1, creates.Load(), code)
			require.EqualValues(t, 2*jobRows+1, b.tally.Counts().Written, code)
			require.Equal(t, map[string]int{"collections": 2*jobRows + 1}, b.apis(), code)
		}
	})

	t.Run("AStopAbortsTheJobAndLosesNothing", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t, func(c *delivery.Config) { c.RetryMin, c.RetryMax = time.Hour, time.Hour })
		started, stopping := make(chan struct{}), make(chan struct{})
		b.org.JobRun = func(orgtest.Job) orgtest.JobPlan {
			close(started)
			<-stopping
			return orgtest.JobPlan{}
		}
		b.backlog(jobRows)
		<-started
		b.release()
		b.settled(1)
		port := b.port
		ended := make(chan error, 1)
		go func() { ended <- b.handler.Drain(context.WithoutCancel(t.Context())) }()
		require.Eventually(t, b.org.Aborting, patience, time.Millisecond)
		close(stopping)
		require.NoError(t, <-ended)
		require.Equal(t, "Aborted", b.org.Jobs()[0].State)
		require.Len(t, port.Settled(), 1, "the job's rows are not done and come again")
		b.org.JobRun = nil
		b.restart()
		b.backlog(jobRows)
		b.settled(jobRows)
		require.Len(t, b.org.Records("Engagement__c"), jobRows)
		require.Empty(t, b.org.Problems())
	})
}

// leaveJob puts a bulk job under way as a process that died would have left it.
func (b *testBundle) leaveJob(rows string) {
	b.t.Helper()
	b.leave(b.org.StartJob(aJob, rows))
}

var aJob = orgtest.Job{Object: "Engagement__c", Operation: "upsert", KeyField: "External_Id__c"}

// leave notes jobs as a process that died would have noted them.
func (b *testBundle) leave(ids ...string) {
	b.t.Helper()
	entry, err := ledger.JobsUnderWay("acme", "main", ids, time.Now())
	require.NoError(b.t, err)
	require.NoError(b.t, b.port.Save(b.t.Context(), entry))
}

// bringBack accepts again what was parked after the first known, as the parking does again and again while the org is
// open, and returns how many are known now.
func (b *testBundle) bringBack(known int) int {
	b.t.Helper()
	parked := b.parked()
	for _, m := range parked[known:] {
		require.NoError(b.t, b.handler.Accept(b.t.Context(), stage.Record{
			Topic: m.Topic, Offset: b.offset, Time: time.Now(), Value: m.Value, Key: m.Key,
		}))
		b.offset++
	}
	return len(parked)
}
