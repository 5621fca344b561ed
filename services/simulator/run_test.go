package simulator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/throughline-dev/throughline/services/simulator"
)

func TestRun(t *testing.T) {
	t.Parallel()

	t.Run("ServesUntilToldToStop", func(t *testing.T) {
		t.Parallel()
		cfg := childConfig(t.TempDir())
		sim, err := simulator.New(cfg, simulator.Deps{})
		require.NoError(t, err)
		require.Empty(t, sim.Addr())
		sc, err := simulator.ParseScenario([]byte(scenarioText))
		require.NoError(t, err)
		require.NoError(t, sim.Seed(t.Context(), sc))
		require.NoError(t, sim.Listen(t.Context()))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- sim.Run(ctx) }()
		session, err := token(sim.BaseURL("acme"))
		require.NoError(t, err)
		require.True(t, upsert(sim.BaseURL("acme"), session, 1))
		stop()
		require.NoError(t, <-done)
		require.NoError(t, sim.Close(), "closing twice is harmless")
		require.False(t, upsert(sim.BaseURL("acme"), session, 2))
	})

	t.Run("CallCountersAndTokensOutliveTheProcess", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		session := ""
		var used []string
		for range 2 {
			sim, err := simulator.New(childConfig(dir), simulator.Deps{})
			require.NoError(t, err)
			sc, err := simulator.ParseScenario([]byte(scenarioText))
			require.NoError(t, err)
			require.NoError(t, sim.Seed(t.Context(), sc))
			server := httptest.NewServer(sim.Handler())
			base := server.URL + "/orgs/acme"
			if session == "" {
				session, err = token(base)
				require.NoError(t, err)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/services/data/v67.0/limits", nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+session)
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusOK, res.StatusCode)
			used = append(used, res.Header.Get("Sforce-Limit-Info"))
			server.Close()
			require.NoError(t, sim.Close())
		}
		require.Equal(t, []string{"api-usage=1/100000", "api-usage=2/100000"}, used)
	})

	t.Run("PackageFieldsAreReadBack", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		sim, err := simulator.New(childConfig(dir), simulator.Deps{})
		require.NoError(t, err)
		require.NoError(t, sim.Seed(t.Context(), &simulator.Scenario{Orgs: []simulator.Org{{
			Key: "acme", Package: true, Records: []simulator.Rows{{Object: "Task", Rows: []map[string]any{{"Subject": "S", "Throughline_Key__c": "k"}}}},
		}}}))
		require.NoError(t, sim.Close())
		sim, err = simulator.New(childConfig(dir), simulator.Deps{})
		require.NoError(t, err)
		require.NoError(t, sim.Open(t.Context()))
		var out strings.Builder
		require.NoError(t, sim.Export(t.Context(), &out, simulator.Selection{Org: "acme", Object: "Task"}))
		require.Contains(t, out.String(), `"Throughline_Key__c":"k"`)
		require.NoError(t, sim.Close())
	})

	t.Run("Stress", func(t *testing.T) {
		t.Parallel()
		for range 50 {
			sim, err := simulator.New(childConfig(""), simulator.Deps{})
			require.NoError(t, err)
			ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
			if err := sim.Run(ctx); err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded) // the end came before the listener
			}
			stop()
		}
	})
}

func TestConfigNamesTheKey(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*simulator.Config){
		"listen":        func(c *simulator.Config) { c.Listen = "nowhere" },
		"drain_timeout": func(c *simulator.Config) { c.DrainTimeout = 0 },
	} {
		cfg := simulator.DefaultConfig()
		change(&cfg)
		_, err := simulator.New(cfg, simulator.Deps{})
		require.ErrorContains(t, err, want+":")
	}
}

// TestNothingIsLeftBehind runs alone: it looks for goroutines.
func TestNothingIsLeftBehind(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	sim, err := simulator.New(childConfig(t.TempDir()), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, sim.Listen(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, sim.Run(ctx))
	goleak.VerifyNone(t, ignore)
}

// FuzzBodies sends any bytes to the resources that read bodies; none may panic or break the org.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"records":[{"attributes":{"type":"Lead"},"LastName":"L","Company":"C"}]}`, `{"records":[{"External_Id__c":"x","Lead__r":{"Email":"a"}}]}`,
		`{"records":null}`, `[]`, `{"LastName":1}`, `{"compositeRequest":[{"method":"GET","url":"/services/data/v67.0/limits","referenceId":"a"}]}`,
		`{"batchRequests":[{"method":"PATCH","url":"v67.0/sobjects/Lead/x","richInput":{"a":1}}]}`, `{"ids":["x"],"fields":["Id"]}`, "\x00", `{"Percent_Watched__c":1e400}`,
	} {
		f.Add(uint8(0), body)
	}
	sc, err := simulator.ParseScenario([]byte(scenarioText))
	require.NoError(f, err)
	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{})
	require.NoError(f, err)
	require.NoError(f, sim.Seed(context.Background(), sc))
	handler := sim.Handler()
	server := httptest.NewServer(handler)
	f.Cleanup(server.Close)
	session, err := token(server.URL + "/orgs/acme")
	require.NoError(f, err)
	targets := []string{
		"POST /sobjects/Lead", "POST /composite/sobjects", "PATCH /composite/sobjects", "PATCH /composite/sobjects/Engagement__c/External_Id__c",
		"PATCH /sobjects/Engagement__c/External_Id__c/k", "POST /composite", "POST /composite/batch", "POST /composite/sobjects/Lead", "POST /sobjects/Task",
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		method, path, _ := strings.Cut(targets[int(which)%len(targets)], " ")
		req := httptest.NewRequest(method, "/orgs/acme/services/data/v67.0"+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+session)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if rec.Code >= http.StatusInternalServerError {
			t.Fatalf("%s %s %q: %d %s", method, path, body, rec.Code, rec.Body)
		}
	})
}
