package oracle

import (
	"time"

	"github.com/throughline-dev/throughline/services/generator/world"
)

// Reason codes that the oracle counts, as requirements name them.
const (
	BadSchema   = "BAD_SCHEMA"
	BadTenant   = "BAD_TENANT"
	BadTime     = "BAD_TIME"
	BadEmail    = "BAD_EMAIL"
	TooLarge    = "TOO_LARGE"
	TrackingOff = "TRACKING_OFF"
	OwnView     = "OWN_VIEW"
	FlowSkipped = "FLOW_SKIPPED"
)

// Options are the settings that the oracle cannot read from the world.
type Options struct {
	// MaxEventBytes is the largest event that is accepted.
	MaxEventBytes int
	// Lateness is how old an event may be when it arrives.
	Lateness time.Duration
}

// DefaultOptions are those of a pipeline with default settings.
func DefaultOptions() Options { return Options{MaxEventBytes: 256 << 10, Lateness: 7 * 24 * time.Hour} }

// Oracle reads a stream. It belongs to one goroutine.
type Oracle struct {
	opts    Options
	world   *world.World
	tenants map[string]*tenant
	visits  map[visitKey]*visit
	order   []visitKey
	tally   Tally
}

// tenant is one workspace, ready for look-ups.
type tenant struct {
	*world.Workspace
	zone     *time.Location
	contents map[string]*world.Content
	people   *people
}

// Tally counts what happened to events on their way in. A repeated event counts again.
type Tally struct {
	// Events read.
	Events int
	// Rejected by reason: never accepted.
	Rejected map[string]int
	// Skipped by reason, at the entrance.
	Skipped map[string]int
	// AnonymousVisits never had an address; they are skipped with IDENTITY_UNKNOWN.
	AnonymousVisits int
	// Visits of known people.
	Visits int
}

// New prepares an oracle for the world's streams. Errors name a workspace whose time zone does not exist.
func New(w *world.World, opts Options) (*Oracle, error) {
	o := &Oracle{
		opts: opts, world: w, tenants: make(map[string]*tenant), visits: make(map[visitKey]*visit),
		tally: Tally{Rejected: make(map[string]int), Skipped: make(map[string]int)},
	}
	for _, ws := range w.Workspaces {
		zone, err := time.LoadLocation(ws.Org.TimeZone)
		if err != nil {
			return nil, &zoneError{workspace: ws.ID, err: err}
		}
		t := &tenant{Workspace: ws, zone: zone, contents: make(map[string]*world.Content), people: newPeople(&ws.Org)}
		for _, c := range ws.Contents {
			t.contents[c.ID] = c
		}
		o.tenants[ws.ID] = t
	}
	return o, nil
}

type zoneError struct {
	workspace string
	err       error
}

func (e *zoneError) Error() string { return "oracle: workspace " + e.workspace + ": " + e.err.Error() }

func (e *zoneError) Unwrap() error { return e.err }

// Observe takes the next record of the stream in. It keeps nothing of raw.
func (o *Oracle) Observe(raw Raw) {
	o.tally.Events++
	e, refused := o.read(&raw)
	if refused != "" {
		o.tally.Rejected[refused]++
		return
	}
	t := o.tenants[e.Workspace]
	if e.registration() { // HOPIN-5: the world's workspaces have no event set-up
		o.tally.Skipped[FlowSkipped]++
		return
	}
	if skipped := t.skips(e); skipped != "" {
		o.tally.Skipped[skipped]++
		return
	}
	key := visitKey{workspace: e.Workspace, session: e.Session, content: e.Data.Content.ID}
	v := o.visits[key]
	if v == nil {
		v = newVisit(kindOf(e))
		o.visits[key] = v
		o.order = append(o.order, key)
	}
	v.apply(e)
}

func kindOf(e *event) world.Kind {
	if e.document() {
		return world.Document
	}
	return world.Video
}

// read returns the event, or why it is refused.
func (o *Oracle) read(raw *Raw) (e *event, refused string) {
	if len(raw.Value) > o.opts.MaxEventBytes {
		return nil, TooLarge
	}
	e, err := parse(raw)
	if err != nil {
		return nil, BadSchema
	}
	e.Time = e.Time.UTC()
	if o.tenants[e.Workspace] == nil {
		return nil, BadTenant
	}
	// XC-6, LOOM-32.
	if age := o.world.Now.Sub(e.Time); age > o.opts.Lateness || age < -24*time.Hour {
		return nil, BadTime
	}
	// LOOM-22, IMM-31.
	if e.Data.Viewer.Evidence == "signed_in" && e.address() == "" {
		return nil, BadEmail
	}
	return e, ""
}

// skips returns why an event is not looked at any further (LOOM-20, LOOM-28).
func (t *tenant) skips(e *event) string {
	tracked := true
	if c := t.contents[e.Data.Content.ID]; c != nil {
		tracked = c.Tracked
	}
	if e.Data.Tracking != nil {
		tracked = *e.Data.Tracking
	}
	if !tracked {
		return TrackingOff
	}
	if who := e.address(); who != "" && who == address(e.Data.Content.OwnerEmail) {
		return OwnView
	}
	return ""
}
