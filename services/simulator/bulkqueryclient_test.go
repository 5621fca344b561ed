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

// queryBundle is this project's client beside the simulator, which shares no code with it.
type queryBundle struct {
	*bundle
	client *salesforce.Client
}

func setupQueries(t *testing.T, change ...func(*salesforce.Config)) *queryBundle {
	t.Helper()
	b := &queryBundle{bundle: bulkSetup(t)}
	cfg := salesforce.DefaultConfig()
	cfg.BulkQuery.PollMin, cfg.BulkQuery.PollMax = time.Millisecond, 10*time.Millisecond
	for _, f := range change {
		f(&cfg)
	}
	// A connection per request: when one is lost that was used before, net/http asks again by itself, and whether it was is not certain.
	transport := salesforce.NewTransport()
	transport.DisableKeepAlives = true
	b.client = salesforce.NewClient(cfg, salesforce.StaticToken{AccessToken: secret.New(b.token), InstanceURL: b.base},
		salesforce.Deps{Transport: transport})
	return b
}

func (b *queryBundle) fault(f simulator.Fault) {
	b.t.Helper()
	_, err := b.sim.AddFaults(f)
	require.NoError(b.t, err)
}

// made makes a job and waits for its end.
func (b *queryBundle) made(req salesforce.BulkQueryRequest) salesforce.BulkJob {
	b.t.Helper()
	job, err := b.client.CreateBulkQuery(b.t.Context(), req)
	require.NoError(b.t, err)
	job, err = b.client.AwaitBulkQuery(b.t.Context(), job.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, salesforce.BulkJobComplete, job.State)
	return job
}

// keys reads a job's rows from a position on, to the end or an error.
func (b *queryBundle) keys(id string, from salesforce.BulkQueryPosition) (keys []string, at salesforce.BulkQueryPosition, err error) {
	at = from
	for row, err := range b.client.BulkQueryRows(b.t.Context(), id, from) {
		at = row.Next
		if err != nil {
			return keys, at, err
		}
		keys = append(keys, row.String("External_Id__c"))
	}
	return keys, at, nil
}

const everyEngagement = "SELECT Id, External_Id__c, Title__c, View_Count__c, Owner.Username, CreatedDate FROM Engagement__c ORDER BY External_Id__c"

func TestOurClientsQueryJobs(t *testing.T) {
	t.Parallel()
	b := setupQueries(t, func(c *salesforce.Config) { c.BulkQuery.Page = 200 })
	require.Equal(t, "JobComplete", b.run(upsertJob, numbered(1_000)).State)
	require.Equal(t, "JobComplete", b.run(upsertJob, "External_Id__c,Title__c\nn00003,\"資料, \"\"A\"\"\nB\"\n").State)
	job := b.made(salesforce.BulkQueryRequest{SOQL: everyEngagement})
	require.Equal(t, 1_000, job.Processed)

	before := b.client.Calls()
	var all []string
	for row, err := range b.client.BulkQueryRows(t.Context(), job.ID, salesforce.BulkQueryPosition{}) {
		require.NoError(t, err)
		if len(all) == 3 {
			require.Equal(t, "資料, \"A\"\nB", row.String("Title__c"))
			require.InDelta(t, 3, row.Float("View_Count__c"), 0)
			require.Equal(t, "integration@acme.example", row.String("Owner.Username"))
			require.False(t, row.Time("CreatedDate").IsZero())
		}
		all = append(all, row.String("External_Id__c"))
	}
	require.Len(t, all, 1_000)
	require.Equal(t, "n00999", all[999])
	require.EqualValues(t, 5, b.client.Calls()-before, "a page costs a call")

	// A maintenance page in the middle of a download, then a lost connection: it goes on where it stopped.
	b.fault(simulator.Fault{Route: "bulk.results", Action: "maintenance", Nth: []int{3}})
	b.fault(simulator.Fault{Route: "bulk.results", Action: "drop_after", Nth: []int{4}})
	got, at, err := b.keys(job.ID, salesforce.BulkQueryPosition{})
	require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
	require.Len(t, got, 400)
	more, at, err := b.keys(job.ID, at)
	require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(err))
	require.Len(t, more, 200)
	got = append(got, more...)
	more, _, err = b.keys(job.ID, at)
	require.NoError(t, err)
	require.Equal(t, all, append(got, more...))

	require.NoError(t, b.client.DeleteBulkQuery(t.Context(), job.ID))
	require.NoError(t, b.client.DeleteBulkQuery(t.Context(), job.ID))
	_, _, err = b.keys(job.ID, at)
	require.True(t, salesforce.IsBulkQueryGone(err))
	_, err = b.client.AwaitBulkQuery(t.Context(), job.ID)
	require.True(t, salesforce.IsBulkQueryGone(err))
}

func TestOurClientsQueryJobsOverTheDeleted(t *testing.T) {
	t.Parallel()
	b := setupQueries(t)
	require.Equal(t, "JobComplete", b.run(upsertJob, numbered(3)).State)
	gone := b.id("Engagement__c", "External_Id__c = 'n00001'")
	require.NoError(t, b.client.Delete(t.Context(), "Engagement__c", gone))
	const soql = "SELECT External_Id__c, IsDeleted FROM Engagement__c ORDER BY External_Id__c"
	left, _, err := b.keys(b.made(salesforce.BulkQueryRequest{SOQL: soql}).ID, salesforce.BulkQueryPosition{})
	require.NoError(t, err)
	require.Equal(t, []string{"n00000", "n00002"}, left)
	var deleted []bool
	job := b.made(salesforce.BulkQueryRequest{SOQL: soql, All: true})
	for row, err := range b.client.BulkQueryRows(t.Context(), job.ID, salesforce.BulkQueryPosition{}) {
		require.NoError(t, err)
		deleted = append(deleted, row.Bool("IsDeleted"))
	}
	require.Equal(t, []bool{false, true, false}, deleted)

	none, _, err := b.keys(b.made(salesforce.BulkQueryRequest{SOQL: soql[:len(soql)-len("ORDER BY External_Id__c")] + "WHERE External_Id__c = 'x'"}).ID,
		salesforce.BulkQueryPosition{})
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestOurClientsQueryJobsThatFail(t *testing.T) {
	t.Parallel()
	b := setupQueries(t)
	wait := func(soql string) (salesforce.BulkJob, error) {
		t.Helper()
		job, err := b.client.CreateBulkQuery(t.Context(), salesforce.BulkQueryRequest{SOQL: soql})
		require.NoError(t, err)
		return b.client.AwaitBulkQuery(t.Context(), job.ID)
	}
	job, err := wait("SELECT Nothing__c FROM Lead WHERE LastName = 'Yamada'")
	require.Equal(t, salesforce.BulkFailed, job.State)
	var e *salesforce.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "config SF_FIELD_GONE", fmt.Sprint(e.Class, " ", e.Reason), e.Error())
	require.NotContains(t, e.Error(), "Yamada")
	_, _, err = b.keys(job.ID, salesforce.BulkQueryPosition{})
	require.ErrorAs(t, err, &e)
	require.Equal(t, "INVALIDJOBSTATE", e.Code)

	b.fault(simulator.Fault{Action: "fail_job", Code: "Timeout", Message: "too slow", Times: 1})
	_, err = wait("SELECT Id FROM Lead")
	require.ErrorAs(t, err, &e)
	require.Equal(t, salesforce.ClassTransient, e.Class)
	require.True(t, e.Split)

	// One that does not end is aborted; then there is nothing to read.
	b.fault(simulator.Fault{Action: "slow_job", Wait: time.Hour})
	job, err = b.client.CreateBulkQuery(t.Context(), salesforce.BulkQueryRequest{SOQL: "SELECT Id FROM Lead"})
	require.NoError(t, err)
	job, err = b.client.AbortBulkQuery(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, salesforce.BulkAborted, job.State)
	_, err = b.client.AwaitBulkQuery(t.Context(), job.ID)
	require.ErrorAs(t, err, &e)
	require.Equal(t, "Aborted", e.Code)
	_, err = b.client.AbortBulkQuery(t.Context(), job.ID)
	require.ErrorAs(t, err, &e)
	require.Equal(t, "INVALIDJOBSTATE", e.Code)
	require.NoError(t, b.client.DeleteBulkQuery(t.Context(), job.ID))
}
