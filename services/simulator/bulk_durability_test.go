package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBulkJobsOutliveAKilledProcess kills the process in the middle of a job of inserts, again and again: a row that was
// done twice would be there twice.
func TestBulkJobsOutliveAKilledProcess(t *testing.T) {
	t.Parallel()
	const rows = 3_000
	dir := t.TempDir()
	cmd, base := start(t, dir)
	session, err := token(base)
	require.NoError(t, err)
	b := &bundle{t: t, base: base, token: session}
	origin := func() string { return b.base[:len(b.base)-len("/orgs/acme")] }
	slow := func() {
		res, body := b.do(http.MethodPost, origin()+"/_sim/faults", `[{action: slow_job, wait: 20ms}]`)
		require.Equal(t, http.StatusCreated, res.StatusCode, body)
	}
	slow()
	ready := b.job(http.MethodPost, "/ingest", upsertJob)
	res, _ := b.api(http.MethodPut, "/"+ready.ContentURL, "text/csv", numbered(3))
	require.Equal(t, http.StatusCreated, res.StatusCode)
	j := b.job(http.MethodPost, "/ingest", `{"object":"Lead","operation":"insert"}`)
	var data strings.Builder
	data.WriteString("LastName,Company\n")
	for i := range rows {
		fmt.Fprintf(&data, "Bulk%d,X\n", i)
	}
	res, _ = b.api(http.MethodPut, "/"+j.ContentURL, "text/csv", data.String())
	require.Equal(t, http.StatusCreated, res.StatusCode)
	b.job(http.MethodPatch, "/ingest/"+j.ID, `{"state":"UploadComplete"}`)

	seen := 0
	for range 3 {
		require.Eventually(t, func() bool {
			now := b.job(http.MethodGet, "/ingest/"+j.ID, "")
			require.GreaterOrEqual(t, now.NumberRecordsProcessed, seen, "what was done stays done")
			more := now.NumberRecordsProcessed > seen || now.State == "JobComplete"
			seen = now.NumberRecordsProcessed
			return more
		}, time.Minute, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		cmd, b.base = start(t, dir)
		slow()
	}
	done := b.ended("ingest", j.ID)
	require.Equal(t, "JobComplete", done.State, done.ErrorMessage)
	require.Equal(t, rows, done.NumberRecordsProcessed)
	require.Zero(t, done.NumberRecordsFailed)
	results := b.rows(j.ID, "successfulResults", ',')
	ids, names := map[string]bool{}, map[string]bool{}
	for _, row := range results {
		ids[row["sf__Id"]], names[row["LastName"]] = true, true
	}
	require.Len(t, results, rows)
	require.Len(t, ids, rows)
	require.Len(t, names, rows)
	status, body := b.call(http.MethodGet, "/query?q=SELECT+COUNT()+FROM+Lead+WHERE+LastName+LIKE+'Bulk%25'", "")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, fmt.Sprintf(`"totalSize":%d,`, rows), "every row is there once")

	// The other job kept its data, and is closed by the process that did not take it.
	b.job(http.MethodPatch, "/ingest/"+ready.ID, `{"state":"UploadComplete"}`)
	require.Equal(t, 3, b.ended("ingest", ready.ID).NumberRecordsProcessed)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
}
