package config_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// orgText is the simulated org; %s takes what an administrator added to it.
const orgText = `
orgs:
  - key: acme
    name: Acme
    package: true
    apps: [{client_id: consumer, client_secret: consumer-secret, run_as: integration@acme.example}]
    users:
      - {username: integration@acme.example, last_name: Integration, profile: Integration}
    profiles: [{name: Integration%PROFILE%}]
    objects:
      - name: Score__c
        fields:
          - {name: Key__c, type: string, length: 64, external_id: true, unique: true}
          - {name: Loose_Key__c, type: string, length: 64}
          - {name: Points__c, type: double, precision: 8, scale: 2}
          - {name: Note__c, type: string, length: 100}
%FIELDS%`

// liveOrg is a simulated org behind one address, whose administrators change it.
type liveOrg struct {
	server  *httptest.Server
	handler atomic.Pointer[http.Handler]
	sim     *simulator.Simulator
	clock   interface{ Now() time.Time }
	down    atomic.Bool
	asked   atomic.Int64
}

// change makes the org anew, with other fields and rights. Sessions end by it, as they do in a refreshed sandbox.
func (o *liveOrg) change(t *testing.T, fields, profile string) {
	t.Helper()
	o.make(t, strings.NewReplacer("%FIELDS%", fields, "%PROFILE%", profile).Replace(orgText))
}

func (o *liveOrg) make(t *testing.T, scenario string) {
	t.Helper()
	sc, err := simulator.ParseScenario([]byte(scenario))
	require.NoError(t, err)
	o.sim, err = simulator.New(simulator.DefaultConfig(), simulator.Deps{Clock: o.clock})
	require.NoError(t, err)
	require.NoError(t, o.sim.Seed(t.Context(), sc))
	h := o.sim.Handler()
	o.handler.Store(&h)
}

// install makes the org anew with a version of the package, or without it.
func (o *liveOrg) install(t *testing.T, version string) {
	t.Helper()
	how := "package: true\n    package_version: \"" + version + "\""
	if version == "" {
		how = "package: false"
	}
	o.make(t, strings.NewReplacer("%FIELDS%", "", "%PROFILE%", "", "package: true", how).Replace(orgText))
}

// retire makes the org anew, with an oldest version of the API.
func (o *liveOrg) retire(t *testing.T, oldest string) {
	t.Helper()
	o.make(t, strings.NewReplacer("%FIELDS%", stageField, "%PROFILE%", "",
		"package: true", "package: true\n    api: {oldest_version: "+oldest+"}").Replace(orgText))
}

// encrypt makes the org anew with a field that is encrypted probabilistically.
func (o *liveOrg) encrypt(t *testing.T, field string) {
	t.Helper()
	o.make(t, strings.NewReplacer("%FIELDS%", stageField, "%PROFILE%", "",
		"package: true", "package: true\n    encrypted: {"+field+": probabilistic}").Replace(orgText))
}

const (
	stageField = "          - {name: Stage__c, type: picklist, values: [Open, Closed], restricted: true}\n"
	wonToo     = "          - {name: Stage__c, type: picklist, values: [Open, Won], restricted: true}\n"
)
