package generator

import "math"

// hiddenLength is how long a video really is whose length the platform does not know.
const hiddenLength = 180

// head is the play head of a player.
type head struct {
	length, at float64
	// pending are the stretches played since the last report.
	pending []span
	clicks  int
	// clicked is when the last click was, in session time.
	clicked int64
}

// watch plans a visit of a video: start, reports, clicks, end.
func (p *planner) watch(c *content) {
	h := &head{length: c.LengthSeconds}
	if h.length == 0 {
		h.length = hiddenLength
	}
	p.do(step{verb: videoStarted})
	if p.chance(0.03) {
		p.skipToEnd(h)
		return
	}
	p.play(c, h, p.dropOff()*h.length)
	if p.chance(p.cfg.Shares.TabKills) {
		return
	}
	p.wait(0.1, 1)
	p.do(step{verb: videoEnded, completed: h.at >= h.length})
	if p.chance(p.cfg.Shares.Returns) {
		p.wait(15, 90)
		h.at = tenth(h.at * p.rnd.Float64())
		p.play(c, h, math.Min(h.length, h.at+30))
		if p.chance(0.5) {
			p.wait(0.1, 1)
			p.do(step{verb: videoEnded, completed: h.at >= h.length})
		}
	}
}

// dropOff draws the share of the video after which the viewer leaves: a quarter are gone within the first 8 percent,
// 45 percent drop off along the way, more of them early than late, and 30 percent stay to the end.
func (p *planner) dropOff() float64 {
	switch u := p.rnd.Float64(); {
	case u < 0.25:
		return 0.08 * p.rnd.Float64()
	case u < 0.70:
		return 0.08 + 0.92*(1-math.Sqrt(p.rnd.Float64()))
	default:
		return 1
	}
}

// skipToEnd plans a viewer who only wants to see how it ends: the last seconds, and the end reached.
func (p *planner) skipToEnd(h *head) {
	last := math.Min(h.length, 2)
	p.wait(1, 4)
	p.wait(last, last)
	p.do(step{verb: videoProgress, spans: []span{{tenth(h.length - last), h.length}}})
	p.wait(0.1, 0.5)
	p.do(step{verb: videoEnded, completed: true})
}

// play moves the head until it reaches the position, with seeks (6 % forward, 5 % back, per report) and pauses (8 %),
// and reports every so often.
func (p *planner) play(c *content, h *head, until float64) {
	period := p.cfg.ReportEvery.Seconds()
	for h.at < until && !p.over() {
		p.stretch(h, math.Min(period, until-h.at))
		switch u := p.rnd.Float64(); {
		case u < 0.06:
			h.at = tenth(math.Min(h.length, h.at+p.rnd.Float64()*0.2*h.length))
		case u < 0.11:
			h.at = tenth(h.at * (0.8 + 0.2*p.rnd.Float64()))
			p.stretch(h, math.Min(period/2, h.length-h.at))
		case u < 0.19:
			p.wait(5, 5+p.logNormal(12, 0.8, 120))
		}
		p.report(h)
		p.click(c, h)
	}
}

// stretch plays some seconds, at least a tenth of one.
func (p *planner) stretch(h *head, seconds float64) {
	to := math.Min(h.length, math.Max(tenth(h.at+seconds), tenth(h.at+0.1)))
	h.pending = append(h.pending, span{h.at, to})
	p.wait(to-h.at, to-h.at)
	h.at = to
}

// report sends what was played. One report in a hundred overshoots the length by the player's rounding, one in two
// hundred has an inverted stretch beside the true ones.
func (p *planner) report(h *head) {
	spans := h.pending
	h.pending = nil
	switch u := p.rnd.Float64(); {
	case u < 0.01 && spans[len(spans)-1].to == h.length:
		spans[len(spans)-1].to = tenth(h.length + 0.7)
	case u < 0.005:
		spans = append(spans, span{from: h.at + 5, to: h.at})
	}
	p.clock++
	p.do(step{verb: videoProgress, spans: spans})
}

// click presses the video's button now and then: in 6 % of the reports, at most three times in a visit, with at least
// ten seconds between two decisions; one in four presses twice within a second.
func (p *planner) click(c *content, h *head) {
	if c.CallToAction == "" || h.clicks == 3 || !p.chance(0.06) || (h.clicks > 0 && p.clock-h.clicked < 10_000) {
		return
	}
	p.wait(0.2, 0.6)
	p.do(step{verb: ctaClicked})
	if p.chance(0.25) {
		p.wait(0.1, 0.9)
		p.do(step{verb: ctaClicked})
	}
	h.clicks++
	h.clicked = p.clock
}
