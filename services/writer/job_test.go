package writer_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/writer/internal/orgtest"
)

// TestJobsAgainstTheSimulator sends a backlog of upserts and updates through bulk jobs of the simulated org.
func TestJobsAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]simulator.Fault{
		"NoFaults":             nil,
		"AJobFailsInTheMiddle": {{Action: "fail_job", Nth: []int{2}, Code: "TooManyLockFailure", Message: "too many"}},
		"RowsRefused":          {{Route: "bulk.*", Action: "lock_row", Every: 7, Times: 40}},
		"AnswersLost":          {{Route: "bulk.*", Action: "drop_after", Nth: []int{1, 4, 6, 8}}},
		"ConnectionsLost":      {{Route: "bulk.*", Action: "drop_before", Nth: []int{2, 6, 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupSimulator(t)
			lanes := &b.cfg.Lanes
			lanes.Parallelism, lanes.BatchRecords, lanes.BulkFrom, lanes.BulkAfter = 1, 50, 200, 0
			lanes.BulkPollMin, lanes.BulkPollMax = time.Millisecond, 10*time.Millisecond
			b.holdCollections()
			_, err := b.sim.AddFaults(faults...)
			require.NoError(t, err)
			s, stop := b.start()
			defer stop()
			const rows = 800
			for i := range rows {
				b.send(b.row(fmt.Sprint("row", i%700), int64(i+1)))
			}
			b.ended(rows)
			ids, err := b.org.Query(t.Context(), "SELECT Id, View_Count__c FROM Engagement__c")
			require.NoError(t, err)
			require.Len(t, ids, 700, "lost or doubled")
			for i, r := range ids {
				w := b.row(fmt.Sprint("change", i), 1000)
				w.Operation, w.ExternalIdField, w.ExternalId, w.RecordId = streamv1.Operation_OPERATION_UPDATE, "", "", r.String("Id")
				b.send(w)
			}
			b.ended(rows + 700)
			b.allHit()
			changed, err := b.org.Query(t.Context(), "SELECT Id FROM Engagement__c WHERE View_Count__c = 1000")
			require.NoError(t, err)
			require.Len(t, changed, 700)
			require.Empty(t, s.Stats().Failed)
			apis := map[string]int{}
			for _, r := range b.broker.Records(topic.Outcomes) {
				o := new(streamv1.Outcome)
				require.NoError(t, proto.Unmarshal(r.Value, o))
				if o.GetStatus() == streamv1.Status_STATUS_WRITTEN {
					apis[o.GetObject()+" "+o.GetRequest().GetApi()]++
				}
			}
			require.Positive(t, apis["Engagement__c bulk"])
			b.eventually(func() bool { return b.broker.Committed("tl-writer") == int64(len(b.broker.Records(topic.Writes))) }, "settled")
		})
	}
}

// TestJobCrash kills the writer with SIGKILL at every step of a bulk job. The org goes on with a job whose process is gone;
// what comes again, in newer revisions too, must not meet it.
func TestJobCrash(t *testing.T) {
	t.Parallel()
	for _, step := range []orgtest.JobStep{orgtest.JobCreate, orgtest.JobUpload, orgtest.JobClose, orgtest.JobPoll, orgtest.JobResults} {
		t.Run("KilledAt"+strings.ToUpper(string(step[:1]))+string(step[1:]), func(t *testing.T) {
			t.Parallel()
			t.Attr("requirement", "XC-4")
			b := setupCrash(t)
			b.spec.Jobs = true
			var kills atomic.Int64
			held, looked := make(chan struct{}), make(chan struct{})
			seen := sync.OnceFunc(func() { close(looked) })
			b.org.JobFault = func(s orgtest.JobStep, _ string) *orgtest.Fault {
				if s == orgtest.JobAbort {
					seen()
				}
				if s == step && b.killer.pass() {
					kills.Add(1)
					return &orgtest.Fault{AfterCommit: true} // done, and nobody left to hear of it
				}
				return nil
			}
			var first sync.Once
			letGo := sync.OnceFunc(func() { close(held) })
			t.Cleanup(letGo)
			running := step == orgtest.JobClose || step == orgtest.JobPoll
			b.org.JobRun = func(orgtest.Job) (plan orgtest.JobPlan) {
				first.Do(func() {
					if running {
						<-held
						plan.Deaf = true
					}
				})
				return plan
			}
			b.publishRows(3, 300)
			cmd, killed := b.killer.arm(b.run, 1)
			<-killed
			_ = cmd.Wait()
			cmd = b.run()
			if running {
				<-looked
				for _, r := range b.org.Requests() { // what the dead process sent may still come in
					require.NotEqual(t, b.spec.Token, r.Token, "nothing is sent beside a job that may still write")
				}
				letGo()
			}
			require.Eventually(t, b.settled, patience, 20*time.Millisecond)
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()

			require.EqualValues(t, 1, kills.Load())
			rows := b.org.Records("Engagement__c")
			require.Len(t, rows, 300)
			for _, r := range rows {
				require.IsNonDecreasing(t, r.History, "an older revision came last")
				require.Greater(t, r.History[len(r.History)-1], float64(600))
			}
			b.checkOutcomes(900)
			require.NotEmpty(t, b.org.Jobs())
			require.Empty(t, b.org.Problems())
		})
	}
}
