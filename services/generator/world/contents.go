package world

import (
	"fmt"
	"math"
	"strings"
)

// contents makes n contents, videos and documents in turn. The first is the most popular one.
func (b *builder) contents(n int) {
	for i := range n {
		c := &Content{
			ID: fmt.Sprintf("%s-%05d", b.ws.ID, i), Title: b.title(i), PublishedAt: b.date(400), Tracked: true,
		}
		b.owner(c)
		if i%2 == 0 {
			b.video(c, i)
		} else {
			b.document(c)
		}
		b.switches(c, i)
		b.ws.Contents = append(b.ws.Contents, c)
	}
}

// video draws a length: log-normal, median 4 minutes, between 8 seconds and 40 minutes. Every 17th video's length is
// unknown; every third pair of videos has a button.
func (b *builder) video(c *Content, i int) {
	c.Kind = Video
	c.URL = fmt.Sprintf("https://play.example/%s/v/%s", b.ws.ID, c.ID)
	c.LengthSeconds = math.Round(math.Min(2400, math.Max(8, 240*math.Exp(0.9*b.rnd.NormFloat64())))*10) / 10
	switch {
	case i == 4:
		c.LengthSeconds = 4 // shorter than a view of 5 seconds
	case i%34 == 16:
		c.LengthSeconds = 0
	}
	if i%6 < 3 {
		c.CallToAction = b.names.buttons[b.rnd.IntN(len(b.names.buttons))]
	}
}

// document draws a number of pages: log-normal, median 9, between 1 and 120.
func (b *builder) document(c *Content) {
	c.Kind = Document
	c.URL = fmt.Sprintf("https://read.example/%s/d/%s", b.ws.ID, c.ID)
	c.Pages = int(math.Min(120, math.Max(1, 9*math.Exp(0.8*b.rnd.NormFloat64()))))
}

// owner draws whose content it is: 62 % an active user, 12 % one who has left, 14 % somebody who is no Salesforce
// user, 4 % nobody; the rest share a mailbox with another user.
func (b *builder) owner(c *Content) {
	users := b.ws.Org.Users
	u := b.activeUser()
	switch p := b.rnd.Float64(); {
	case p < 0.62:
	case p < 0.74:
		u = b.inactiveUser()
	case p < 0.88:
		first, last := b.names.draw(b.rnd)
		u = User{Email: "author@agency.example", FirstName: first, LastName: last}
	case p < 0.92:
		return
	default:
		u = users[1]
	}
	c.OwnerEmail, c.OwnerName = u.Email, b.names.full(u.FirstName, u.LastName)
	if b.chance(0.2) {
		c.OwnerEmail = strings.ToUpper(c.OwnerEmail[:1]) + c.OwnerEmail[1:]
	}
}

// switches turns tracking off for a few contents of every popularity: by setting, by what their events carry, and in
// disagreement, where the event's own word counts.
func (b *builder) switches(c *Content, i int) {
	on, off := true, false
	switch i % 40 {
	case 6, 11:
		c.Tracked = false
	case 15:
		c.Snapshot = &off
	case 18:
		c.Tracked, c.Snapshot = false, &on
	case 21:
		c.Tracked, c.Snapshot = false, &off
	case 24:
		c.Snapshot = &on
	}
}

// title draws a title in the workspace's language, sometimes the other one, and gives every shape that breaks
// carelessly built texts its turn.
func (b *builder) title(i int) string {
	title := b.names.title(b.rnd)
	switch i % 25 {
	case 3:
		return title + " 🚀"
	case 5:
		return "[DRAFT] " + title + ` – "final" (v2) <internal>`
	case 8:
		return "{title} of " + title + " {{merge}}"
	case 10:
		return "👩‍👩‍👧‍👦 " + title + " 🇯🇵"
	case 13:
		return strings.TrimSpace(strings.Repeat(title+" · ", 1+300/len([]rune(title)))) + " end"
	case 17:
		return "資料「" + title + "」【最終版】"
	case 19:
		return `C:\new\table & <b>` + title + `</b>; DROP TABLE Task;--`
	case 23:
		return strings.Repeat("長い題名の動画と資料", 40) + "🎬"
	default:
		return fmt.Sprintf("%s %d", title, i+1)
	}
}
