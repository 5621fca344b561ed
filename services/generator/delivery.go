package generator

import (
	"cmp"
	"slices"
)

// deliver decides when each step arrives. All of a session have the same network delay of 40 to 300 ms, so that they
// arrive in order; a few are delayed on top. Arrival only decides the order of the stream.
func (p *planner) deliver() {
	delay := 40 + p.rnd.Int64N(260)
	shares := p.cfg.Shares
	for i := range p.s.steps {
		st := &p.s.steps[i]
		st.arrives = st.at + delay
		u := p.rnd.Float64()
		switch {
		case u < shares.Late:
			st.arrives += p.between(60_000, 1_200_000)
		case u < shares.Late+shares.OutOfOrder:
			st.arrives += p.between(2_000, 30_000)
		}
	}
	for i := range p.s.steps {
		if p.chance(shares.Duplicates) {
			p.repeat(p.s.steps[i])
		}
	}
}

// repeat delivers the step again: one half at once, one half up to half an hour later. One repeat in twenty has
// another body under the same id, which must count for nothing.
func (p *planner) repeat(st step) {
	if p.chance(0.5) {
		st.arrives += p.between(1, 400)
	} else {
		st.arrives += p.between(30_000, 1_800_000)
	}
	if p.chance(0.05) {
		st.dwell *= 2
		st.spans = append(slices.Clone(st.spans), st.spans...)
	}
	p.s.steps = append(p.s.steps, st)
}

// spoil adds malformed events beside well-formed ones and puts everything in order of arrival.
func (p *planner) spoil() {
	share := p.cfg.Shares.Malformed
	for i := range p.s.steps {
		if !p.chance(share / (1 - share)) {
			continue
		}
		bad := p.s.steps[i]
		bad.id = p.uuid(bad.at)
		bad.malformed = Malformation(1 + p.rnd.IntN(int(malformations)-1))
		if bad.malformed.deep() && !p.s.contents[bad.content].Tracks() {
			bad.malformed = CutOff // tracking off would be as good a reason
		}
		p.s.steps = append(p.s.steps, bad)
	}
	p.arrange()
}

// arrange puts the steps in order of arrival.
func (p *planner) arrange() {
	slices.SortStableFunc(p.s.steps, func(a, b step) int { return cmp.Compare(a.arrives, b.arrives) })
}

func (p *planner) between(from, to int64) int64 { return from + p.rnd.Int64N(to-from) }
