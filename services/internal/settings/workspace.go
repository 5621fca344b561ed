package settings

import (
	"time"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// What applies when a workspace leaves a setting out.
const (
	DefaultSilence     = 30 * time.Minute
	DefaultSettle      = 2 * time.Minute
	DefaultCadence     = time.Minute
	DefaultViewSeconds = 5.0
	DefaultViewPercent = 75.0
	DefaultLateness    = 7 * 24 * time.Hour
)

// Workspace is one workspace's settings with the defaults applied. It never changes.
type Workspace struct {
	source       *configv1.WorkspaceSnapshot
	proto        *configv1.Workspace
	keys         *seal.Keys
	connections  []*configv1.Connection
	byConnection map[string]*configv1.Connection
	history      *history
	tracking     map[string]bool
	trackOthers  bool
	apiKeys      map[string]*configv1.ApiKey
	suppressed   map[string]*configv1.Suppression
	lapses       map[plan.Source][]*configv1.Lapse
	visits       visitRules
	lateness     time.Duration
}

type visitRules struct {
	silence, settle, cadence time.Duration
	viewSeconds, viewPercent float64
}

func newWorkspace(snapshot *configv1.WorkspaceSnapshot, keys *seal.Keys) *Workspace {
	ws := snapshot.GetWorkspace()
	w := &Workspace{
		source:       snapshot,
		proto:        ws,
		keys:         keys,
		connections:  snapshot.GetConnections(),
		byConnection: make(map[string]*configv1.Connection, len(snapshot.GetConnections())),
		history:      newHistory(snapshot.GetIntegrations()),
		tracking:     make(map[string]bool, len(snapshot.GetContentSettings())),
		trackOthers:  ws.TrackByDefault == nil || ws.GetTrackByDefault(),
		apiKeys:      make(map[string]*configv1.ApiKey, len(snapshot.GetApiKeys())),
		suppressed:   newSuppressed(snapshot.GetSuppressions()),
		visits:       newVisitRules(ws.GetVisits()),
		lateness:     DefaultLateness,
	}
	if ws.Lateness != nil {
		w.lateness = ws.GetLateness().AsDuration()
	}
	for _, l := range ws.GetLapses() {
		if w.lapses == nil {
			w.lapses = map[plan.Source][]*configv1.Lapse{}
		}
		w.lapses[l.GetSource()] = append(w.lapses[l.GetSource()], l)
	}
	for _, c := range snapshot.GetConnections() {
		w.byConnection[c.GetId()] = c
	}
	for _, c := range snapshot.GetContentSettings() {
		w.tracking[c.GetContentId()] = c.GetTracking()
	}
	for _, k := range snapshot.GetApiKeys() {
		w.apiKeys[k.GetId()] = k
	}
	return w
}

func newVisitRules(v *configv1.VisitSettings) visitRules {
	rules := visitRules{DefaultSilence, DefaultSettle, DefaultCadence, DefaultViewSeconds, DefaultViewPercent}
	if v.GetSilence() != nil {
		rules.silence = v.GetSilence().AsDuration()
	}
	if v.GetSettle() != nil {
		rules.settle = v.GetSettle().AsDuration()
	}
	if v.GetCadence() != nil {
		rules.cadence = v.GetCadence().AsDuration()
	}
	if v != nil && v.ViewSeconds != nil {
		rules.viewSeconds = v.GetViewSeconds()
	}
	if v != nil && v.ViewPercent != nil {
		rules.viewPercent = v.GetViewPercent()
	}
	return rules
}

// Proto returns the settings as they were saved, without defaults.
func (w *Workspace) Proto() *configv1.Workspace { return w.proto }

// ID is the tenant's stable id.
func (w *Workspace) ID() string { return w.proto.GetId() }

// Keys are the tenant's hashing and sealing keys.
func (w *Workspace) Keys() *seal.Keys { return w.keys }

// Connection returns one connection, without secrets.
func (w *Workspace) Connection(id string) (*configv1.Connection, bool) {
	c, ok := w.byConnection[id]
	return c, ok
}

// Connections returns all of them, by id. The slice must not be changed.
func (w *Workspace) Connections() []*configv1.Connection { return w.connections }

// IntegrationsAt returns what applies to an event that happened at t: of every integration the newest version in force
// at t, if that one is enabled, by id. An integration created after t does not apply (IMM-17). The slice must not be
// changed.
func (w *Workspace) IntegrationsAt(t time.Time) []*configv1.Integration { return w.history.at(t) }

// Lapse returns why the workspace is not entitled to a source at t, nil if it is (LOOM-1).
func (w *Workspace) Lapse(source plan.Source, t time.Time) *configv1.Lapse {
	return plan.Lapsed(w.lapses[source], t)
}

// Tracking reports whether views of the content are written to Salesforce.
func (w *Workspace) Tracking(contentID string) bool {
	if on, ok := w.tracking[contentID]; ok {
		return on
	}
	return w.trackOthers
}

// APIKey returns a producer's key by its public id. The caller compares hashes and checks the expiry.
func (w *Workspace) APIKey(id string) (*configv1.ApiKey, bool) {
	k, ok := w.apiKeys[id]
	return k, ok
}

// Silence is how long nothing may arrive before a visit is closed.
func (w *Workspace) Silence() time.Duration { return w.visits.silence }

// Settle is how long after an explicit close more activity continues the visit; it may be 0.
func (w *Workspace) Settle() time.Duration { return w.visits.settle }

// Cadence is the least time between two reports of an open visit.
func (w *Workspace) Cadence() time.Duration { return w.visits.cadence }

// ViewSeconds is how many watched seconds make a view.
func (w *Workspace) ViewSeconds() float64 { return w.visits.viewSeconds }

// ViewPercent is which share of the length, 0 to 100, makes a view of something short.
func (w *Workspace) ViewPercent() float64 { return w.visits.viewPercent }

// Lateness is how old an event may be when it arrives.
func (w *Workspace) Lateness() time.Duration { return w.lateness }
