package writer_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
)

// TestALeftJobIsAbortedAgainWhenTheFirstAttemptIsLost: a process died after it had made a job and before it uploaded rows.
// Nobody will ever end that job but the next process, whose first attempt the org never hears of.
func TestALeftJobIsAbortedAgainWhenTheFirstAttemptIsLost(t *testing.T) {
	t.Parallel()
	b := setupSimulator(t)
	job, err := b.org.CreateBulkJob(t.Context(), salesforce.BulkRequest{
		Operation: salesforce.Upsert, Object: "Engagement__c", ExternalIDField: "External_Id__c",
	})
	require.NoError(t, err)
	left, err := ledger.JobsUnderWay("acme", "main", []string{job.ID}, time.Now())
	require.NoError(t, err)
	b.broker.Append(topic.Ledger, 0, stage.Record{Key: []byte(left.Key), Value: left.Value})
	_, err = b.sim.AddFaults(simulator.Fault{Route: "bulk.job", Method: http.MethodPatch, Action: "drop_before", Nth: []int{1}})
	require.NoError(t, err)
	_, stop := b.start()
	defer stop()
	b.send(b.row("row", 1))
	b.ended(1)
	require.Equal(t, map[string]string{"row/1": "WRITTEN"}, b.final())
}
