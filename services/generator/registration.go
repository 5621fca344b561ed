package generator

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/generator/world"
)

// eventsPerWorkspace is how many events a workspace takes registrations for.
const eventsPerWorkspace = 6

// newGatherings makes the events of a workspace. They draw nothing: without registrations a stream is what it was.
func newGatherings(ws *world.Workspace) []*content {
	all := make([]*content, eventsPerWorkspace)
	for n := range all {
		id := fmt.Sprintf("event-%s-%02d", ws.ID, n+1)
		all[n] = newContent(&world.Content{
			ID: id, Title: fmt.Sprintf("Customer day %d", n+1), URL: "https://events.example/e/" + id, Tracked: true,
			PublishedAt: time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC),
		})
	}
	return all
}

// registration is what an event says of a registration.
type registration struct {
	ID           string   `json:"id"`
	RegisteredAt string   `json:"registeredAt"`
	FirstName    string   `json:"firstName,omitempty"`
	LastName     string   `json:"lastName,omitempty"`
	Headline     string   `json:"headline,omitempty"`
	Company      string   `json:"company,omitempty"`
	Ticket       ticket   `json:"ticket"`
	Tags         []string `json:"tags,omitempty"`
	Answers      []answer `json:"answers,omitempty"`
	Test         bool     `json:"test,omitempty"`
	Origin       *origin  `json:"origin,omitempty"`
}

type ticket struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Code string `json:"integrationCode,omitempty"`
}

type answer struct {
	Question string   `json:"questionId"`
	Values   []string `json:"values"`
}

type origin struct {
	Invitation string `json:"invitationId"`
}

var (
	tickets   = []ticket{{"standard", "Standard", "STD"}, {"early", "Early bird", "EARLY"}, {"vip", "VIP", ""}}
	headlines = []string{"", "Head of sales", "営業部長", "CTO", "Buyer"}
	topics    = []string{"security", "pricing", "roadmap", "integration"}
)

// register plans one registration in the place of a session: it is made, three in ten change within ten minutes, and one in seven
// is cancelled after that. Three in a hundred are the organiser's tests, five came by an invitation from Salesforce.
func (p *planner) register() {
	var id [10]byte
	fill(p.rnd, id[:])
	p.s.key, p.s.format = "r-"+hex.EncodeToString(id[:]), structured
	p.s.contents = append(p.s.contents, p.s.workspace.gatherings[p.rnd.IntN(eventsPerWorkspace)])
	p.s.identities = append(p.s.identities[:0], identity{})
	p.reveal(p.spelling(sourcev1.Evidence_EVIDENCE_ASKED))
	r := registration{
		ID: p.s.key, RegisteredAt: time.UnixMilli(p.clock).UTC().Format(time.RFC3339), Ticket: tickets[p.rnd.IntN(len(tickets))],
		Headline: headlines[p.rnd.IntN(len(headlines))], Company: fmt.Sprintf("Company %02d", p.rnd.IntN(40)), Test: p.chance(0.03),
		Answers: []answer{{"q-topics", topics[:1+p.rnd.IntN(len(topics))]}},
	}
	name := p.s.identities[p.viewer].proto.GetName()
	if first, last, both := strings.Cut(name, " "); both {
		r.FirstName, r.LastName = first, last
	}
	if p.chance(0.4) {
		r.Tags = []string{"newsletter"}
	}
	if p.chance(0.05) {
		r.Origin = &origin{Invitation: "i-" + hex.EncodeToString(id[:4])}
	}
	p.content = 0
	p.do(step{verb: registrationCreated, registration: mustJSON(r)})
	if p.chance(0.3) {
		p.wait(10, 600)
		r.Headline, r.Company = headlines[p.rnd.IntN(len(headlines))], r.Company+" Ltd"
		p.do(step{verb: registrationChanged, registration: mustJSON(r)})
	}
	if p.chance(0.15) {
		p.wait(10, 600)
		p.do(step{verb: registrationCancelled, registration: mustJSON(r)})
	}
}
