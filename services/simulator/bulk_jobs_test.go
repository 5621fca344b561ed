package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// numbered is an upload of n engagements.
func numbered(n int) string {
	var sb strings.Builder
	sb.WriteString("External_Id__c,View_Count__c\n")
	for i := range n {
		fmt.Fprintf(&sb, "n%05d,%d\n", i, i)
	}
	return sb.String()
}

func TestBulkFaults(t *testing.T) {
	t.Parallel()

	t.Run("JobFailsInTheMiddle", func(t *testing.T) {
		t.Parallel()
		b := bulkSetup(t)
		status, body := b.control(http.MethodPost, "/faults", `[{route: bulk.job, object: Engagement__c, action: fail_job, nth: [3], code: TooManyLockFailure, message: "Too many lock failure"}, {action: slow_job, wait: 1ms}]`)
		require.Equal(t, http.StatusCreated, status, body)
		j := b.run(upsertJob, numbered(1_000))
		require.Equal(t, "Failed", j.State)
		require.Equal(t, "TooManyLockFailure : Too many lock failure", j.ErrorMessage)
		require.Equal(t, 400, j.NumberRecordsProcessed)
		done, rest := b.rows(j.ID, "successfulResults", ','), b.rows(j.ID, "unprocessedrecords", ',')
		require.Len(t, done, 400)
		require.Len(t, rest, 600)
		require.Len(t, b.query("SELECT Id FROM Engagement__c"), 400, "rows done stay done")
		inOrder := true
		for i, row := range done {
			inOrder = inOrder && row["External_Id__c"] == fmt.Sprintf("n%05d", i)
		}
		require.False(t, inOrder, "results are not in the order of the upload")
	})

	t.Run("Rows", func(t *testing.T) {
		t.Parallel()
		b := bulkSetup(t)
		_, err := b.sim.AddFaults(
			simulator.Fault{Route: "bulk.job", Action: "lock_row", Nth: []int{2}},
			simulator.Fault{Route: "bulk.job", Action: "row_error", Code: "STORAGE_LIMIT_EXCEEDED", Message: "storage limit exceeded", Nth: []int{3}},
		)
		require.NoError(t, err)
		j := b.run(upsertJob, numbered(5))
		require.Equal(t, 2, j.NumberRecordsFailed)
		var errs []string
		for _, row := range b.rows(j.ID, "failedResults", ',') {
			errs = append(errs, row["sf__Error"])
		}
		require.Contains(t, strings.Join(errs, "\n"), "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record")
		require.Contains(t, errs, "STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--")
	})

	t.Run("UploadTookEffectBehindALostConnection", func(t *testing.T) {
		t.Parallel()
		b := bulkSetup(t)
		_, err := b.sim.AddFaults(
			simulator.Fault{Route: "bulk.create", Action: "status", Status: 500, Times: 1},
			simulator.Fault{Route: "bulk.upload", Action: "drop_after", Times: 1},
			simulator.Fault{Route: "bulk.results", Action: "status", Status: 503, Times: 1},
		)
		require.NoError(t, err)
		status, _ := b.call(http.MethodPost, "/jobs/ingest", upsertJob)
		require.Equal(t, http.StatusInternalServerError, status)
		j := b.job(http.MethodPost, "/ingest", upsertJob)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.base+"/"+j.ContentURL, strings.NewReader(numbered(3)))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Content-Type", "text/csv")
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		require.Error(t, err)
		b.job(http.MethodPatch, "/ingest/"+j.ID, `{"state":"UploadComplete"}`)
		require.Equal(t, 3, b.ended("ingest", j.ID).NumberRecordsProcessed)
		status, _ = b.call(http.MethodGet, "/jobs/ingest/"+j.ID+"/failedResults", "")
		require.Equal(t, http.StatusServiceUnavailable, status)
	})
}

func TestBulkLists(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	var ids []string
	for range 1_001 {
		ids = append(ids, b.job(http.MethodPost, "/ingest", upsertJob).ID)
	}
	b.job(http.MethodPost, "/query", `{"operation":"query","query":"SELECT Id FROM Lead"}`)
	type list struct {
		Done           bool
		Records        []bulkJob
		NextRecordsURL *string
	}
	status, text := b.call(http.MethodGet, "/jobs/ingest", "")
	require.Equal(t, http.StatusOK, status)
	var first, second list
	require.NoError(t, json.Unmarshal([]byte(text), &first))
	require.False(t, first.Done)
	require.Len(t, first.Records, 1_000)
	res, text := b.api(http.MethodGet, *first.NextRecordsURL, "application/json", "")
	require.Equal(t, http.StatusOK, res.StatusCode, text)
	require.NoError(t, json.Unmarshal([]byte(text), &second))
	require.True(t, second.Done)
	require.Nil(t, second.NextRecordsURL)
	var listed []string
	for _, j := range append(first.Records, second.Records...) {
		listed = append(listed, j.ID)
	}
	require.Equal(t, ids, listed)
	status, _ = b.call(http.MethodGet, "/jobs/ingest?queryLocator=x", "")
	require.Equal(t, http.StatusBadRequest, status)
}

func TestBulkQuery(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := bulkSetup(t)
	require.Equal(t, "JobComplete", b.run(upsertJob, numbered(5)).State)
	j := b.job(http.MethodPost, "/query", `{"operation":"query","query":"SELECT External_Id__c, Owner.Username, View_Count__c, Title__c FROM Engagement__c ORDER BY External_Id__c"}`)
	require.Equal(t, "V2Query", j.JobType)
	require.Equal(t, 5, b.ended("query", j.ID).NumberRecordsProcessed)
	var all []map[string]string
	locator := ""
	for _, size := range []string{"2", "2", "1"} {
		path := "/services/data/v67.0/jobs/query/" + j.ID + "/results?maxRecords=2"
		if locator != "" {
			path += "&locator=" + locator
		}
		res, text := b.api(http.MethodGet, path, "application/json", "")
		require.Equal(t, http.StatusOK, res.StatusCode, text)
		require.Equal(t, size, res.Header.Get("Sforce-NumberOfRecords"))
		locator = res.Header.Get("Sforce-Locator")
		all = append(all, table(t, text, ',')...)
	}
	require.Equal(t, "null", locator)
	require.Len(t, all, 5)
	require.Equal(t, map[string]string{
		"External_Id__c": "n00004", "Owner.Username": "integration@acme.example", "View_Count__c": "4.0", "Title__c": "",
	}, all[4])

	bad := b.job(http.MethodPost, "/query", `{"operation":"query","query":"SELECT Nothing__c FROM Lead"}`)
	bad = b.ended("query", bad.ID)
	require.Equal(t, "Failed", bad.State)
	require.Contains(t, bad.ErrorMessage, "No such column 'Nothing__c'")
	grouped := b.job(http.MethodPost, "/query", `{"operation":"queryAll","query":"SELECT COUNT() FROM Lead"}`)
	require.Equal(t, "Failed", b.ended("query", grouped.ID).State)
	status, _ := b.call(http.MethodGet, "/jobs/query/"+j.ID+"/results?maxRecords=none", "")
	require.Equal(t, http.StatusBadRequest, status)
	status, _ = b.call(http.MethodDelete, "/jobs/query/"+j.ID, "")
	require.Equal(t, http.StatusNoContent, status)
	status, _ = b.call(http.MethodGet, "/jobs/query/"+j.ID+"/results", "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestBulkQueryIsAborted(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	_, err := b.sim.AddFaults(simulator.Fault{Action: "slow_job", Wait: time.Hour})
	require.NoError(t, err)
	j := b.job(http.MethodPost, "/query", `{"operation":"query","query":"SELECT Id FROM Lead"}`)
	require.Equal(t, "Aborted", b.job(http.MethodPatch, "/query/"+j.ID, `{"state":"Aborted"}`).State)
	status, _ := b.call(http.MethodGet, "/jobs/query/"+j.ID+"/results", "")
	require.Equal(t, http.StatusBadRequest, status)
}

func TestBulkAbortOfARunningJob(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	_, err := b.sim.AddFaults(simulator.Fault{Action: "slow_job", Wait: time.Hour, Nth: []int{2}})
	require.NoError(t, err)
	j := b.job(http.MethodPost, "/ingest", upsertJob)
	res, _ := b.api(http.MethodPut, "/"+j.ContentURL, "text/csv", numbered(500))
	require.Equal(t, http.StatusCreated, res.StatusCode)
	b.job(http.MethodPatch, "/ingest/"+j.ID, `{"state":"UploadComplete"}`)
	require.Eventually(t, func() bool {
		return b.job(http.MethodGet, "/ingest/"+j.ID, "").NumberRecordsProcessed == 200
	}, time.Minute, 5*time.Millisecond)
	status, text := b.call(http.MethodDelete, "/jobs/ingest/"+j.ID, "")
	require.Equal(t, http.StatusBadRequest, status, text)
	b.job(http.MethodPatch, "/ingest/"+j.ID, `{"state":"Aborted"}`)
	require.Len(t, b.rows(j.ID, "successfulResults", ','), 200)
	require.Len(t, b.rows(j.ID, "unprocessedrecords", ','), 300)
	require.Len(t, b.query("SELECT Id FROM Engagement__c"), 200)
}

func TestBulkBatchesAreAnAllocation(t *testing.T) {
	t.Parallel()
	sc, err := simulator.ParseScenario([]byte(scenarioText))
	require.NoError(t, err)
	sc.Orgs[0].API.BulkBatches = 2
	b := setupWith(t, sc)
	t.Cleanup(func() { require.NoError(t, b.sim.Close()) })
	remaining := func() (max, left int) {
		status, text := b.call(http.MethodGet, "/limits", "")
		require.Equal(t, http.StatusOK, status)
		var limits map[string]struct{ Max, Remaining int }
		require.NoError(t, json.Unmarshal([]byte(text), &limits))
		return limits["DailyBulkApiBatches"].Max, limits["DailyBulkApiBatches"].Remaining
	}
	require.Equal(t, "JobComplete", b.run(upsertJob, numbered(1)).State)
	most, left := remaining()
	require.Equal(t, 2, most)
	require.Equal(t, 1, left)
	j := b.run(upsertJob, numbered(10_100)) // two batches
	require.Equal(t, "Failed", j.State)
	require.Equal(t, "ExceededQuota : ApiBatchItems Limit exceeded.", j.ErrorMessage)
	require.Equal(t, 10_000, j.NumberRecordsProcessed)
	require.Len(t, b.rows(j.ID, "unprocessedrecords", ','), 100)
	status, text := b.call(http.MethodPost, "/jobs/ingest", upsertJob)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, text, "EXCEEDEDQUOTA")
	b.clock.advance(25 * time.Hour)
	b.token = b.signIn("acme", "app", "secret")
	_, left = remaining()
	require.Equal(t, 2, left)
}

func TestBulkParentsByExternalID(t *testing.T) {
	t.Parallel()
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: acme
    apps: [{client_id: app, client_secret: secret, run_as: admin@acme.example}]
    users: [{username: admin@acme.example, last_name: Admin}]
    objects:
      - name: Account
        fields: [{name: Number__c, type: string, length: 20, external_id: true, unique: true}]
    records:
      Account: [{Name: Seven, Number__c: "7"}]
`))
	require.NoError(t, err)
	b := setupWith(t, sc)
	t.Cleanup(func() { require.NoError(t, b.sim.Close()) })
	j := b.run(`{"object":"Contact","operation":"insert"}`, "LastName,Account.Number__c\nA,7\nB,8\nC,#N/A\nD,\n")
	require.Equal(t, "JobComplete", j.State, j.ErrorMessage)
	failed := b.rows(j.ID, "failedResults", ',')
	require.Len(t, failed, 1)
	require.Equal(t, "B", failed[0]["LastName"])
	require.Equal(t, "INVALID_FIELD:Foreign key external ID: 8 not found for field Number__c in entity Account:--", failed[0]["sf__Error"])
	require.Len(t, b.query("SELECT Id FROM Contact WHERE Account.Name = 'Seven'"), 1)
	require.Len(t, b.query("SELECT Id FROM Contact WHERE AccountId = null"), 2)
}
