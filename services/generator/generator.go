package generator

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/generator/world"
)

// Second words of the PCG seeds: "stream" and "scribe" in ASCII.
const (
	streamSeed = 0x73747265616d
	scribeSeed = 0x736372696265
)

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Event is one record for the customer's topic. Its byte slices are valid until the next one is asked for; Clone makes
// one that lasts.
type Event struct {
	// Key is the viewing session.
	Key []byte
	// Value is what a producer would send; malformed ones may be anything, even empty.
	Value   []byte
	Headers []Header
	// At is when it happened, by the producer's clock.
	At time.Time
	// Malformed says what is wrong with it, for statistics; a consumer has to find out by itself.
	Malformed Malformation
}

// Clone returns a copy that shares no memory with the original.
func (e Event) Clone() Event {
	e.Key, e.Value = slices.Clone(e.Key), slices.Clone(e.Value)
	if e.Value == nil {
		e.Value = []byte{}
	}
	e.Headers = slices.Clone(e.Headers)
	for i := range e.Headers {
		e.Headers[i].Value = slices.Clone(e.Headers[i].Value)
	}
	return e
}

// Generator makes a stream. It is safe for concurrent use; every iteration is independent.
type Generator struct {
	cfg   Config
	world *world.World
}

// New makes the world and gets ready to make the stream. Errors name the key that is out of its bounds.
func New(cfg Config) (*Generator, error) {
	cfg.Now = cfg.Now.UTC().Truncate(time.Millisecond)
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	w, err := world.New(cfg.world())
	if err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	return &Generator{cfg: cfg, world: w}, nil
}

// World returns the customers and people that the stream is about. Callers must not change it.
func (g *Generator) World() *world.World { return g.world }

// Events yields exactly Config.Events events in the order in which they arrive, from the beginning each time.
func (g *Generator) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		p := newPlanner(g.cfg, g.world)
		out := &writer{
			scribe: scribe{oversize: g.cfg.OversizeBytes},
			rnd:    rand.New(rand.NewPCG(g.cfg.Seed, scribeSeed)),
			yield:  yield,
		}
		a := arrivals{planner: p, left: g.cfg.Events, clock: g.cfg.Now.Add(-g.cfg.Window).UnixMilli()}
		a.end = g.cfg.Now.Add(-sessionCap - 4*time.Minute).UnixMilli()
		var due queue
		next := a.next()
		for len(due) > 0 || next != nil {
			if next != nil && (len(due) == 0 || next.steps[0].arrives <= due[0].arrives) {
				due.push(entry{arrives: next.steps[0].arrives, number: a.sessions, session: next})
				next = a.next()
				continue
			}
			s := due[0].session
			if !out.send(s) {
				return
			}
			if s.next == len(s.steps) {
				due.pop()
				continue
			}
			due[0].arrives = s.steps[s.next].arrives
			due.settle()
		}
	}
}

// arrivals starts sessions: a Poisson process whose rate is adjusted with every arrival, so that the last event wanted
// is reached at the end of the window.
type arrivals struct {
	planner  *planner
	left     int
	sessions int
	planned  int
	clock    int64
	end      int64
}

// expectedSteps is the length of a session before any was planned.
const expectedSteps = 12

// next plans the session that starts next, or returns nil when there are events enough.
func (a *arrivals) next() *session {
	if a.left == 0 {
		return nil
	}
	mean := float64(a.planned+expectedSteps) / float64(a.sessions+1)
	gap := float64(a.end-a.clock) / max(1, float64(a.left)/mean)
	a.clock = min(a.end, a.clock+int64(a.planner.rnd.ExpFloat64()*gap))
	s := a.planner.plan(a.clock)
	if len(s.steps) > a.left {
		s.steps = s.steps[:a.left]
	}
	a.left -= len(s.steps)
	a.planned += len(s.steps)
	a.sessions++
	return s
}

// writer turns steps into events.
type writer struct {
	scribe scribe
	rnd    *rand.Rand
	yield  func(Event) bool
	value  []byte
	key    []byte
}

// send yields the session's next step and reports whether more are wanted.
func (w *writer) send(s *session) bool {
	st := &s.steps[s.next]
	s.next++
	var headers []Header
	w.value, headers = w.scribe.write(w.value[:0], s, st, w.rnd)
	w.key = append(w.key[:0], s.key...)
	return w.yield(Event{
		Key: w.key, Value: w.value, Headers: headers, At: time.UnixMilli(st.at).UTC(), Malformed: st.malformed,
	})
}

// workspace is a workspace with what the traffic needs of it.
type workspace struct {
	*world.Workspace
	zone       *time.Location
	contents   []*content
	gatherings []*content
	popularity *rand.Zipf
}

// content is a content, ready to be written.
type content struct {
	*world.Content
	json       []byte
	proto      *sourcev1.Content
	buttonJSON []byte
	target     string
}

func newPlanner(cfg Config, w *world.World) *planner {
	p := &planner{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, streamSeed))}
	for _, ws := range w.Workspaces {
		zone, err := time.LoadLocation(ws.Org.TimeZone)
		if err != nil {
			panic("generator: " + err.Error()) // New has validated it
		}
		entry := &workspace{Workspace: ws, zone: zone, gatherings: newGatherings(ws)}
		for _, c := range ws.Contents {
			entry.contents = append(entry.contents, newContent(c))
		}
		entry.popularity = rand.NewZipf(p.rnd, 1.2, 3, uint64(len(ws.Contents)/2-1))
		p.workspaces = append(p.workspaces, entry)
		p.weights += ws.Weight
	}
	return p
}

func newContent(c *world.Content) *content {
	out := &content{Content: c, target: "https://shop.example/next?content=" + c.ID + "&email=a%40b.example"}
	out.proto = &sourcev1.Content{
		Id: c.ID, Title: c.Title, Url: c.URL, LengthSeconds: c.LengthSeconds, PageCount: uint32(c.Pages),
		OwnerEmail: c.OwnerEmail, OwnerName: c.OwnerName, PublishedAt: timestamppb.New(c.PublishedAt),
	}
	out.json = mustJSON(struct {
		ID            string  `json:"id"`
		Title         string  `json:"title"`
		URL           string  `json:"url"`
		LengthSeconds float64 `json:"lengthSeconds,omitempty"`
		PageCount     int     `json:"pageCount,omitempty"`
		OwnerEmail    string  `json:"ownerEmail,omitempty"`
		OwnerName     string  `json:"ownerName,omitempty"`
		PublishedAt   string  `json:"publishedAt"`
	}{
		c.ID, c.Title, c.URL, c.LengthSeconds, c.Pages, c.OwnerEmail, c.OwnerName,
		c.PublishedAt.Format(time.RFC3339),
	})
	out.buttonJSON = mustJSON(c.CallToAction)
	return out
}
