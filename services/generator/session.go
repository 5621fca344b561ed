package generator

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"time"

	"github.com/throughline-dev/throughline/services/generator/world"
)

// verb is what a step of a session does.
type verb uint8

const (
	videoStarted verb = iota
	videoProgress
	videoEnded
	ctaClicked
	documentOpened
	pageViewed
	documentClosed
	registrationCreated
	registrationChanged
	registrationCancelled
)

// format is how a producer writes its events.
type format uint8

const (
	structured format = iota
	protobuf
	binary
)

// span is a stretch of a video, in seconds.
type span struct{ from, to float64 }

// step is one event of a session, before it is written down. Times are Unix milliseconds.
type step struct {
	at, arrives int64
	id          [16]byte
	verb        verb
	// content and viewer are indexes into the session's contents and identities.
	content, viewer uint8
	malformed       Malformation
	completed       bool
	page            int
	dwell           float64
	spans           []span
	// registration is a JSON object.
	registration []byte
}

// session is one sitting: all it will send, in order of arrival.
type session struct {
	key        string
	workspace  *workspace
	format     format
	zone       *time.Location
	contents   []*content
	identities []identity
	steps      []step
	next       int
}

// sessionCap is the longest sitting; it keeps all events before Config.Now.
const sessionCap = 26 * time.Minute

// planner plans sessions. It owns the stream's random source.
type planner struct {
	cfg        Config
	rnd        *rand.Rand
	workspaces []*workspace
	weights    float64
	// state while one session is planned
	s        *session
	clock    int64
	deadline int64
	content  uint8
	viewer   uint8
}

// plan makes one session that starts at the time.
func (p *planner) plan(start int64) *session {
	s := &session{workspace: p.workspace(), zone: time.UTC, steps: make([]step, 0, 32)}
	p.s, p.clock, p.deadline, p.viewer = s, start, start+sessionCap.Milliseconds(), 0
	if share := p.cfg.Shares.Registrations; share > 0 && p.chance(share) {
		p.register()
		p.deliver()
		p.arrange()
		return s
	}
	var key [10]byte
	fill(p.rnd, key[:])
	s.key = "s-" + hex.EncodeToString(key[:])
	p.producer()
	who := p.draw()
	visits := 1
	if p.chance(p.cfg.Shares.SeveralContents) {
		visits = 2 + p.rnd.IntN(2)
	}
	p.pick(visits, who)
	p.identify(who)
	for i := range s.contents {
		p.content = uint8(i)
		p.visit()
		if i == 0 {
			p.change(who)
		}
		p.wait(2, 40)
	}
	p.deliver()
	p.spoil()
	return s
}

// workspace draws one by weight.
func (p *planner) workspace() *workspace {
	at := p.rnd.Float64() * p.weights
	for _, ws := range p.workspaces {
		if at -= ws.Weight; at < 0 {
			return ws
		}
	}
	return p.workspaces[len(p.workspaces)-1]
}

// producer draws how the session's events are written. Every fifth session states its times in the org's zone.
func (p *planner) producer() {
	switch u := p.rnd.Float64(); {
	case u < p.cfg.Shares.Protobuf:
		p.s.format = protobuf
	case u < p.cfg.Shares.Protobuf+p.cfg.Shares.Binary:
		p.s.format = binary
	}
	if p.chance(0.2) {
		p.s.zone = p.s.workspace.zone
	}
}

// pick draws different contents by popularity: the rank is Zipf-distributed (s 1.2, v 3), within videos or documents.
func (p *planner) pick(n int, who who) {
	for tries := 0; len(p.s.contents) < n && tries < 100; tries++ {
		rank := int(p.s.workspace.popularity.Uint64())
		kind := 0
		if p.chance(p.cfg.Shares.Documents) {
			kind = 1
		}
		c := p.s.workspace.contents[2*rank+kind]
		if who == owner && (c.OwnerEmail == "" || !c.Tracks()) {
			continue
		}
		if !contains(p.s.contents, c) {
			p.s.contents = append(p.s.contents, c)
		}
	}
	if len(p.s.contents) == 0 {
		p.s.contents = append(p.s.contents, p.s.workspace.contents[0])
	}
}

func contains(contents []*content, c *content) bool {
	for _, other := range contents {
		if other == c {
			return true
		}
	}
	return false
}

// visit plans one visit of the current content, and what comes after its close.
func (p *planner) visit() {
	c := p.s.contents[p.content]
	if c.Kind == world.Video {
		p.watch(c)
	} else {
		p.read(c)
	}
}

// do adds a step at the present moment of the session.
func (p *planner) do(st step) {
	st.at, st.content, st.viewer = p.clock, p.content, p.viewer
	st.id = p.uuid(p.clock)
	p.s.steps = append(p.s.steps, st)
}

// wait moves the session's clock by from to to seconds.
func (p *planner) wait(from, to float64) {
	p.clock += int64(1000 * (from + p.rnd.Float64()*(to-from)))
}

// over reports that the session has reached its longest duration.
func (p *planner) over() bool { return p.clock >= p.deadline }

func (p *planner) chance(probability float64) bool { return p.rnd.Float64() < probability }

// logNormal draws with the median and the spread, at most the limit, to a tenth.
func (p *planner) logNormal(median, sigma, limit float64) float64 {
	return tenth(math.Min(limit, median*math.Exp(sigma*p.rnd.NormFloat64())))
}

func tenth(x float64) float64 { return math.Round(x*10) / 10 }

// uuid makes a version 7 UUID: the event's time in milliseconds, the rest by chance.
func (p *planner) uuid(ms int64) (id [16]byte) {
	fill(p.rnd, id[6:])
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id
}

func fill(rnd *rand.Rand, b []byte) {
	for i := 0; i < len(b); i += 8 {
		v := rnd.Uint64()
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(v)
			v >>= 8
		}
	}
}
