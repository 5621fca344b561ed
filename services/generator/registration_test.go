package generator_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/generator"
)

func TestRegistrationsComeOnDemand(t *testing.T) {
	t.Parallel()
	cfg, err := generator.Preset("registrations")
	require.NoError(t, err)
	cfg.Now, cfg.Events, cfg.Shares.Registrations = noon, 3000, 1
	seen := map[string]map[string]time.Time{} // by registration: what happened when
	kinds := map[string]int{}
	tests, invited := 0, 0
	for e := range newGenerator(t, cfg).Events() {
		require.Zero(t, e.Malformed)
		var body struct {
			Type string
			Time time.Time
			Data struct {
				Content      struct{ ID string }
				Viewer       struct{ Email string }
				Registration struct {
					ID      string
					Company string
					Test    bool
					Origin  *struct{ InvitationID string }
				}
			}
		}
		require.NoError(t, json.Unmarshal(e.Value, &body))
		kind, ok := strings.CutPrefix(body.Type, "throughline.registration.")
		require.True(t, ok, body.Type)
		r := body.Data.Registration
		require.Equal(t, r.ID, string(e.Key))
		require.NotEmpty(t, body.Data.Content.ID)
		require.NotEmpty(t, body.Data.Viewer.Email)
		require.NotEmpty(t, r.Company, "every event has all of it")
		if seen[r.ID] == nil {
			seen[r.ID] = map[string]time.Time{}
		}
		if seen[r.ID][kind].IsZero() {
			kinds[kind]++
			if kind == "created.v1" && r.Test {
				tests++
			}
			if kind == "created.v1" && r.Origin != nil {
				invited++
			}
		}
		seen[r.ID][kind] = body.Time
	}
	for id, happened := range seen {
		for _, later := range []string{"changed.v1", "cancelled.v1"} {
			if at, ok := happened[later]; ok && !happened["created.v1"].IsZero() {
				require.True(t, at.After(happened["created.v1"]), id)
			}
		}
	}
	made := float64(kinds["created.v1"])
	require.InDelta(t, 0.3, float64(kinds["changed.v1"])/made, 0.06)
	require.InDelta(t, 0.15, float64(kinds["cancelled.v1"])/made, 0.05)
	require.NotZero(t, tests)
	require.NotZero(t, invited)
}

func TestWithoutRegistrationsAStreamIsWhatItWas(t *testing.T) {
	t.Parallel()
	for e := range newGenerator(t, config(5000)).Events() {
		require.NotContains(t, string(e.Value), "throughline.registration.")
	}
}
