package generator

// read plans a visit of a document: open, pages, close.
func (p *planner) read(c *content) {
	p.do(step{verb: documentOpened})
	page := p.turn(c, 1, 60)
	if p.chance(p.cfg.Shares.TabKills) {
		return
	}
	p.close(page)
	if p.chance(p.cfg.Shares.Returns) {
		p.wait(15, 90)
		page = p.turn(c, page, 1+p.rnd.IntN(3))
		if p.chance(0.5) {
			p.close(page)
		}
	}
}

// turn reads up to most pages and returns the one on screen at the end. Dwell is log-normal with a median of 9
// seconds, up to 5 minutes; after a page one reader in ten leaves, 12 % jump back, 10 % ahead, the rest turn the page;
// four in five leave after the last one.
func (p *planner) turn(c *content, page, most int) int {
	for range most {
		dwell := p.logNormal(9, 0.9, 300)
		p.wait(dwell, dwell)
		if p.chance(0.1) { // the tab was hidden for a while, which does not count
			p.wait(10, 180)
		}
		shown := page
		if p.chance(0.005) { // a reader that counts the cover twice
			shown = c.Pages + 3
		}
		p.do(step{verb: pageViewed, page: shown, dwell: dwell})
		if p.over() || p.chance(0.1) || (page == c.Pages && p.chance(0.8)) {
			return page
		}
		page = p.nextPage(c, page)
	}
	return page
}

func (p *planner) nextPage(c *content, page int) int {
	switch u := p.rnd.Float64(); {
	case u < 0.12:
		return 1 + p.rnd.IntN(page)
	case u < 0.22:
		return page + p.rnd.IntN(c.Pages-page+1)
	default:
		return min(page+1, c.Pages)
	}
}

// close ends the visit. One reader in ten does not know the page.
func (p *planner) close(page int) {
	p.wait(0.1, 1)
	if p.chance(0.1) {
		page = 0
	}
	p.do(step{verb: documentClosed, page: page})
}
