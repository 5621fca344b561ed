package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/clock"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

type still struct{}

func (still) Now() time.Time { return time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC) }

const lockedAccount = "001000000000001AAA"

func lockServer(t *testing.T) *Server {
	t.Helper()
	o, err := org.Create(t.Context(), scenario.Org{
		Key: "acme", RowLocks: true, LockWait: time.Millisecond, Users: []scenario.User{{Username: "a@acme.example"}},
		Records: scenario.Records{{Object: "Account", Rows: []map[string]any{{"id": lockedAccount, "Name": "Locked"}}}},
	}, org.Deps{Clock: clock.New(still{})})
	require.NoError(t, err)
	s := New(Deps{
		Org: o, Quota: quota.New(100, 5, time.Minute), Batches: quota.New(1, 1, time.Minute), Queries: quota.New(1, 1, time.Minute),
		Faults: &faults.Engine{}, Stats: stats.New(), Wall: still{}.Now,
	})
	t.Cleanup(s.Close)
	return s
}

func (s *Server) post(t *testing.T, path, body string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/services/data/v67.0"+path, strings.NewReader(body))
	rep := s.dispatch(&call{Request: r, route: parseRoute(r.URL.Path), body: body})
	require.Equal(t, http.StatusOK, rep.status, string(rep.body))
	return string(rep.body)
}

// TestAWriteWaitsForRowsThatAreLocked refuses the record whose parent stays locked, and no other.
func TestAWriteWaitsForRowsThatAreLocked(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	s := lockServer(t)
	release, refused := s.locks.acquire(t.Context(), []string{lockedAccount})
	require.Empty(t, refused)
	const both = `{"records":[{"attributes":{"type":"Contact"},"LastName":"Roe","AccountId":"` + lockedAccount + `"},{"attributes":{"type":"Contact"},"LastName":"Free"}]}`
	body := s.post(t, "/composite/sobjects", both)
	require.Equal(t, 1, strings.Count(body, `"UNABLE_TO_LOCK_ROW"`), body)
	require.Contains(t, body, "unable to obtain exclusive access to this record or 1 records: "+lockedAccount)
	require.Equal(t, 1, s.org.Counts()["Contact"])
	release()
	require.NotContains(t, s.post(t, "/composite/sobjects", both), "UNABLE_TO_LOCK_ROW")
}

// TestATransactionWaitsForRowsThatAreLocked locks what a transaction needs: a parent that it names, and one that only an
// answer within it names.
func TestATransactionWaitsForRowsThatAreLocked(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-46")
	const named = `[{"method":"POST","url":"/services/data/v67.0/sobjects/Account","referenceId":"new","body":{"Name":"New"}},
		{"method":"POST","url":"/services/data/v67.0/sobjects/Contact","referenceId":"con","body":{"LastName":"Roe","AccountId":"` + lockedAccount + `"}}]`
	const found = `[{"method":"GET","url":"/services/data/v67.0/sobjects/Account/` + lockedAccount + `","referenceId":"got"},
		{"method":"POST","url":"/services/data/v67.0/sobjects/Contact","referenceId":"con","body":{"LastName":"Roe","AccountId":"@{got.Id}"}}]`
	for name, tc := range map[string][2]string{
		"Composite":  {"/composite", `{"allOrNone":true,"compositeRequest":` + named + `}`},
		"References": {"/composite", `{"allOrNone":true,"compositeRequest":` + found + `}`},
		"Graph":      {"/composite/graph", `{"graphs":[{"graphId":"g","compositeRequest":` + named + `}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lockServer(t)
			release, refused := s.locks.acquire(t.Context(), []string{lockedAccount})
			require.Empty(t, refused)
			body := s.post(t, tc[0], tc[1])
			require.Contains(t, body, `"errorCode":"UNABLE_TO_LOCK_ROW"`)
			require.Contains(t, body, "unable to obtain exclusive access to this record or 1 records: "+lockedAccount)
			require.Contains(t, body, `"errorCode":"PROCESSING_HALTED"`)
			require.Equal(t, 0, s.org.Counts()["Contact"])
			release()

			body = s.post(t, tc[0], tc[1])
			require.NotContains(t, body, "errorCode")
			require.Equal(t, 1, s.org.Counts()["Contact"])
			release, refused = s.locks.acquire(t.Context(), []string{lockedAccount})
			require.Empty(t, refused, "a transaction leaves no lock behind")
			release()
		})
	}
}
