package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/simulator"
)

// simulated are the orgs, wherever their simulator runs: what people do there, faults and what stands in them, by the control
// API.
type simulated struct {
	t   *testing.T
	url string
	ids map[string]string // of seeded records: connection/name
}

// scenario is the YAML that makes a plan's orgs.
func scenario(p *plan) string {
	var yaml strings.Builder
	yaml.WriteString("orgs:\n")
	for _, o := range p.places() {
		fmt.Fprintf(&yaml, `
  - key: %s
    package: %t
    api: {daily_limit: 1000000}
    apps: [{client_id: app, client_secret: secret, run_as: integration@acme.example}]
    users: [{username: integration@acme.example, last_name: Integration}]
    records:
      Campaign: [{Name: campaign, IsActive: true}]
      Lead:
`, o.key, !o.bare)
		names := []string{"gone0", "gone1", "gone2", "winner"}
		for i := range leadsPerOrg {
			names = append(names, fmt.Sprint("lead", i))
		}
		for _, name := range names {
			fmt.Fprintf(&yaml, "        - {LastName: %s, Company: 東洋, Email: %s@toyo.example}\n", name, name)
		}
	}
	return yaml.String()
}

// startOrgs makes the orgs in this process.
func startOrgs(t *testing.T, p *plan, observe func(simulator.Change)) *simulated {
	t.Helper()
	sc, err := simulator.ParseScenario([]byte(scenario(p)))
	require.NoError(t, err)
	sim, err := simulator.New(simulator.DefaultConfig(), simulator.Deps{Observe: observe})
	require.NoError(t, err)
	require.NoError(t, sim.Seed(t.Context(), sc))
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)
	return learn(t, p, server.URL)
}

// learn gets to know the ids of the orgs' records.
func learn(t *testing.T, p *plan, url string) *simulated {
	t.Helper()
	s := &simulated{t: t, url: url, ids: map[string]string{}}
	for _, o := range p.places() {
		for _, lead := range s.export(o.key, "Lead") {
			s.ids[o.key+"/@"+lead.text("LastName")] = lead.text("Id")
		}
		s.ids[o.key+"/@campaign"] = s.export(o.key, "Campaign")[0].text("Id")
	}
	return s
}

// id is the id of the seeded record of that name; other names are as they are.
func (s *simulated) id(connection, name string) string {
	if id, ok := s.ids[connection+"/"+name]; ok {
		return id
	}
	return name
}

// control asks the simulator's control API.
func (s *simulated) control(method, path string, body io.Reader) io.Reader {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/_sim/"+path, body)
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Less(s.t, resp.StatusCode, 300, "%s", answer)
	return strings.NewReader(string(answer))
}

func (s *simulated) export(connection, object string) []record {
	s.t.Helper()
	var all []record
	for dec := json.NewDecoder(s.control(http.MethodGet, "export?org="+connection+"&object="+object, nil)); dec.More(); {
		var r record
		require.NoError(s.t, dec.Decode(&r))
		all = append(all, r)
	}
	return all
}

// breakDown puts faults in force.
func (s *simulated) breakDown(faults []simulator.Fault) {
	s.t.Helper()
	if len(faults) == 0 {
		return
	}
	rules, err := yaml.Marshal(faults)
	require.NoError(s.t, err)
	s.control(http.MethodPost, "faults", strings.NewReader(string(rules)))
}

// recover ends all faults.
func (s *simulated) recover() {
	s.t.Helper()
	s.control(http.MethodDelete, "faults", nil)
}

// hits counts which faults have hit so far.
func (s *simulated) hits() map[string]int {
	s.t.Helper()
	var rules []struct {
		Action, Route string
		Hit           int
	}
	require.NoError(s.t, json.NewDecoder(s.control(http.MethodGet, "faults", nil)).Decode(&rules))
	hits := map[string]int{}
	for _, r := range rules {
		hits[r.Action] += r.Hit
		if strings.HasPrefix(r.Route, "bulk.") {
			hits[r.Action+" on "+r.Route] += r.Hit
		}
	}
	return hits
}

// happen does in the org what somebody does there.
func (s *simulated) happen(e event) {
	s.t.Helper()
	lead := s.id(e.org, "@"+e.lead)
	switch e.path {
	case "convert":
		s.control(http.MethodPost, "convert?org="+e.org+"&lead="+lead, nil)
	case replace: // see world.happen
	case "merge":
		s.control(http.MethodPost, "merge?org="+e.org+"&winner="+s.id(e.org, "@winner")+"&loser="+lead, nil)
	default:
		s.remove(e.org, lead)
	}
}

// remove deletes a lead through the front door, as a person would, again and again if faults are in the way.
func (s *simulated) remove(connection, lead string) {
	s.t.Helper()
	login := &grant{url: s.url + "/orgs/" + connection}
	address := login.url + "/services/data/v66.0/sobjects/Lead/" + lead
	require.Eventually(s.t, func() bool {
		token, err := login.Token(s.t.Context())
		if err != nil {
			return false
		}
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodDelete, address, nil)
		if err != nil {
			return false
		}
		req.Header.Set("Authorization", "Bearer "+token.AccessToken.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		login.Refused(s.t.Context(), token)
		return resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotFound
	}, patience, time.Millisecond)
}

// unhurried gives up no answer because the machine is busy: answers get lost as the plan says.
func unhurried() salesforce.Config {
	cfg := salesforce.DefaultConfig()
	cfg.Timeout = 10 * time.Minute
	return cfg
}

// grant gets a token by client credentials, and another one after every refusal.
type grant struct {
	url   string
	mu    sync.Mutex
	token salesforce.Token
}

// errNoToken is what the token service's clients see of an org that gives no token just now.
var errNoToken = errors.New("no token could be had")

// Token implements salesforce.TokenSource.
func (g *grant) Token(ctx context.Context) (salesforce.Token, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.token.AccessToken.IsEmpty() {
		return g.token, nil
	}
	t, err := oauth.ClientCredentials(ctx, oauth.Request{LoginURL: g.url, ClientID: "app", ClientSecret: secret.New("secret")})
	if err != nil {
		return salesforce.Token{}, errNoToken
	}
	g.token = salesforce.Token{AccessToken: t.AccessToken, InstanceURL: t.InstanceURL}
	return g.token, nil
}

// Refused implements salesforce.TokenSource.
func (g *grant) Refused(_ context.Context, token salesforce.Token) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token.AccessToken.Equal(token.AccessToken) {
		g.token = salesforce.Token{}
	}
}
