package generator

import (
	"math"
	"net/url"
	"strings"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
)

// who says what a session reveals about its viewer.
type who uint8

const (
	known who = iota
	anonymous
	becomesKnown
	changesEvidence
	badAddress
	owner
)

// draw draws what the session reveals.
func (p *planner) draw() who {
	u, s := p.rnd.Float64(), p.cfg.Shares
	for _, c := range []struct {
		who   who
		share float64
	}{
		{anonymous, s.Anonymous},
		{becomesKnown, s.BecomesKnown},
		{changesEvidence, s.ChangesEvidence},
		{badAddress, s.BadAddress},
		{owner, s.OwnViews},
	} {
		if u -= c.share; u < 0 {
			return c.who
		}
	}
	return known
}

// identity is what events say about the viewer, ready to be written.
type identity struct {
	// json is the viewer object; nil: the events have none.
	json []byte
	// proto is the same as a message.
	proto *sourcev1.Viewer
}

// identify draws the session's first identity. The first of the list is always nobody.
func (p *planner) identify(w who) {
	p.s.identities = append(p.s.identities[:0], identity{})
	switch w {
	case known:
		p.reveal(p.spelling(p.evidence()))
	case changesEvidence:
		p.mistaken()
	case badAddress:
		p.reveal(badAddresses[p.rnd.IntN(len(badAddresses))], "", sourcev1.Evidence_EVIDENCE_LINK)
	case owner:
		c := p.s.contents[0]
		p.reveal(c.OwnerEmail, c.OwnerName, sourcev1.Evidence_EVIDENCE_SIGNED_IN)
		p.s.contents = p.s.contents[:1]
	case anonymous, becomesKnown:
	}
}

// badAddresses came with links that a mail merge or a person broke; none identifies anybody.
var badAddresses = []string{"{{email}}", "{!Contact.Email}", "nobody", "a b@c", "@company01.example", "ada@", " "}

// mistaken starts a session whose viewer will turn out to be somebody else. In one of four of these sessions both
// addresses were typed: then the later one counts.
func (p *planner) mistaken() {
	evidence := sourcev1.Evidence_EVIDENCE_LINK
	if p.chance(0.25) {
		evidence = sourcev1.Evidence_EVIDENCE_ASKED
	}
	p.reveal(p.spelling(evidence))
}

// change gives the first visit's later steps, from a random one on, another identity, typed or signed in; later visits
// start with it.
func (p *planner) change(w who) {
	if w != becomesKnown && w != changesEvidence {
		return
	}
	evidence := sourcev1.Evidence_EVIDENCE_ASKED
	if p.chance(0.5) {
		evidence = sourcev1.Evidence_EVIDENCE_SIGNED_IN
	}
	p.reveal(p.spelling(evidence))
	for i := p.rnd.IntN(len(p.s.steps)); i < len(p.s.steps); i++ {
		p.s.steps[i].viewer = p.viewer
	}
}

// evidence draws how an address is known: 45 % signed in, 30 % asked, 22 % by link, 3 % not stated.
func (p *planner) evidence() sourcev1.Evidence {
	switch u := p.rnd.Float64(); {
	case u < 0.45:
		return sourcev1.Evidence_EVIDENCE_SIGNED_IN
	case u < 0.75:
		return sourcev1.Evidence_EVIDENCE_ASKED
	case u < 0.97:
		return sourcev1.Evidence_EVIDENCE_LINK
	default:
		return sourcev1.Evidence_EVIDENCE_UNSPECIFIED
	}
}

// spelling draws a viewer (the number is ⌊n·u²⌋, so that a quarter of the people make half of the sessions) and how
// the address is written: in six of ten sessions as it is.
func (p *planner) spelling(evidence sourcev1.Evidence) (email, name string, _ sourcev1.Evidence) {
	viewers := p.s.workspace.Viewers
	v := viewers[int(float64(len(viewers))*math.Pow(p.rnd.Float64(), 2))]
	email = v.Email
	if p.chance(0.4) {
		email = v.Spellings[p.rnd.IntN(len(v.Spellings))]
	}
	if evidence == sourcev1.Evidence_EVIDENCE_LINK {
		switch p.rnd.IntN(6) {
		case 0: // still encoded, as it stood in the link
			email = url.PathEscape(strings.ReplaceAll(email, "@", "%40"))
			email = strings.ReplaceAll(email, "%2540", "%40")
		case 1: // a raw plus sign, read as a space
			email = strings.ReplaceAll(strings.TrimSpace(email), "+", " ")
		}
	}
	if p.chance(0.7) {
		name = v.Name
	}
	return email, name, evidence
}

// reveal makes the identity the one that the next steps carry.
func (p *planner) reveal(email, name string, evidence sourcev1.Evidence) {
	v := &sourcev1.Viewer{Email: email, Name: name, Evidence: evidence}
	p.s.identities = append(p.s.identities, identity{json: viewerJSON(v), proto: v})
	p.viewer = uint8(len(p.s.identities) - 1)
}
