package oracle

import (
	"slices"
	"strings"
	"time"
)

// Expectation is what the orgs must hold once the stream is through.
type Expectation struct {
	// Engagements are rows of Engagement__c, one per person and content, in orgs with the package.
	Engagements []Engagement
	// Tasks are to-dos, one per closed visit of a document.
	Tasks []Task
	// Tally is what happened on the way in.
	Tally Tally
	// AnyClose takes a to-do of any close of its visit, and not only of the first one: what waits for an org that is away may be
	// overtaken.
	AnyClose bool

	users map[string]string // org to the user that owns what has no owner
}

// Engagement is one expected row.
type Engagement struct {
	Org, Viewer, ContentID string
	Document               bool
	Title, URL             string
	OwnerName, OwnerEmail  string
	Length                 float64
	Visits, Views          int
	First, Last            time.Time
	Percent                float64
	Watched, Dwell         float64
	Clicks                 int
	LastClickAt            time.Time
	LastClickLabel         string
	// Methods are the identity methods that the person's visits had; the row may name any of them.
	Methods                []string
	Lead, Contact, Account string
	// Forgotten: all of the row's visits turned out to be somebody else's. The row need not exist; if it does, it counts
	// nothing.
	Forgotten bool
	// Disturbed: some visit was taken for this person's for a while. The identity method, and label and time of the last
	// click, may stem from it.
	Disturbed bool
}

// Task is one expected to-do.
type Task struct {
	Org, Viewer, ContentID string
	// Who and Owner are record ids; empty: nobody.
	Who, Owner string
	// Due is the day, as YYYY-MM-DD.
	Due   string
	Title string
	// Page is where they left, 0 unknown; Dwell is active seconds.
	Page  int
	Dwell float64
	// Language of its texts.
	Language string
	// History is what the link to the viewing history begins with.
	History string
	// Later are the same to-do as it would be of the visit's later closes; see Expectation.AnyClose.
	Later []Task
}

// Expect works out what must have come of everything observed so far, as if the stream had ended and every visit had
// been closed.
func (o *Oracle) Expect() *Expectation {
	x := &Expectation{Tally: o.tally, users: make(map[string]string)}
	for _, t := range o.tenants {
		x.users[t.ID] = t.Org.IntegrationUser
	}
	rows := make(map[rowKey]*row)
	for _, key := range o.order {
		v := o.visits[key]
		if !v.lastCloses {
			v.close() // silence
		}
		t := o.tenants[key.workspace]
		if v.who == "" {
			x.Tally.AnonymousVisits++
		} else {
			x.Tally.Visits++
		}
		x.task(t, key, v)
		if t.Org.Package {
			collect(rows, key, v)
		}
	}
	for key, r := range rows {
		if e, ok := o.tenants[key.workspace].engagement(key, r); ok {
			x.Engagements = append(x.Engagements, e)
		}
	}
	slices.SortFunc(x.Engagements, func(a, b Engagement) int {
		return strings.Compare(a.key(), b.key())
	})
	return x
}

// task adds the to-do of a document's visit (IMM-20, IMM-21): the one of the first close at which there was somebody
// to tell. Later closes of the same visit change nothing.
func (x *Expectation) task(t *tenant, key visitKey, v *visit) {
	c := t.contents[key.content]
	if !v.document || c == nil {
		return
	}
	var all []Task
	for _, at := range v.closings {
		if at.who == "" {
			continue
		}
		who, owner, language, ok := t.people.task(t.Assignees, at.who, c.OwnerEmail)
		if !ok {
			continue
		}
		if language != "ja" && language != "en" {
			language = t.Language
		}
		all = append(all, Task{
			Org: t.ID, Viewer: at.who, ContentID: key.content, Who: who, Owner: owner,
			Due: at.at.In(t.zone).Format(time.DateOnly), Title: c.Title,
			Page: at.exitPage, Dwell: at.dwell, Language: language, History: t.HistoryURL,
		})
	}
	if len(all) > 0 {
		first := all[0]
		first.Later = all[1:]
		x.Tasks = append(x.Tasks, first)
	}
}

// rowKey is what makes a row of Engagement__c one (LOOM-17).
type rowKey struct{ workspace, viewer, content string }

// row is all visits of one person to one content.
type row struct {
	visits    []*visit
	disturbed bool
}

// collect puts a visit into the row of its person, and marks the rows of those it was taken for before.
func collect(rows map[rowKey]*row, key visitKey, v *visit) {
	at := func(who string) *row {
		k := rowKey{workspace: key.workspace, viewer: who, content: key.content}
		if rows[k] == nil {
			rows[k] = &row{}
		}
		return rows[k]
	}
	for _, who := range v.left {
		at(who).disturbed = true
	}
	if v.who != "" {
		r := at(v.who)
		r.visits = append(r.visits, v)
	}
}

// engagement adds a person's visits up (LOOM-17, LOOM-29, LOOM-30); ok is false when no Lead and no Contact has the
// address (LOOM-33, LOOM-34).
func (t *tenant) engagement(key rowKey, r *row) (e Engagement, ok bool) {
	lead, contact, c := t.people.leads[key.viewer], t.people.contacts[key.viewer], t.contents[key.content]
	if (lead == nil && contact == nil) || c == nil {
		return e, false
	}
	e = Engagement{
		Org: t.ID, Viewer: key.viewer, ContentID: key.content, Title: c.Title, URL: c.URL, Length: c.LengthSeconds,
		OwnerName: c.OwnerName, OwnerEmail: address(c.OwnerEmail), Document: c.Kind == "document",
		Disturbed: r.disturbed, Forgotten: len(r.visits) == 0,
	}
	if lead != nil {
		e.Lead = lead.id
	}
	if contact != nil {
		e.Contact, e.Account = contact.id, contact.account
	}
	var ranges []rangeData
	for _, v := range r.visits {
		e.add(v)
		ranges = append(ranges, v.ranges...)
	}
	e.Percent = percent(ranges, c.LengthSeconds)
	return e, true
}

// methods are the words of LOOM-22 to LOOM-24, by evidence.
var methods = map[string]string{"signed_in": "Signed in", "asked": "Asked"}

func (e *Engagement) add(v *visit) {
	e.Visits++
	if v.isView() {
		e.Views++
	}
	if e.First.IsZero() || v.first.Before(e.First) {
		e.First = v.first
	}
	if v.last.After(e.Last) {
		e.Last = v.last
	}
	e.Watched += v.watched
	e.Dwell += v.dwell
	e.Clicks += countClicks(v.clicks)
	for _, c := range v.clicks {
		if !c.at.Before(e.LastClickAt) {
			e.LastClickAt, e.LastClickLabel = c.at, c.label
		}
	}
	method, ok := methods[v.evidence]
	if !ok {
		method = "Link parameter"
	}
	if !slices.Contains(e.Methods, method) {
		e.Methods = append(e.Methods, method)
	}
}

func (e *Engagement) key() string { return e.Org + "\x00" + e.Viewer + "\x00" + e.ContentID }
