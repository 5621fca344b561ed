package simulator_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

func TestPrivacyRecordsComeWithTheFeature(t *testing.T) {
	t.Parallel()
	sc, err := simulator.ParseScenario([]byte(`
orgs:
  - key: acme
    data_privacy: true
    apps: [{client_id: app, client_secret: secret, run_as: int@acme.example}]
    users: [{username: int@acme.example}]
    records:
      Individual: [{ref: mia, LastName: Fink, HasOptedOutTracking: true}]
      Lead: [{LastName: Fink, Company: C, Email: mia@viewer.example, IndividualId: "@mia"}, {LastName: Roe, Company: C}]
`))
	require.NoError(t, err)
	b := setupWith(t, sc)
	rows := b.query("SELECT LastName, Individual.HasOptedOutTracking, Individual.ShouldForget FROM Lead ORDER BY LastName")
	require.Equal(t, true, rows[0]["Individual"].(map[string]any)["HasOptedOutTracking"])
	require.Equal(t, false, rows[0]["Individual"].(map[string]any)["ShouldForget"])
	require.Nil(t, rows[1]["Individual"])
	_, body := b.call(http.MethodGet, "/sobjects/Contact/describe", "")
	require.Contains(t, body, `"name":"IndividualId"`)
	require.Regexp(t, "^0PK", b.id("Individual", "LastName = 'Fink'"))

	off := setup(t)
	status, _ := off.call(http.MethodGet, "/sobjects/Individual/describe", "")
	require.Equal(t, http.StatusNotFound, status)
	_, body = off.call(http.MethodGet, "/sobjects/Contact/describe", "")
	require.NotContains(t, body, "IndividualId")
}
