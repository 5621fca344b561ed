package oracle

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// taskFacts are what a to-do's comment says, label by label (IMM-23).
type taskFacts struct {
	// lines are the values of the labelled lines, in their order: document, viewer, page, dwell, link.
	lines []string
}

// The five lines of a comment.
const (
	lineTitle = iota
	lineViewer
	linePage
	lineDwell
	lineHistory
	commentLines
)

// readTask takes the comment apart: each line is a label, a colon and a value. A last line that begins with "Ref:"
// belongs to the machine and is left out.
func readTask(r *Record) taskFacts {
	var f taskFacts
	for line := range strings.Lines(r.text("Description")) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "Ref:") {
			continue
		}
		_, value, _ := strings.Cut(line, ":")
		f.lines = append(f.lines, strings.TrimSpace(value))
	}
	return f
}

// key groups to-dos that may stand for each other: those about one viewer and one title. Where any close may be told of, the viewer
// does not count: somebody else may have turned out to be there.
func (f taskFacts) key(org string, anyClose bool) string {
	if len(f.lines) != commentLines {
		return org + "\x00unreadable"
	}
	t := Task{Org: org, Viewer: f.lines[lineViewer], Title: f.lines[lineTitle]}
	return t.key(anyClose)
}

func (t *Task) key(anyClose bool) string {
	if anyClose {
		return t.Org + "\x00" + t.Title
	}
	return t.Org + "\x00" + t.Viewer + "\x00" + t.Title
}

// duration writes whole seconds in hours, minutes and seconds, as IMM-23 asks, leaving out what is zero.
func duration(seconds int, language string) string {
	units := []string{" h", " min", " s"}
	separator := " "
	if language == "ja" {
		units, separator = []string{"時間", "分", "秒"}, ""
	}
	var parts []string
	for i, n := range []int{seconds / 3600, seconds / 60 % 60, seconds % 60} {
		if n > 0 {
			parts = append(parts, strconv.Itoa(n)+units[i])
		}
	}
	if len(parts) == 0 {
		return "0" + units[2]
	}
	return strings.Join(parts, separator)
}

// sameDwell allows for either direction where the seconds lie in the middle between two whole numbers.
func sameDwell(got string, seconds float64, language string) bool {
	for _, whole := range []float64{math.Round(seconds), math.Round(seconds - 1e-6), math.Round(seconds + 1e-6)} {
		if got == duration(int(whole), language) {
			return true
		}
	}
	return false
}

// page is what the page line says; unknown is a dash.
func page(n int) string {
	if n == 0 {
		return "–"
	}
	return strconv.Itoa(n)
}

// shortened reports whether got is the text itself or, where that is too long, its beginning and an ellipsis, with at
// most limit UTF-16 units and not much less: a grapheme has no more than 32 here.
func shortened(got, text string, limit int) bool {
	if got == text {
		return units(text) <= limit
	}
	beginning, cut := strings.CutSuffix(got, "…")
	return cut && strings.HasPrefix(text, beginning) && units(text) > limit &&
		units(got) <= limit && units(got) > limit-32
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// subjectSays reports whether a subject names the viewer in full and the document at least by the beginning of its
// title (IMM-22: the title is cut first, never the address).
func subjectSays(subject, viewer, title string) bool {
	if !strings.Contains(subject, viewer) || units(subject) > 255 {
		return false
	}
	if strings.Contains(subject, title) {
		return true
	}
	runes := []rune(title)
	return len(runes) > 100 && strings.Contains(subject, string(runes[:80])) && strings.Contains(subject, "…")
}

// differences lists what a to-do holds otherwise. integrationUser owns what was given no owner (IMM-34).
func (t *Task) differences(have *Record, integrationUser string) []Difference {
	c := comparison{record: have, about: t.Viewer + " " + t.ContentID}
	c.id("WhoId", t.Who)
	if owner := have.text("OwnerId"); !sameID(owner, t.Owner) && (t.Owner != "" || !sameID(owner, integrationUser)) {
		c.differ("OwnerId", t.Owner, owner)
	}
	if got, _, _ := strings.Cut(have.text("ActivityDate"), "T"); got != t.Due {
		c.differ("ActivityDate", t.Due, got)
	}
	if got := have.text("Subject"); !subjectSays(got, t.Viewer, t.Title) {
		c.differ("Subject", t.Viewer+" … "+t.Title, got)
	}
	facts := readTask(have)
	if len(facts.lines) != commentLines {
		c.differ("Description", fmt.Sprintf("%d labelled lines", commentLines), have.text("Description"))
		return c.found
	}
	if got := facts.lines[linePage]; got != page(t.Page) {
		c.differ("Description: page", page(t.Page), got)
	}
	if got := facts.lines[lineDwell]; !sameDwell(got, t.Dwell, t.Language) {
		c.differ("Description: dwell", duration(int(math.Round(t.Dwell)), t.Language), got)
	}
	link := facts.lines[lineHistory]
	if !strings.HasPrefix(link, t.History+"/") || strings.Contains(link, "@") {
		c.differ("Description: history", t.History+"/…", link)
	}
	return c.found
}
