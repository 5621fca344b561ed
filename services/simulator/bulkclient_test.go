package simulator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/simulator"
)

// TestOurClientsBulkJobs runs this project's client against the simulator, which shares no code with it.
func TestOurClientsBulkJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	client := salesforce.NewClient(salesforce.DefaultConfig(), salesforce.StaticToken{
		AccessToken: secret.New(b.token), InstanceURL: b.base,
	}, salesforce.Deps{})
	upsert := salesforce.BulkRequest{Operation: salesforce.Upsert, Object: "Engagement__c", ExternalIDField: "External_Id__c"}

	run := func(records ...salesforce.CollectionRecord) (salesforce.BulkJob, salesforce.BulkResults) {
		t.Helper()
		data, err := salesforce.EncodeBulk(upsert, records)
		require.NoError(t, err)
		job, err := client.CreateBulkJob(ctx, upsert)
		require.NoError(t, err)
		require.Equal(t, salesforce.BulkOpen, job.State)
		require.NoError(t, client.UploadBulkJob(ctx, job.ID, data))
		_, err = client.CloseBulkJob(ctx, job.ID)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			job, err = client.BulkJob(ctx, job.ID)
			return err == nil && job.State.Ended()
		}, time.Minute, 5*time.Millisecond)
		results, err := client.BulkResults(ctx, job.ID, upsert.BulkKeyColumn(), 0)
		require.NoError(t, err)
		return job, results
	}
	row := func(key string, fields ...salesforce.Field) salesforce.CollectionRecord {
		return salesforce.CollectionRecord{ExternalID: key, Fields: fields}
	}

	var records []salesforce.CollectionRecord
	for i := range 450 {
		records = append(records, row(fmt.Sprint("k", i), salesforce.Field{Name: "Title__c", Value: "資料, \"A\"\nB"}, salesforce.Field{Name: "View_Count__c", Value: float64(i)}))
	}
	records = append(records, row("bad", salesforce.Field{Name: "View_Count__c", Value: "many"}))
	job, results := run(records...)
	require.Equal(t, salesforce.BulkJobComplete, job.State)
	require.Equal(t, 451, job.Processed)
	require.Equal(t, 1, job.Failed)
	require.Len(t, results.Successful, 450)
	require.True(t, results.Successful[0].Created)
	require.Len(t, results.Failed, 1)
	require.Equal(t, "bad", results.Failed[0].Key)
	require.Equal(t, salesforce.ClassData, results.Failed[0].Err.Class)
	require.Empty(t, results.Unprocessed)

	// Null clears, what is not there is left alone.
	_, results = run(row("k1", salesforce.Field{Name: "Title__c", Value: nil}), row("k2", salesforce.Field{Name: "View_Count__c", Value: 7.0}))
	require.Len(t, results.Successful, 2)
	require.False(t, results.Successful[0].Created)
	after, err := client.Query(ctx, "SELECT External_Id__c, Title__c, View_Count__c FROM Engagement__c WHERE External_Id__c IN ('k1','k2') ORDER BY External_Id__c")
	require.NoError(t, err)
	require.Empty(t, after[0].String("Title__c"))
	require.InDelta(t, 1, after[0].Float("View_Count__c"), 0)
	require.Equal(t, "資料, \"A\"\nB", after[1].String("Title__c"))
	require.InDelta(t, 7, after[1].Float("View_Count__c"), 0)

	// A job that fails in the middle: what is done stays done, and the rest says so.
	_, err = b.sim.AddFaults(simulator.Fault{Action: "fail_job", Nth: []int{2}, Code: "TooManyLockFailure", Message: "too many"})
	require.NoError(t, err)
	job, results = run(records[:450]...)
	require.Equal(t, salesforce.BulkFailed, job.State)
	require.Equal(t, salesforce.ClassLock, job.Err().Class)
	require.Len(t, results.Successful, 200)
	require.Len(t, results.Unprocessed, 250)
	require.NoError(t, client.DeleteBulkJob(ctx, job.ID))
	_, err = client.BulkJob(ctx, job.ID)
	require.Error(t, err)
}
