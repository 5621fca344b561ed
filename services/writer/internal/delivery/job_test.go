package delivery_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/delivery"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// jobRows is the smallest backlog that makes a job in these tests.
const jobRows = 201

// noJobs is what is logged when none begin.
const noJobs = "no bulk jobs for a while; writes go in collections"

// jobBundle is a bundle whose collections wait until release is called, so that a backlog builds up for a job.
type jobBundle struct {
	*testBundle
	release func()
}

func setupJobs(t *testing.T, change ...func(*delivery.Config)) *jobBundle {
	t.Helper()
	b := &jobBundle{testBundle: setup(t, append([]func(*delivery.Config){func(c *delivery.Config) {
		c.Parallelism, c.BulkFrom, c.BulkAfter, c.BulkPause = 1, jobRows-1, 0, time.Hour
		c.BulkPollMin, c.BulkPollMax = time.Millisecond, 5*time.Millisecond
	}}, change...)...)}
	released := make(chan struct{})
	b.release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(b.release)
	b.org.Fault = func(r orgtest.Request) *orgtest.Fault {
		if r.Object == "Plug__c" {
			<-released
		}
		return nil
	}
	b.accept(b.upsert(write{key: "plug", change: func(w *streamv1.Write) { w.Object = "Plug__c" }}))
	require.Eventually(t, func() bool { return len(b.org.Requests()) == 1 }, patience, time.Millisecond)
	return b
}

// backlog accepts rows k0, k1 … of one revision.
func (b *jobBundle) backlog(n int, change ...func(*write)) {
	b.t.Helper()
	for i := range n {
		w := write{key: fmt.Sprint("k", i)}
		for _, f := range change {
			f(&w)
		}
		b.accept(b.upsert(w))
	}
}

// written checks that the last word about all rows is that they are written, each in ascending revisions.
func (b *jobBundle) written(rows int) {
	b.t.Helper()
	outcomes := b.outcomes()
	require.Len(b.t, outcomes, rows+1)
	for key, outcome := range outcomes {
		require.Equal(b.t, "WRITTEN", outcome, key)
	}
	records := b.org.Records("Engagement__c")
	require.Len(b.t, records, rows)
	for _, r := range records {
		require.IsNonDecreasing(b.t, r.History)
	}
	require.Empty(b.t, b.org.Problems())
}

func (b *jobBundle) apis() map[string]int {
	apis := map[string]int{}
	for _, o := range b.all() {
		if o.GetStatus() == streamv1.Status_STATUS_WRITTEN {
			apis[o.GetRequest().GetApi()]++
		}
	}
	return apis
}

func TestJob(t *testing.T) {
	t.Parallel()

	t.Run("ABacklogGoesThroughJobs", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t, func(c *delivery.Config) { c.BulkFrom = 2000 })
		for i := range 5000 {
			b.accept(b.upsert(write{key: fmt.Sprint("k", i), parent: fmt.Sprint("account", i%97)}))
		}
		b.settled(2001)
		b.release()
		b.settled(5001)
		b.written(5000)
		jobs := b.org.Jobs()
		rows := 0
		for _, j := range jobs {
			require.Equal(t, "JobComplete", j.State)
			require.Greater(t, len(j.Rows), 2000)
			for i := 1; i < len(j.Rows); i++ {
				require.GreaterOrEqual(t, j.Rows[i]["Parent__c"], j.Rows[i-1]["Parent__c"], "not sorted by parent")
			}
			rows += len(j.Rows)
		}
		require.Equal(t, rows, b.apis()["bulk"])
		require.EqualValues(t, len(jobs), b.tally.Counts().Jobs)
		for _, r := range b.org.Records("Engagement__c") {
			require.Len(t, r.History, 1, "written twice")
		}
		for _, o := range b.all() {
			if o.GetRequest().GetApi() == "bulk" {
				require.NotEmpty(t, o.GetRecordId())
				require.True(t, o.GetCreated())
				require.Greater(t, o.GetRequest().GetBatchSize(), int32(2000))
			}
		}
	})

	t.Run("AsMuchAsCollectionsMayCarryMakesNoJob", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t)
		b.backlog(jobRows - 1)
		b.release()
		b.settled(jobRows)
		b.written(jobRows - 1)
		require.Empty(t, b.org.Jobs())
	})

	t.Run("TurnedOffItMakesNoJob", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t, func(c *delivery.Config) { c.BulkFrom = 0 })
		b.backlog(600)
		b.release()
		b.settled(601)
		b.written(600)
		require.Empty(t, b.org.Jobs())
	})

	t.Run("InsertsAndWhatAPersonWaitsForMakeNoJob", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t)
		for i := range jobRows {
			b.accept(b.insert(write{key: fmt.Sprint("t", i), who: "who"}), b.upsert(write{
				key: fmt.Sprint("i", i), change: func(w *streamv1.Write) { w.Priority = streamv1.Priority_PRIORITY_INTERACTIVE },
			}), b.upsert(write{
				key: fmt.Sprint("d", i), change: func(w *streamv1.Write) { w.Duplicates = streamv1.Duplicates_DUPLICATES_SAVE },
			}))
		}
		b.release()
		b.settled(3*jobRows + 1)
		require.Empty(t, b.org.Jobs())
		require.EqualValues(t, 3*jobRows+1, b.tally.Counts().Written)
	})

	t.Run("EveryRowHasTheEndThatSalesforceGaveIt", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t)
		var locks atomic.Int64
		b.org.Refuse = func(r map[string]any) (string, string) {
			switch key := r["External_Id__c"]; {
			case key == "k3":
				return "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Call taro@example.com first"
			case key == "k4" && locks.Add(1) == 1:
				return "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records: 001SM000000kLmN"
			}
			return "", ""
		}
		b.org.JobRun = func(orgtest.Job) orgtest.JobPlan {
			return orgtest.JobPlan{Fail: 151, Message: "TooManyLockFailure : too many", Forget: []string{"k7"}}
		}
		b.backlog(jobRows)
		b.settled(148) // but for a locked row and one that is not told of
		told := map[string]int{}
		for _, o := range b.all() {
			if o.GetStatus() == streamv1.Status_STATUS_RETRYING {
				told[o.GetReason().String()+" "+o.GetSalesforceCode()+" "+o.GetDetail()]++
			}
		}
		require.Equal(t, map[string]int{
			"REASON_SF_LOCKED UNPROCESSED the bulk job ended before it came to this row":                                         51,
			"REASON_SF_UNAVAILABLE UNPROCESSED the results of the bulk job do not tell of this row":                              1,
			"REASON_SF_LOCKED UNABLE_TO_LOCK_ROW unable to obtain exclusive access to this record or 1 records: 001SM000000kLmN": 1,
		}, told)
		b.release()
		b.settled(jobRows + 1)
		outcomes := b.outcomes()
		require.Equal(t, "FAILED SF_VALIDATION", outcomes["k3/1"])
		delete(outcomes, "k3/1")
		for key, outcome := range outcomes {
			require.Equal(t, "WRITTEN", outcome, key)
		}
		dead := b.port.DeadLetters()
		require.Len(t, dead, 1)
		require.Contains(t, dead[0].Detail, "Call [address] first")
		require.Len(t, b.org.Jobs(), 1)
		require.Equal(t, map[string]int{"bulk": 147, "collections": 54}, b.apis())
		require.Empty(t, b.org.Problems())
	})

	t.Run("ANewerRevisionWaitsForTheJobThatCarriesAnOlderOne", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t)
		held := make(chan struct{})
		b.org.JobRun = func(orgtest.Job) orgtest.JobPlan {
			<-held
			return orgtest.JobPlan{}
		}
		letGo := sync.OnceFunc(func() { close(held) })
		t.Cleanup(letGo)
		b.backlog(jobRows, func(w *write) { w.parent = "account " + w.key })
		require.Eventually(t, func() bool { return len(b.org.Jobs()) == 1 }, patience, time.Millisecond)
		b.accept(b.upsert(write{key: "k7", revision: 2}), b.upsert(write{key: "cousin", parent: "account k8"}), b.upsert(write{key: "else"}))
		b.release()
		b.settled(2)
		outcomes := b.outcomes()
		require.Equal(t, map[string]string{"plug/1": "WRITTEN", "else/1": "WRITTEN"}, outcomes, "neither record nor parent is free")
		letGo()
		b.settled(jobRows + 4)
		require.Equal(t, "WRITTEN", b.outcomes()["k7/2"])
		require.EqualValues(t, jobRows+4, b.tally.Counts().Written)
		require.Empty(t, b.org.Problems())
		for _, r := range b.org.Records("Engagement__c") {
			if r.Key == "k7" {
				require.Equal(t, []float64{1, 2}, r.History)
			}
		}
	})

	t.Run("NullClearsAndWhatIsNotSaidStays", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t)
		b.release()
		last := fmt.Sprint("k", jobRows-1) // comes last, so that a job that has begun by then is large enough without it
		full := map[string]any{"Title__c": "one, \"two\"\nthree", "Note__c": "kept"}
		b.accept(b.upsert(write{key: "k1", fields: full}), b.upsert(write{key: last, fields: full}))
		b.settled(3)
		b.drain()
		again := make(chan struct{})
		b.org.Committed = func(r orgtest.Request) {
			if r.Object == "Plug__c" {
				<-again
			}
		}
		b.accept(b.upsert(write{key: "plug", revision: 2, change: func(w *streamv1.Write) { w.Object = "Plug__c" }}))
		plugs := func() int { return len(b.org.Records("Plug__c")[0].History) }
		require.Eventually(t, func() bool { return plugs() == 2 }, patience, time.Millisecond)
		b.accept(b.upsert(write{key: "one more"}))
		b.backlog(jobRows, func(w *write) {
			w.revision = 2
			switch w.key {
			case "k1":
				w.fields = map[string]any{"Title__c": nil}
			case last:
				w.fields = map[string]any{"Title__c": "#N/A"} // a text, not null: it cannot go in a job
			default:
				w.fields = map[string]any{"Note__c": "あ,\"b\"\nc"}
			}
		})
		b.settled(jobRows) // all in the job: with the one more, without the last
		close(again)
		b.settled(jobRows + 2)
		require.Len(t, b.org.Jobs(), 1)
		require.Len(t, b.org.Jobs()[0].Rows, jobRows)
		fields := map[string]map[string]any{}
		for _, r := range b.org.Records("Engagement__c") {
			fields[r.Key] = r.Fields
		}
		require.Nil(t, fields["k1"]["Title__c"])
		require.Contains(t, fields["k1"], "Title__c")
		require.Equal(t, "kept", fields["k1"]["Note__c"])
		require.Equal(t, "#N/A", fields[last]["Title__c"])
		require.Equal(t, "kept", fields[last]["Note__c"])
		require.Equal(t, "あ,\"b\"\nc", fields["k5"]["Note__c"])
		require.NotContains(t, fields["k5"], "Title__c")
	})

	t.Run("BatchesAreLeftToOthers", func(t *testing.T) {
		t.Parallel()
		b := setupJobs(t)
		b.org.SetBatches(1500)
		b.backlog(jobRows)
		b.warned.await(t, noJobs)
		b.release()
		b.settled(jobRows + 1)
		b.written(jobRows)
		require.Empty(t, b.org.Jobs())
		require.Equal(t, map[string]int{"collections": jobRows + 1}, b.apis())
	})
}
