package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// reporting is a workspace whose reports are pushed, with everything running.
type reporting struct {
	*rig.Rig
	t       *testing.T
	process *rig.Process
	reports configv1.ReportServiceClient
	runs    configv1.ReportRunServiceClient
	url     string
	key     string
}

const contactsOfReports = 300

func setupReporting(t *testing.T, change ...func(*app.Config)) *reporting {
	t.Helper()
	r := &reporting{t: t, Rig: rig.New(t, rig.Options{Configure: func(cfg *app.Config) {
		cfg.Sync.Reports.Runs.ChunkRows = 50
		for _, c := range change {
			c(cfg)
		}
	}})}
	r.StartConfig()
	r.Add(rig.Customer{ID: "acme", Recipes: []string{"document-engagement"}, Org: func(o *simulator.Org) {
		o.Objects = []simulator.Object{{Name: "Contact", Fields: []simulator.Field{
			{Name: "Guid__c", Type: "string", Length: 64, ExternalID: true, Unique: true}, {Name: "Score__c", Type: "double", Precision: 10, Scale: 2},
		}}}
		o.ValidationRules = []simulator.ValidationRule{{Object: "Contact", When: "Score__c > 1000", Message: "A score is 1000 at most", Field: "Score__c"}}
		rows := make([]map[string]any, contactsOfReports)
		for i := range rows {
			rows[i] = map[string]any{"LastName": "Yamada", "Guid__c": guid(i), "OwnerId": rig.Seller}
		}
		o.Records = []simulator.Rows{{Object: "Contact", Rows: rows}}
	}})
	r.reports, r.runs = r.Rig.Reports()
	_, err := r.reports.PutReport(t.Context(), &configv1.PutReportRequest{Report: &configv1.Report{
		Workspace: "acme", Id: "usage", Name: "Usage", Environment: "production", Columns: []*configv1.ReportColumn{
			{Name: "guid", Type: configv1.ReportColumnType_REPORT_COLUMN_TYPE_TEXT, KeyCandidate: true},
			{Name: "score", Type: configv1.ReportColumnType_REPORT_COLUMN_TYPE_NUMBER},
		},
	}})
	require.NoError(t, err)
	_, err = r.reports.PutReportPush(t.Context(), &configv1.PutReportPushRequest{Push: &configv1.ReportPush{
		Workspace: "acme", Id: "usage-to-contacts", Report: "usage", Connection: rig.Connection, Object: "Contact",
		KeyColumn: "guid", KeyField: "Guid__c", Columns: []*configv1.ColumnMapping{{Column: "score", Field: "Score__c"}},
		ToleratedFailuresPercent: 50, Enabled: true,
	}})
	require.NoError(t, err)
	key, err := r.Config.CreateApiKey(t.Context(), &configv1.CreateApiKeyRequest{Key: &configv1.ApiKey{Workspace: "acme", Id: "source"}})
	require.NoError(t, err)
	r.key = key.GetSecret()
	return r
}

func guid(i int) string { return fmt.Sprintf("0f8fad5b-d9cb-469f-a165-%012x", i) }

// deliver brings rows in over HTTP.
func (r *reporting) deliver(delivery string, rows func(w io.Writer) int) {
	r.t.Helper()
	var body strings.Builder
	fmt.Fprintln(&body, `{"begin":{"columns":["guid","score"]}}`)
	fmt.Fprintf(&body, "{\"end\":{\"rows\":%d}}\n", rows(&body))
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/reports/usage/deliveries/"+delivery, strings.NewReader(body.String()))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+r.key)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	var answer map[string]any
	require.NoError(r.t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(r.t, http.StatusAccepted, resp.StatusCode, "%v", answer)
	following := []flow.Hop{{Group: "tl-sync-deliveries", Topic: topic.Rows}}
	require.NoError(r.t, flow.AwaitQuiet(r.t.Context(), r.Kafka, following), "the config service hears of the delivery")
}

// run starts a run by hand and returns its id.
func (r *reporting) run() string {
	r.t.Helper()
	started, err := r.runs.StartReportRun(r.t.Context(), &configv1.StartReportRunRequest{Workspace: "acme", Push: "usage-to-contacts"})
	require.NoError(r.t, err)
	return started.GetRun().GetId()
}

func (r *reporting) ended(id string) *configv1.GetReportRunResponse {
	r.t.Helper()
	var got *configv1.GetReportRunResponse
	r.Eventually(func() bool {
		var err error
		got, err = r.runs.GetReportRun(r.t.Context(), &configv1.GetReportRunRequest{Workspace: "acme", Run: id})
		return err == nil && got.GetRun().GetStatus() != configv1.ReportRunStatus_REPORT_RUN_STATUS_RUNNING
	}, "the run ends")
	return got
}

func (r *reporting) scores() map[string]any {
	out := map[string]any{}
	for _, c := range r.Records("acme", "Contact") {
		out[c["Guid__c"].(string)] = c["Score__c"]
	}
	return out
}

// TestAReportIsPushed takes rows in over HTTP and follows them into an org, through a death of the process that carries the run out.
func TestAReportIsPushed(t *testing.T) {
	rig.Parallel(t)
	for _, id := range []string{"WALK-9", "WALK-23", "WALK-25", "WALK-27", "WALK-29", "WALK-30"} {
		t.Attr("requirement", id)
	}
	r := setupReporting(t)
	r.process = r.Start("edge", "ingest", "writer")
	sync := r.Start("sync", "sync")
	r.process.AwaitSettings()
	r.url = strings.TrimSuffix(r.process.Endpoint(), "/v1/events")

	write := func(w io.Writer) int {
		for i := range contactsOfReports {
			fmt.Fprintf(w, "[%q,%d]\n", guid(i), 801+i) // the last hundred are more than the rule allows
		}
		fmt.Fprintln(w, `["nobody",1]`)
		fmt.Fprintln(w, `["n/a",1]`)
		fmt.Fprintln(w, `["ragged"]`)
		return contactsOfReports + 3
	}
	r.deliver("monday", write)
	id := r.run()
	r.Eventually(func() bool {
		got, err := r.runs.GetReportRun(t.Context(), &configv1.GetReportRunRequest{Workspace: "acme", Run: id})
		return err == nil && len(got.GetChunks()) > 0
	}, "the run has begun")
	sync.Stop()
	r.Start("sync-again", "sync")
	got := r.ended(id)
	run, n := got.GetRun(), got.GetRun().GetCounts()
	require.Equal(t, configv1.ReportRunStatus_REPORT_RUN_STATUS_COMPLETED, run.GetStatus(), run.GetDetail())
	require.Equal(t, []int64{303, 200, 101, 1, 1, 0}, []int64{
		n.GetRows(), n.GetWritten(), n.GetFailed(), n.GetUnmatched(), n.GetBlankKeys(), n.GetPending(),
	})
	scores := r.scores()
	require.Equal(t, 801.0, scores[guid(0)])
	require.Equal(t, 1000.0, scores[guid(199)])
	require.Nil(t, scores[guid(200)])

	rows, err := r.runs.ListReportRunRows(t.Context(), &configv1.ListReportRunRowsRequest{Workspace: "acme", Run: id, PageSize: 1000})
	require.NoError(t, err)
	reasons := map[streamv1.Reason]int{}
	for _, row := range rows.GetRows() {
		reasons[row.GetReason()]++
		if row.GetReason() == streamv1.Reason_REASON_SF_VALIDATION {
			require.Contains(t, row.GetDetail(), "A score is 1000 at most")
			require.NotEmpty(t, row.GetKey())
		}
	}
	require.Equal(t, map[streamv1.Reason]int{
		streamv1.Reason_REASON_SF_VALIDATION: 100, streamv1.Reason_REASON_NO_MATCH: 1, streamv1.Reason_REASON_KEY_BLANK: 1,
		streamv1.Reason_REASON_BAD_SCHEMA: 1,
	}, reasons)

	// The next delivery says the same of the good rows: they cost nothing.
	r.deliver("tuesday", func(w io.Writer) int {
		for i := range 200 {
			fmt.Fprintf(w, "[%q,%d]\n", guid(i), 801+i)
		}
		return 200
	})
	second := r.ended(r.run())
	require.Equal(t, "tuesday", second.GetRun().GetDelivery(), "the newest delivery is pushed")
	require.Equal(t, int64(200), second.GetRun().GetCounts().GetUnchanged())
	require.Equal(t, int64(0), second.GetRun().GetCounts().GetWritten())
	for _, name := range []string{topic.Rows, topic.RowsState, topic.Writes, topic.Outcomes} {
		for _, rec := range r.Topic(name) {
			require.NotContains(t, string(rec.Key)+string(rec.Value), guid(7), "keys travel sealed in %s", name)
		}
	}
}
