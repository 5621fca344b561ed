package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// several is a bundle in which up to four jobs may be under way, and none begins before ask is called. They run until letGo is.
type several struct {
	*jobBundle
	ask, letGo func()
	// carried is how many rows the jobs under way have, and most the most they had.
	carried, most atomic.Int64
}

func setupSeveral(t *testing.T, change ...func(*delivery.Config)) *several {
	t.Helper()
	b := &several{jobBundle: setupJobs(t, append([]func(*delivery.Config){func(c *delivery.Config) {
		c.Parallelism, c.BulkHold = 4, time.Hour
	}}, change...)...)}
	asked, held := make(chan struct{}), make(chan struct{})
	b.ask, b.letGo = sync.OnceFunc(func() { close(asked) }), sync.OnceFunc(func() { close(held) })
	t.Cleanup(b.ask)
	t.Cleanup(b.letGo)
	b.org.Limits = func() { <-asked }
	b.org.JobRun = func(j orgtest.Job) orgtest.JobPlan {
		now := b.carried.Add(int64(len(j.Rows)))
		for most := b.most.Load(); now > most && !b.most.CompareAndSwap(most, now); most = b.most.Load() {
		}
		<-held
		b.carried.Add(-int64(len(j.Rows)))
		return orgtest.JobPlan{Deaf: true}
	}
	// A lane begins with two requests at a time. Both are held.
	b.accept(b.upsert(write{key: "plug 2", change: func(w *streamv1.Write) { w.Object = "Plug__c" }}))
	require.Eventually(t, func() bool { return len(b.org.Requests()) == 2 }, patience, time.Millisecond)
	return b
}

// underWay waits until so many jobs are.
func (b *several) underWay(n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return len(b.org.Requests()) == 2+n }, patience, time.Millisecond)
}

// noted are the jobs that the ledger knows.
func (b *several) noted() []string {
	ids, err := ledger.Jobs(b.table, "acme", "main")
	require.NoError(b.t, err)
	return ids
}

// ordered checks that no record went back, and that none was in two requests at a time.
func (b *several) ordered() {
	b.t.Helper()
	for _, r := range b.org.Records("Engagement__c") {
		require.IsNonDecreasing(b.t, r.History, r.Key)
	}
	require.Empty(b.t, b.org.Problems())
}

func TestSeveralJobs(t *testing.T) {
	t.Parallel()
	const rows = 4 * jobRows

	t.Run("ABacklogIsWorkedOnByAsManyAsRequestsMayBeInFlight", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-11")
		b := setupSeveral(t)
		b.backlog(rows, func(w *write) {
			n, err := strconv.Atoi(w.key[1:])
			require.NoError(t, err)
			w.parent = fmt.Sprint("account ", n%(rows/3))
		})
		b.ask()
		b.underWay(4)
		require.Len(t, b.noted(), 4, "whoever comes after a death must find all of them")
		in := map[any]string{}
		for _, j := range b.org.Jobs() {
			require.Len(t, j.Rows, jobRows)
			for _, r := range j.Rows {
				if other, known := in[r["Parent__c"]]; known {
					require.Equal(t, other, j.ID, "a lock parent in two jobs")
				}
				in[r["Parent__c"]] = j.ID
			}
		}
		b.accept(b.upsert(write{key: "k7", revision: 2}))
		b.letGo()
		b.settled(rows)
		b.release()
		b.settled(rows + 3)
		require.Equal(t, "WRITTEN", b.outcomes()["k7/2"])
		require.Equal(t, rows, b.apis()["bulk"])
		require.EqualValues(t, 4, b.tally.Counts().Jobs)
		require.Empty(t, b.noted())
		b.ordered()
	})

	t.Run("TogetherTheyCarryNoMoreThanTheyMay", func(t *testing.T) {
		t.Parallel()
		b := setupSeveral(t, func(c *delivery.Config) { c.BulkRecords = 2*jobRows + 20 })
		b.backlog(rows)
		b.ask()
		b.underWay(2)
		b.letGo()
		b.release()
		b.settled(rows + 2)
		require.LessOrEqual(t, b.most.Load(), int64(2*jobRows+20))
		b.ordered()
	})

	t.Run("WhenBatchesRunOutThereAreFewerAndLargerOnes", func(t *testing.T) {
		t.Parallel()
		b := setupSeveral(t)
		b.org.SetBatches(1600) // of which 1,500 are for others
		b.backlog(rows)
		b.ask()
		b.underWay(1)
		b.letGo()
		b.settled(rows)
		require.Len(t, b.org.Jobs(), 1)
		require.Len(t, b.org.Jobs()[0].Rows, rows)
	})

	t.Run("WhoMayNotSeeTheLimitsHasThemAllTheSame", func(t *testing.T) {
		t.Parallel()
		b := setupSeveral(t)
		b.org.SetLimitsStatus(http.StatusForbidden)
		b.backlog(rows)
		b.ask()
		b.underWay(4)
		b.letGo()
		b.settled(rows)
		b.ordered()
	})

	t.Run("OneThatIsLostHoldsTheLaneAndTheOthersComeToTheirEnd", func(t *testing.T) {
		t.Parallel()
		b := setupSeveral(t, func(c *delivery.Config) { c.Attempts, c.HoldFor = 3, 10*time.Minute })
		var silent, healed atomic.Value
		silent.Store("")
		b.org.JobFault = func(s orgtest.JobStep, id string) *orgtest.Fault {
			if s == orgtest.JobPoll && healed.Load() == nil && (silent.CompareAndSwap("", id) || silent.Load() == id) {
				return &orgtest.Fault{Status: http.StatusBadRequest, Body: apiError("INVALID_INPUT", "no")}
			}
			return nil
		}
		ran := b.org.JobRun
		lostRuns := make(chan struct{})
		letLost := sync.OnceFunc(func() { close(lostRuns) })
		t.Cleanup(letLost)
		b.org.JobRun = func(j orgtest.Job) orgtest.JobPlan {
			plan := ran(j)
			if silent.Load() == j.ID {
				<-lostRuns
			}
			return plan
		}
		b.backlog(rows)
		b.ask()
		b.underWay(4)
		told := func() bool { return len(b.all()) >= jobRows } // that the rows of the lost one are to come again
		require.Eventually(t, told, patience, time.Millisecond)
		b.letGo()
		require.Eventually(t, func() bool { return b.apis()["bulk"] == 3*jobRows }, patience, time.Millisecond)
		require.Equal(t, []any{silent.Load()}, []any{b.noted()[0]})
		b.release()
		require.Eventually(t, func() bool { return b.apis()["collections"] == 2 }, patience, time.Millisecond)
		require.Len(t, b.org.Requests(), 6, "nothing but the plugs and the jobs")
		healed.Store(true)
		letLost()
		require.Eventually(t, func() bool { return len(b.noted()) == 0 }, patience, time.Millisecond)
		brought := 0
		require.Eventually(t, func() bool {
			brought = b.bringBack(brought)
			written := 0
			for _, outcome := range b.outcomes() {
				if outcome == "WRITTEN" {
					written++
				}
			}
			return written == rows+2
		}, patience, time.Millisecond)
		b.ordered()
	})

	t.Run("ADeathLeavesSeveralAndAllOfThemEndBeforeAnythingIsSent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		held := make(chan struct{})
		letGo := sync.OnceFunc(func() { close(held) })
		t.Cleanup(letGo)
		b.org.JobRun = func(j orgtest.Job) orgtest.JobPlan {
			if j.Rows[0]["External_Id__c"] == "slow" {
				<-held
			}
			return orgtest.JobPlan{Deaf: true}
		}
		var aborts sync.Map
		b.org.JobFault = func(s orgtest.JobStep, id string) *orgtest.Fault {
			if s == orgtest.JobAbort {
				aborts.Store(id, true)
			}
			return nil
		}
		open := b.org.OpenJob(aJob, "External_Id__c,Rev__c\nopen,1\n")
		slow := b.org.StartJob(aJob, "External_Id__c,Rev__c\nslow,1\n")
		done := b.org.StartJob(aJob, "External_Id__c,Rev__c\ndone,1\n")
		require.Eventually(t, func() bool { return b.org.Jobs()[2].State == "JobComplete" }, patience, time.Millisecond)
		b.leave(open, slow, done)
		b.restart()
		for _, key := range []string{"open", "slow", "done"} {
			b.accept(b.upsert(write{key: key, revision: 2}))
		}
		left := func() []string {
			ids, err := ledger.Jobs(b.table, "acme", "main")
			require.NoError(t, err)
			return ids
		}
		require.Eventually(t, func() bool {
			_, aborted := aborts.Load(slow)
			ids := left()
			return aborted && len(ids) == 1 && ids[0] == slow
		}, patience, time.Millisecond)
		require.Len(t, b.org.Requests(), 2, "only the jobs")
		letGo()
		b.settled(3)
		require.Empty(t, left())
		require.Equal(t, "Aborted", b.org.Jobs()[0].State)
		for _, r := range b.org.Records("Engagement__c") {
			want := []float64{1, 2}
			if r.Key == "open" {
				want = []float64{2}
			}
			require.Equal(t, want, r.History, r.Key)
		}
		require.Empty(t, b.org.Problems())
	})

	t.Run("AStopAbortsAllOfThem", func(t *testing.T) {
		t.Parallel()
		b := setupSeveral(t)
		var aborting sync.Map
		b.org.JobFault = func(s orgtest.JobStep, id string) *orgtest.Fault {
			if s == orgtest.JobAbort {
				aborting.Store(id, true)
			}
			return nil
		}
		b.backlog(rows)
		b.ask()
		b.underWay(4)
		b.release()
		b.settled(2)
		ended := make(chan error, 1)
		go func() { ended <- b.handler.Drain(context.WithoutCancel(t.Context())) }()
		require.Eventually(t, func() bool {
			n := 0
			aborting.Range(func(any, any) bool { n++; return true })
			return n == 4
		}, patience, time.Millisecond)
		b.letGo()
		require.NoError(t, <-ended)
		require.Empty(t, b.noted())
		b.ordered()
		b.restart()
	})
}
