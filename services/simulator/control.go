package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/site"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

// maxControlBody is the largest scenario that the control API takes.
const maxControlBody = 256 << 20

// control returns the control API.
func (s *Simulator) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/orgs", s.listOrgs)
	mux.HandleFunc("POST /_sim/orgs", s.applyScenario)
	mux.HandleFunc("DELETE /_sim/orgs/{key}", s.deleteOrg)
	mux.HandleFunc("POST /_sim/scenario", s.applyScenario)
	mux.HandleFunc("POST /_sim/reset", s.reset)
	mux.HandleFunc("GET /_sim/clock", s.showClock)
	mux.HandleFunc("POST /_sim/clock", s.setClock)
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.faults.List()) })
	mux.HandleFunc("POST /_sim/faults", s.addFaults)
	mux.HandleFunc("DELETE /_sim/faults", s.removeFaults)
	mux.HandleFunc("DELETE /_sim/faults/{id}", s.removeFaults)
	mux.HandleFunc("GET /_sim/stats", s.showStats)
	mux.HandleFunc("DELETE /_sim/stats", s.resetStats)
	mux.HandleFunc("GET /_sim/log", s.showLog)
	mux.HandleFunc("GET /_sim/export", s.export)
	mux.HandleFunc("POST /_sim/sessions", s.endSessions)
	mux.HandleFunc("POST /_sim/quota", s.setQuota)
	mux.HandleFunc("POST /_sim/rules", s.setRules)
	mux.HandleFunc("POST /_sim/move", s.move)
	mux.HandleFunc("POST /_sim/convert", s.convert)
	mux.HandleFunc("POST /_sim/merge", s.merge)
	mux.HandleFunc("POST /_sim/undelete", s.undelete)
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client is gone if this fails
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.Is(err, ErrUnknownOrg) {
		status = http.StatusNotFound
	}
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func readControl(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
	if err != nil {
		writeError(w, fmt.Errorf("read body: %w", err))
		return nil, false
	}
	return data, true
}

// orgView is one org in the list of orgs.
type orgView struct {
	Key       string         `json:"key"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Edition   string         `json:"edition"`
	TimeZone  string         `json:"timezone"`
	Language  string         `json:"language"`
	Sandbox   bool           `json:"sandbox"`
	Package   bool           `json:"package"`
	LoginURL  string         `json:"login_url"`
	CallsUsed int            `json:"calls_used"`
	CallLimit int            `json:"call_limit"`
	Records   map[string]int `json:"records"`
}

func (s *Simulator) viewOrg(t *tenant, base string) orgView {
	used, limit := t.quota.Usage(s.clock.Now())
	spec := t.org.Spec
	return orgView{
		Key: t.org.Key, ID: t.org.ID, Name: spec.Name, Edition: spec.Edition, TimeZone: spec.TimeZone, Language: spec.Language,
		Sandbox: spec.Sandbox, Package: spec.Package, LoginURL: base + "/orgs/" + t.org.Key, CallsUsed: used, CallLimit: limit,
		Records: t.org.Counts(),
	}
}

func (s *Simulator) listOrgs(w http.ResponseWriter, r *http.Request) {
	list := []orgView{}
	for _, t := range s.all() {
		list = append(list, s.viewOrg(t, site.Origin(r)))
	}
	writeJSON(w, http.StatusOK, list)
}

// applyScenario makes the orgs of a scenario. For orgs that exist the parameter mode decides: keep (default) leaves them,
// replace makes them anew, add puts the users and records into them.
func (s *Simulator) applyScenario(w http.ResponseWriter, r *http.Request) {
	data, ok := readControl(w, r)
	if !ok {
		return
	}
	sc, err := scenario.Parse(data)
	if err != nil {
		writeError(w, err)
		return
	}
	if err := s.apply(r.Context(), sc, r.URL.Query().Get("mode")); err != nil {
		writeError(w, err)
		return
	}
	s.listOrgs(w, r)
}

func (s *Simulator) apply(ctx context.Context, sc *scenario.Scenario, mode string) error {
	s.setup.Lock()
	defer s.setup.Unlock()
	switch mode {
	case "", "keep":
		return s.seed(ctx, sc)
	case "replace":
		for _, spec := range sc.Orgs {
			if _, exists := s.find(spec.Key); exists {
				if err := s.drop(ctx, spec.Key); err != nil {
					return err
				}
			}
		}
		return s.seed(ctx, sc)
	case "add":
		for _, spec := range sc.Orgs {
			if t, exists := s.find(spec.Key); exists {
				if err := t.org.Add(ctx, spec); err != nil {
					return err
				}
			}
		}
		return s.seed(ctx, sc)
	}
	return fmt.Errorf("mode: %q is none of keep, replace and add", mode)
}

func (s *Simulator) deleteOrg(w http.ResponseWriter, r *http.Request) {
	s.setup.Lock()
	defer s.setup.Unlock()
	if err := s.drop(r.Context(), r.PathValue("key")); err != nil {
		writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// reset brings back the scenario of an org (parameter org) or of all.
func (s *Simulator) reset(w http.ResponseWriter, r *http.Request) {
	if err := s.Reset(r.Context(), r.URL.Query().Get("org")); err != nil {
		writeError(w, err)
		return
	}
	s.listOrgs(w, r)
}

func (s *Simulator) showClock(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"now": s.clock.Now().UTC(), "frozen": s.clock.Frozen()})
}

// clockChange is the body of POST /_sim/clock. What is set is done in the order of the fields.
type clockChange struct {
	Reset   bool      `yaml:"reset"`
	Set     time.Time `yaml:"set"`
	Advance string    `yaml:"advance"`
	Freeze  *bool     `yaml:"freeze"`
}

func (s *Simulator) setClock(w http.ResponseWriter, r *http.Request) {
	data, ok := readControl(w, r)
	if !ok {
		return
	}
	var change clockChange
	if err := yaml.Unmarshal(data, &change); err != nil {
		writeError(w, err)
		return
	}
	if change.Reset {
		s.clock.Reset()
	}
	if !change.Set.IsZero() {
		s.clock.Set(change.Set)
	}
	if change.Advance != "" {
		d, err := time.ParseDuration(change.Advance)
		if err != nil {
			writeError(w, fmt.Errorf("advance: %w", err))
			return
		}
		s.clock.Advance(d)
	}
	if change.Freeze != nil {
		s.clock.Freeze(*change.Freeze)
	}
	s.showClock(w, r)
}

// addFaults takes a list of rules, or a mapping with the key "faults".
func (s *Simulator) addFaults(w http.ResponseWriter, r *http.Request) {
	data, ok := readControl(w, r)
	if !ok {
		return
	}
	rules, err := parseFaults(data)
	if err != nil {
		writeError(w, fmt.Errorf("faults: %w", err))
		return
	}
	ids, err := s.AddFaults(rules...)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{"ids": ids})
}

// parseFaults is strict: a fault with a slip in it that is not in force would make a test pass for nothing.
func parseFaults(data []byte) ([]faults.Rule, error) {
	var wrapped struct {
		Faults []faults.Rule `yaml:"faults"`
	}
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return nil, err
	}
	into := any(&wrapped)
	if len(node.Content) == 1 && node.Content[0].Kind == yaml.SequenceNode {
		into = &wrapped.Faults
	}
	strict := yaml.NewDecoder(bytes.NewReader(data))
	strict.KnownFields(true)
	if err := strict.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(wrapped.Faults) == 0 {
		return nil, errors.New("no rule given; send a list of rules, or a mapping with the key faults")
	}
	return wrapped.Faults, nil
}

func (s *Simulator) removeFaults(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]int{"removed": s.faults.Remove(r.PathValue("id"))})
}

// Fault is one scripted fault; docs/simulator.md describes its parts.
type Fault = faults.Rule

// AddFaults puts faults in force and returns their ids.
func (s *Simulator) AddFaults(rules ...Fault) ([]string, error) {
	for i := range rules {
		if err := rules[i].Validate(); err != nil {
			return nil, fmt.Errorf("faults[%d].%w", i, err)
		}
	}
	return s.faults.Add(rules...), nil
}

// RemoveFaults takes the fault with the id out, or all with an empty id, and returns how many there were.
func (s *Simulator) RemoveFaults(id string) int { return s.faults.Remove(id) }

// OrgStats sums up what one org was asked to do.
type OrgStats = stats.Org

// Stats returns what every org was asked to do, by org key.
func (s *Simulator) Stats() map[string]OrgStats { return s.stats.Snapshot() }

func (s *Simulator) showStats(w http.ResponseWriter, r *http.Request) {
	all := s.stats.Snapshot()
	if key := r.URL.Query().Get("org"); key != "" {
		writeJSON(w, http.StatusOK, all[key])
		return
	}
	writeJSON(w, http.StatusOK, all)
}

func (s *Simulator) resetStats(w http.ResponseWriter, r *http.Request) {
	s.stats.Reset(r.URL.Query().Get("org"))
	w.WriteHeader(http.StatusNoContent)
}

func (s *Simulator) showLog(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n <= 0 {
		n = 100
	}
	calls := s.stats.Last(r.URL.Query().Get("org"), n)
	if calls == nil {
		calls = []stats.Call{}
	}
	writeJSON(w, http.StatusOK, calls)
}
