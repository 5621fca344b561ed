package salesforce_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

const queryJobs = "/services/data/v66.0/jobs/query"

func jobIn(state, message string) http.HandlerFunc {
	return reply(200, fmt.Sprintf(`{"id":"750A","operation":"query","object":"Lead","state":%q,"numberRecordsProcessed":5,"errorMessage":%q}`, state, message))
}

// stepClock goes on by a second each time somebody looks.
type stepClock struct{ seconds atomic.Int64 }

func (c *stepClock) Now() time.Time { return time.Unix(c.seconds.Add(1), 0) }

func TestBulkQueryJobs(t *testing.T) {
	t.Parallel()

	t.Run("IsMadeAndALostAnswerIsNotAmbiguous", func(t *testing.T) {
		t.Parallel()
		var lost atomic.Bool
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "POST "+queryJobs, r.Method+" "+r.URL.Path)
			if !lost.Swap(true) {
				_, _ = io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			}
			body, _ := io.ReadAll(r.Body)
			assert.JSONEq(t, `{"operation":"queryAll","query":"SELECT Id FROM Lead","contentType":"CSV","lineEnding":"LF","columnDelimiter":"COMMA"}`, string(body))
			jobIn("UploadComplete", "")(w, r)
		})
		req := salesforce.BulkQueryRequest{SOQL: "SELECT Id FROM Lead", All: true}
		_, err := b.client.CreateBulkQuery(t.Context(), req)
		require.Equal(t, salesforce.CodeConnection, failure(t, err).Code)
		require.False(t, salesforce.IsAmbiguous(err), "at worst a job runs for nobody")
		job, err := b.client.CreateBulkQuery(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, salesforce.BulkUploadComplete, job.State)
		for _, soql := range []string{" ", strings.Repeat("あ", 100_001)} {
			_, err := b.client.CreateBulkQuery(t.Context(), salesforce.BulkQueryRequest{SOQL: soql})
			require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
		}
	})

	t.Run("ErrorsAreReadAsThoseOfAJob", func(t *testing.T) {
		t.Parallel()
		for answer, want := range map[string]string{
			`400 [{"errorCode":"INVALIDJOB","message":"InvalidJob : no"}]`:                      "data SF_REJECTED",
			`400 [{"errorCode":"EXCEEDEDQUOTA","message":"ExceededQuota : no more jobs"}]`:      "quota SF_LIMIT",
			`400 [{"errorCode":"FEATURENOTENABLED","message":"FeatureNotEnabled : no"}]`:        "config SF_API_DISABLED",
			`400 [{"errorCode":"MALFORMED_QUERY","message":"unexpected token: FORM"}]`:          "data SF_REJECTED",
			`404 [{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`: "transient SF_UNAVAILABLE gone",
			`409 [{"errorCode":"API_ERROR","message":"another version"}]`:                       "transient SF_UNAVAILABLE gone",
			`404 <html>`: "unknown SF_REJECTED",
		} {
			var status int
			_, err := fmt.Sscan(answer, &status)
			require.NoError(t, err)
			b := setup(t, reply(status, answer[4:]))
			_, err = b.client.BulkQuery(t.Context(), "750A")
			e := failure(t, err)
			got := e.Class.String() + " " + e.Reason
			if salesforce.IsBulkQueryGone(err) {
				got += " gone"
			}
			require.Equal(t, want, got, answer)
		}
	})

	t.Run("NoJobIsNotAllJobs", func(t *testing.T) {
		t.Parallel()
		b := setup(t, reply(200, `{"done":true,"records":[]}`))
		for _, err := range b.client.BulkQueryRows(t.Context(), "", salesforce.BulkQueryPosition{}) {
			require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
		}
		for _, err := range []error{
			second(b.client.BulkQuery(t.Context(), "")), second(b.client.AwaitBulkQuery(t.Context(), "")),
			second(b.client.AbortBulkQuery(t.Context(), "")), b.client.DeleteBulkQuery(t.Context(), ""),
		} {
			require.Equal(t, salesforce.CodeBadRequest, failure(t, err).Code)
		}
		require.Zero(t, b.client.Calls())

		// Where there is no Bulk API there is no job to make anew either.
		b = setup(t, reply(404, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`))
		_, err := b.client.CreateBulkQuery(t.Context(), salesforce.BulkQueryRequest{SOQL: "SELECT Id FROM Lead"})
		require.Equal(t, salesforce.ClassConfig, failure(t, err).Class)
	})

	t.Run("IsAbortedAndDeleted", func(t *testing.T) {
		t.Parallel()
		var deleted atomic.Bool
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, queryJobs+"/750A", r.URL.Path)
			switch {
			case r.Method == http.MethodPatch:
				body, _ := io.ReadAll(r.Body)
				assert.JSONEq(t, `{"state":"Aborted"}`, string(body))
				jobIn("Aborted", "")(w, r)
			case deleted.Load():
				reply(404, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`)(w, r)
			default: // done, and the answer is lost
				assert.Equal(t, http.MethodDelete, r.Method)
				deleted.Store(true)
				panic(http.ErrAbortHandler)
			}
		})
		job, err := b.client.AbortBulkQuery(t.Context(), "750A")
		require.NoError(t, err)
		require.Equal(t, salesforce.ClassTransient, job.Err().Class)
		require.Error(t, b.client.DeleteBulkQuery(t.Context(), "750A"))
		require.NoError(t, b.client.DeleteBulkQuery(t.Context(), "750A"), "it is gone, as asked")
		b = setup(t, reply(400, `[{"errorCode":"INVALIDJOBSTATE","message":"Job can't be deleted in state InProgress"}]`))
		require.Equal(t, salesforce.ClassData, salesforce.ClassOf(b.client.DeleteBulkQuery(t.Context(), "750A")))
	})

	t.Run("WhyAJobFailed", func(t *testing.T) {
		t.Parallel()
		for message, want := range map[string]string{
			"InvalidBatch : Failed to process query: INVALID_FIELD: \nSELECT X__c FROM Lead WHERE Name = 'Yamada'\n       ^\nERROR at Row:1:Column:8\nNo such column 'X__c' on entity 'Lead'.": "config SF_FIELD_GONE INVALID_FIELD",
			"MALFORMED_QUERY: unexpected token: 'Yamada'":                 "data SF_REJECTED MALFORMED_QUERY",
			"QUERY_TIMEOUT: Your query request was running for too long.": "transient SF_UNAVAILABLE QUERY_TIMEOUT",
			"Timeout : slow":                "transient SF_UNAVAILABLE Timeout",
			"ExceededQuota : no more space": "quota SF_LIMIT ExceededQuota",
			"InvalidUser : gone":            "auth SF_AUTH_REVOKED InvalidUser",
			"Unknown : what":                "unknown SF_REJECTED Unknown",
			"":                              "unknown SF_REJECTED ",
		} {
			e := salesforce.BulkJob{Operation: "query", State: salesforce.BulkFailed, Message: message}.Err()
			require.Equal(t, want, e.Class.String()+" "+e.Reason+" "+e.Code, message)
			require.NotContains(t, e.Error(), "Yamada")
		}
		require.Nil(t, salesforce.BulkJob{Operation: "query", State: salesforce.BulkJobComplete}.Err())
	})
}

func TestAwaitBulkQuery(t *testing.T) {
	t.Parallel()
	quick := func(c *salesforce.Config) {
		c.BulkQuery.PollMin, c.BulkQuery.PollMax = time.Microsecond, time.Millisecond
	}
	inTurn := func(t *testing.T, answers ...http.HandlerFunc) *testBundle {
		t.Helper()
		var n atomic.Int64
		return setup(t, func(w http.ResponseWriter, r *http.Request) {
			answers[min(int(n.Add(1)), len(answers))-1](w, r)
		}, quick)
	}

	t.Run("WaitsOutPassingTrouble", func(t *testing.T) {
		t.Parallel()
		b := inTurn(t, jobIn("UploadComplete", ""), reply(503, "<html>maintenance</html>"), jobIn("InProgress", ""),
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, reply(200, "<html>"), jobIn("JobComplete", ""))
		job, err := b.client.AwaitBulkQuery(t.Context(), "750A")
		require.NoError(t, err)
		require.Equal(t, salesforce.BulkJobComplete, job.State)
		require.Equal(t, 5, job.Processed)
	})

	t.Run("SaysWhyThereAreNoResults", func(t *testing.T) {
		t.Parallel()
		b := inTurn(t, jobIn("InProgress", ""), jobIn("Failed", "ExceededQuota : no more space"))
		job, err := b.client.AwaitBulkQuery(t.Context(), "750A")
		require.Equal(t, salesforce.ClassQuota, failure(t, err).Class)
		require.Equal(t, salesforce.BulkFailed, job.State)
		b = inTurn(t, jobIn("Aborted", ""))
		_, err = b.client.AwaitBulkQuery(t.Context(), "750A")
		require.Equal(t, "Aborted", failure(t, err).Code)
	})

	t.Run("EndsAtOnceAtWhatDoesNotPass", func(t *testing.T) {
		t.Parallel()
		for want, last := range map[salesforce.Class]http.HandlerFunc{
			salesforce.ClassTransient: reply(404, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`),
			salesforce.ClassQuota:     reply(403, `[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]`),
			salesforce.ClassAuth:      reply(410, ""),
		} {
			b := inTurn(t, jobIn("InProgress", ""), last)
			job, err := b.client.AwaitBulkQuery(t.Context(), "750A")
			require.Equal(t, want, failure(t, err).Class)
			require.Equal(t, want == salesforce.ClassTransient, salesforce.IsBulkQueryGone(err))
			require.Equal(t, salesforce.BulkInProgress, job.State, "the last that is known")
			require.EqualValues(t, 2, b.client.Calls())
		}
	})

	t.Run("WaitsNoLongerThanItMay", func(t *testing.T) {
		t.Parallel()
		b := inTurn(t, jobIn("InProgress", ""))
		cfg := salesforce.DefaultConfig()
		quick(&cfg)
		cfg.BulkQuery.Wait = time.Minute
		client := salesforce.NewClient(cfg, b.tokens, salesforce.Deps{Clock: &stepClock{}})
		job, err := client.AwaitBulkQuery(t.Context(), "750A")
		e := failure(t, err)
		require.Equal(t, salesforce.CodeTimeout, e.Code)
		require.False(t, salesforce.IsBulkQueryGone(err))
		require.Equal(t, salesforce.BulkInProgress, job.State)
		require.Less(t, client.Calls(), int64(61))
	})

	t.Run("EndsWhenTheCallerGivesUp", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		b := setup(t, func(w http.ResponseWriter, r *http.Request) {
			jobIn("InProgress", "")(w, r)
			cancel()
		}, func(c *salesforce.Config) { c.BulkQuery.PollMin, c.BulkQuery.PollMax = time.Hour, time.Hour })
		_, err := b.client.AwaitBulkQuery(ctx, "750A")
		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("AWrongConfigurationSaysWhichKey", func(t *testing.T) {
		t.Parallel()
		for key, change := range map[string]func(*salesforce.BulkQueryConfig){
			"bulk_query.poll_min": func(c *salesforce.BulkQueryConfig) { c.PollMin = 0 },
			"bulk_query.poll_max": func(c *salesforce.BulkQueryConfig) { c.PollMax = c.PollMin - 1 },
			"bulk_query.wait":     func(c *salesforce.BulkQueryConfig) { c.Wait = 8 * 24 * time.Hour },
			"bulk_query.page":     func(c *salesforce.BulkQueryConfig) { c.Page = 0 },
		} {
			cfg := salesforce.DefaultConfig()
			change(&cfg.BulkQuery)
			require.ErrorContains(t, cfg.Validate(), key)
		}
	})
}
