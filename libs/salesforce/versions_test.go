package salesforce_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

func TestDescribeGlobalAsksOnlyForChanges(t *testing.T) {
	t.Parallel()
	const modified = "Mon, 10 Aug 2026 09:00:00 GMT"
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/services/data/v66.0/sobjects", r.URL.Path)
		w.Header().Set("Last-Modified", modified)
		switch r.Header.Get("If-Modified-Since") {
		case "":
			_, _ = io.WriteString(w, `{"maxBatchSize":200,"sobjects":[{"name":"Lead","keyPrefix":"00Q","createable":true}]}`)
		case modified:
			w.WriteHeader(http.StatusNotModified)
		default:
			t.Error("another time was sent")
		}
	})
	g, changed, err := b.client.DescribeGlobalIfModified(t.Context(), time.Time{})
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, []salesforce.ObjectSummary{{Name: "Lead", KeyPrefix: "00Q", Createable: true}}, g.Objects)
	require.Equal(t, time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC), g.ModifiedAt)
	_, changed, err = b.client.DescribeGlobalIfModified(t.Context(), g.ModifiedAt.In(time.FixedZone("", 9*3600)))
	require.NoError(t, err)
	require.False(t, changed)
	objects, err := b.client.DescribeGlobal(t.Context())
	require.NoError(t, err)
	require.Len(t, objects, 1)
	for _, body := range []string{"", "[]", "{}"} {
		_, _, err := setup(t, reply(200, body)).client.DescribeGlobalIfModified(t.Context(), time.Time{})
		require.Equal(t, salesforce.CodeNotJSON, failure(t, err).Code)
	}
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	const list = `[{"label":"Winter '26","url":"/services/data/v65.0","version":"65.0"},{"label":"Spring '26","url":"/services/data/v66.0","version":"66.0"}]`
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "GET /services/data", r.Method+" "+r.URL.Path)
		_, _ = io.WriteString(w, list)
	})
	require.NoError(t, b.client.CheckVersion(t.Context()))
	versions, err := b.client.Versions(t.Context())
	require.NoError(t, err)
	require.Equal(t, salesforce.Version{Label: "Winter '26", Version: "65.0"}, versions[0])

	for name, b := range map[string]*testBundle{
		"not in the list": setup(t, reply(200, list), func(c *salesforce.Config) { c.APIVersion = "67.0" }),
		"gone":            setup(t, reply(410, "")),
		"code":            setup(t, reply(500, `[{"errorCode":"UNSUPPORTED_API_VERSION","message":"retired"}]`)),
	} {
		e := failure(t, b.client.CheckVersion(t.Context()))
		require.Equal(t, "config SF_API_DISABLED UNSUPPORTED_API_VERSION", e.Class.String()+" "+e.Reason+" "+e.Code, name)
		require.Contains(t, e.Error(), "api_version")
	}
	for _, b := range []*testBundle{setup(t, reply(503, "")), setup(t, reply(200, "[]")), setup(t, reply(200, "<html>"))} {
		require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(b.client.CheckVersion(t.Context())), "nothing is said of the version")
	}
}
