package simulator_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bulkJob is a job as the org shows it.
type bulkJob struct {
	ID, State, ContentURL, ErrorMessage, Operation, LineEnding, ColumnDelimiter, JobType, CreatedDate string
	NumberRecordsProcessed, NumberRecordsFailed                                                       int
	APIVersion                                                                                        float64
}

// api sends a request below the data resource of the org and returns status, headers and body.
func (b *bundle) api(method, path, contentType, body string) (head, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return head{res.StatusCode, res.Header}, string(text)
}

func (b *bundle) job(method, path, body string) bulkJob {
	b.t.Helper()
	status, text := b.call(method, "/jobs"+path, body)
	require.Equal(b.t, http.StatusOK, status, text)
	var j bulkJob
	require.NoError(b.t, json.Unmarshal([]byte(text), &j))
	return j
}

// run makes an ingest job, uploads data and waits for the end.
func (b *bundle) run(job, data string) bulkJob {
	b.t.Helper()
	j := b.job(http.MethodPost, "/ingest", job)
	require.Equal(b.t, "Open", j.State)
	res, text := b.api(http.MethodPut, "/"+j.ContentURL, "text/csv; charset=UTF-8", data)
	require.Equal(b.t, http.StatusCreated, res.StatusCode, text)
	require.Empty(b.t, text)
	require.Equal(b.t, "UploadComplete", b.job(http.MethodPatch, "/ingest/"+j.ID, `{"state":"UploadComplete"}`).State)
	return b.ended("ingest", j.ID)
}

// ended waits for a job in the background to come to its end.
func (b *bundle) ended(kind, id string) bulkJob {
	b.t.Helper()
	var j bulkJob
	require.Eventually(b.t, func() bool {
		j = b.job(http.MethodGet, "/"+kind+"/"+id, "")
		return j.State == "JobComplete" || j.State == "Failed" || j.State == "Aborted"
	}, time.Minute, 5*time.Millisecond)
	return j
}

// rows reads one of a job's results: each row by the values of its columns.
func (b *bundle) rows(id, part string, comma rune) []map[string]string {
	b.t.Helper()
	res, text := b.api(http.MethodGet, "/services/data/v67.0/jobs/ingest/"+id+"/"+part, "application/json", "")
	require.Equal(b.t, http.StatusOK, res.StatusCode, text)
	require.Equal(b.t, "text/csv", res.Header.Get("Content-Type"))
	return table(b.t, text, comma)
}

func table(t *testing.T, text string, comma rune) []map[string]string {
	t.Helper()
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = comma
	lines, err := r.ReadAll()
	require.NoError(t, err, text)
	require.NotEmpty(t, lines)
	out := make([]map[string]string, 0, len(lines))
	for _, line := range lines[1:] {
		m := map[string]string{}
		for i, cell := range line {
			m[lines[0][i]] = cell
		}
		out = append(out, m)
	}
	return out
}

func bulkSetup(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	t.Cleanup(func() { require.NoError(t, b.sim.Close()) })
	return b
}

const upsertJob = `{"object":"Engagement__c","operation":"upsert","externalIdFieldName":"External_Id__c","contentType":"CSV","lineEnding":"LF"}`

func TestBulkUpsert(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	b := bulkSetup(t)
	lead := b.id("Lead", "LastName = '山田'")
	data := "External_Id__c,Title__c,View_Count__c,Lead__c\n" +
		"e1,\"Intro, \"\"quoted\"\"\nsecond line\",3," + lead + "\n" +
		"e2,Other,many,\n" + // not a number
		"e3,Third,1,\n"
	j := b.run(upsertJob, data)
	require.Equal(t, "JobComplete", j.State)
	require.Equal(t, "V2Ingest", j.JobType)
	require.InDelta(t, 67.0, j.APIVersion, 0)
	require.Equal(t, 3, j.NumberRecordsProcessed)
	require.Equal(t, 1, j.NumberRecordsFailed)

	done := b.rows(j.ID, "successfulResults/", ',')
	require.Len(t, done, 2)
	for _, row := range done {
		require.Equal(t, "true", row["sf__Created"])
		require.Len(t, row["sf__Id"], 18)
		if row["External_Id__c"] == "e1" {
			require.Equal(t, "Intro, \"quoted\"\nsecond line", row["Title__c"])
		}
	}
	failed := b.rows(j.ID, "failedResults", ',')
	require.Len(t, failed, 1)
	require.Equal(t, "e2", failed[0]["External_Id__c"])
	require.Empty(t, failed[0]["sf__Id"])
	require.Regexp(t, `^INVALID_TYPE_ON_FIELD_IN_RECORD:.*:View_Count__c --$`, failed[0]["sf__Error"])
	require.Empty(t, b.rows(j.ID, "unprocessedrecords", ','))

	// An empty cell leaves a field alone, #N/A empties it, and a reference may be given up.
	j = b.run(upsertJob, "External_Id__c,Title__c,View_Count__c,Lead__c\ne1,,#N/A,#N/A\n")
	require.Equal(t, 0, j.NumberRecordsFailed)
	done = b.rows(j.ID, "successfulResults", ',')
	require.Equal(t, "false", done[0]["sf__Created"])
	row := b.query("SELECT Title__c, View_Count__c, Lead__c FROM Engagement__c WHERE External_Id__c = 'e1'")[0]
	require.Equal(t, "Intro, \"quoted\"\nsecond line", row["Title__c"])
	require.Nil(t, row["View_Count__c"])
	require.Nil(t, row["Lead__c"])
	require.Equal(t, 2, b.sim.Stats()["acme"].Objects["Engagement__c"].Created)
}

func TestBulkOtherOperations(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	j := b.run(`{"object":"Lead","operation":"insert","columnDelimiter":"SEMICOLON","lineEnding":"CRLF"}`,
		"LastName;Company;Email\r\nA;\"X;Y\";a@x.example\r\nB;;b@x.example\r\nC;Z;no address\r\n")
	require.Equal(t, "JobComplete", j.State)
	require.Equal(t, 2, j.NumberRecordsFailed)
	errs := map[string]string{}
	for _, row := range b.rows(j.ID, "failedResults", ';') {
		errs[row["LastName"]] = row["sf__Error"]
	}
	require.Equal(t, "REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --", errs["B"])
	require.Contains(t, errs["C"], "INVALID_EMAIL_ADDRESS:")
	done := b.rows(j.ID, "successfulResults", ';')
	require.Len(t, done, 1)
	require.Equal(t, "X;Y", done[0]["Company"])

	id := done[0]["sf__Id"]
	j = b.run(`{"object":"Lead","operation":"update","columnDelimiter":"TAB"}`, "Id\tTitle\n"+id+"\tBoss\n00Qxx0000000001\tNobody\n")
	require.Equal(t, 1, j.NumberRecordsFailed)
	require.Len(t, b.query("SELECT Id FROM Lead WHERE Title = 'Boss'"), 1)
	j = b.run(`{"object":"Lead","operation":"delete"}`, "Id\n"+id+"\n")
	require.Equal(t, "JobComplete", j.State)
	require.Equal(t, "false", b.rows(j.ID, "successfulResults", ',')[0]["sf__Created"])
	require.Empty(t, b.query("SELECT Id FROM Lead WHERE Id = '"+id+"'"))

	j = b.run(`{"object":"Lead","operation":"delete"}`, "Id,LastName\n"+id+",A\n")
	require.Equal(t, "Failed", j.State)
}

func TestBulkJobsThatFailWhole(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	const ending = "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is "
	crlf := strings.Replace(upsertJob, `"LF"`, `"CRLF"`, 1)
	for name, c := range map[string]struct{ job, data, message string }{
		"OtherLineEndings":     {upsertJob, "External_Id__c\r\na\r\n", ending + "LF"},
		"OtherWithinQuotes":    {upsertJob, "External_Id__c,Title__c\na,\"x\r\ny\"\n", ending + "LF"},
		"CRLF":                 {crlf, "External_Id__c\na\n", ending + "CRLF"},
		"UnknownField":         {upsertJob, "External_Id__c,Nothing__c\na,b\n", "InvalidBatch : Field name not found : Nothing__c"},
		"FieldTwice":           {upsertJob, "External_Id__c,Title__c,title__c\na,b,c\n", "InvalidBatch : Field name is duplicated : title__c"},
		"UnknownParentKey":     {upsertJob, "External_Id__c,Lead__r.Nothing__c\na,b\n", "InvalidBatch : Field name not found : Lead__r.Nothing__c"},
		"NoHeader":             {upsertJob, "", "InvalidBatch : Failed to parse CSV header: the data has no header row that can be read"},
		"HeaderOfHugeLength":   {upsertJob, strings.Repeat("x", 32_001) + "\na\n", "InvalidBatch : The header row is longer than 32000 characters"},
		"OtherThanUTF8":        {upsertJob, "External_Id__c\n\xff\n", "ClientInputError : the data is not in UTF-8"},
		"MoreColumnsThanSaved": {upsertJob, strings.Repeat("a,", 5_000) + "b\n", "InvalidBatch : The data has more than 5000 columns"},
	} {
		j := b.run(c.job, c.data)
		require.Equal(t, "Failed", j.State, name)
		require.Equal(t, c.message, j.ErrorMessage, name)
		require.Zero(t, j.NumberRecordsProcessed, name)
	}
	require.Empty(t, b.query("SELECT Id FROM Engagement__c"))
	j := b.run(upsertJob, "External_Id__c,Nothing__c\na,b\n")
	require.Equal(t, []map[string]string{{"External_Id__c": "a", "Nothing__c": "b"}}, b.rows(j.ID, "unprocessedrecords", ','))
}

func TestBulkRowsThatAreNoCSV(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	j := b.run(upsertJob, "\ufeffExternal_Id__c,Title__c\na, \"space\"\nb,\"fine\"\nc\nd,x,y\n\ne,end")
	require.Equal(t, "JobComplete", j.State)
	require.Equal(t, 5, j.NumberRecordsProcessed)
	require.Equal(t, 3, j.NumberRecordsFailed)
	for _, row := range b.rows(j.ID, "failedResults", ',') {
		require.Regexp(t, "^ClientInputError:.*:--$", row["sf__Error"])
	}
	j = b.run(upsertJob, "External_Id__c,Title__c\nsame,1\nsame,2\nlong,"+strings.Repeat("x", 131_073)+"\n")
	require.Equal(t, 3, j.NumberRecordsFailed)
}

func TestBulkMultipart(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	send := func(content string) (head, string) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for name, part := range map[string][2]string{"job": {"application/json", upsertJob}, "content": {"text/csv", content}} {
			h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename="x"`, name)}, "Content-Type": {part[0]}}
			p, err := w.CreatePart(h)
			require.NoError(t, err)
			_, err = io.WriteString(p, part[1])
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return b.api(http.MethodPost, "/services/data/v67.0/jobs/ingest", w.FormDataContentType(), body.String())
	}
	res, text := send("External_Id__c\nm1\n")
	require.Equal(t, http.StatusOK, res.StatusCode, text)
	var j bulkJob
	require.NoError(t, json.Unmarshal([]byte(text), &j))
	require.Equal(t, "UploadComplete", j.State)
	require.Equal(t, "JobComplete", b.ended("ingest", j.ID).State)
	require.Len(t, b.query("SELECT Id FROM Engagement__c"), 1)
	res, text = send("External_Id__c\n" + strings.Repeat("x", 100_000))
	require.Equal(t, http.StatusBadRequest, res.StatusCode, text)
}

func TestBulkStates(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	j := b.job(http.MethodPost, "/ingest", upsertJob)
	refused := func(method, path, body string) string {
		t.Helper()
		status, text := b.call(method, "/jobs"+path, body)
		require.Equal(t, http.StatusBadRequest, status, text)
		require.Contains(t, text, `"errorCode":"INVALIDJOBSTATE"`)
		return text
	}
	refused(http.MethodDelete, "/ingest/"+j.ID, "")
	refused(http.MethodPatch, "/ingest/"+j.ID, `{"state":"JobComplete"}`)
	refused(http.MethodGet, "/ingest/"+j.ID+"/successfulResults", "")
	res, _ := b.api(http.MethodPut, "/"+j.ContentURL, "text/csv", "External_Id__c\na\n")
	require.Equal(t, http.StatusCreated, res.StatusCode)
	res, _ = b.api(http.MethodPut, "/"+j.ContentURL, "text/csv", "External_Id__c\na\n")
	require.Equal(t, http.StatusCreated, res.StatusCode, "a second upload is refused when the job is closed")
	status, text := b.call(http.MethodPatch, "/jobs/ingest/"+j.ID, `{"state":"UploadComplete"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.JSONEq(t, `[{"errorCode":"INVALIDJOB","message":"Found multipe contents for job: <`+j.ID[:15]+ //nolint:misspell // as Salesforce spells it
		`>, please 'Close' / 'Abort' / 'Delete' the current Job then create a new Job and make sure you only do 'PUT' once on a given Job."}]`, text)
	require.Equal(t, "Aborted", b.job(http.MethodPatch, "/ingest/"+j.ID, `{"state":"Aborted"}`).State)
	require.Contains(t, refused(http.MethodPatch, "/ingest/"+j.ID, `{"state":"UploadComplete"}`), "Closing already aborted Job not allowed")
	require.Len(t, b.rows(j.ID, "unprocessedrecords", ','), 1)
	status, _ = b.call(http.MethodDelete, "/jobs/ingest/"+j.ID, "")
	require.Equal(t, http.StatusNoContent, status)
	status, text = b.call(http.MethodGet, "/jobs/ingest/"+j.ID, "")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, text, "NOT_FOUND")

	open, done := b.job(http.MethodPost, "/ingest", upsertJob), b.run(upsertJob, "External_Id__c\nb\n")
	require.Contains(t, refused(http.MethodPatch, "/ingest/"+done.ID, `{"state":"Aborted"}`), "Aborting already Completed Job not allowed")
	require.Contains(t, refused(http.MethodPatch, "/ingest/"+done.ID, `{"state":"UploadComplete"}`), "Closing already closed Job not allowed")
	_, text = b.api(http.MethodGet, "/services/data/v67.0/jobs/ingest/"+done.ID+"/successfulResults", "application/json", "")
	require.Equal(t, `"sf__Id","sf__Created","External_Id__c"`+"\n"+`"`+b.id("Engagement__c", "External_Id__c = 'b'")+`","true","b"`+"\n", text, "every cell is quoted")
	b.clock.advance(25 * time.Hour)
	b.token = b.signIn("acme", "app", "secret")
	require.Equal(t, "Aborted", b.job(http.MethodGet, "/ingest/"+open.ID, "").State, "a job waits a day for its data")
	b.clock.advance(7 * 24 * time.Hour)
	b.token = b.signIn("acme", "app", "secret")
	status, _ = b.call(http.MethodGet, "/jobs/ingest/"+done.ID, "")
	require.Equal(t, http.StatusNotFound, status, "jobs are kept for seven days")
}

func TestBulkRefusals(t *testing.T) {
	t.Parallel()
	b := bulkSetup(t)
	for body, code := range map[string]string{
		`{"object":"Nothing","operation":"insert"}`:                                          "INVALIDJOB",
		`{"object":"Lead","operation":"destroy"}`:                                            "INVALIDOPERATION",
		`{"object":"Lead","operation":"hardDelete"}`:                                         "FEATURENOTENABLED",
		`{"object":"Engagement__c","operation":"upsert"}`:                                    "INVALIDJOB",
		`{"object":"Lead","operation":"insert","lineEnding":"CR"}`:                           "INVALIDJOB",
		`{"object":"Lead","operation":"insert","columnDelimiter":"DOT"}`:                     "INVALIDJOB",
		`{"object":"Lead","operation":"insert","contentType":"XML"}`:                         "INVALIDJOB",
		`{"object":"Engagement__c","operation":"upsert","externalIdFieldName":"Nothing__c"}`: "INVALIDJOB",
		`{`: "JSON_PARSER_ERROR",
	} {
		status, text := b.call(http.MethodPost, "/jobs/ingest", body)
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, text, `"errorCode":"`+code+`"`, body)
	}
}
