package oracle

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Compare sets what the orgs hold against what they must hold. It looks at Engagement__c and Task; other objects are
// passed over.
func Compare(want *Expectation, have []Record) *Report {
	r := &Report{}
	rows, tasks := make(map[string][]*Record), make(map[string][]*Record)
	for i := range have {
		record := &have[i]
		switch record.Object {
		case "Engagement__c":
			r.Written++
			key := record.Org + "\x00" + record.text("Viewer_Email__c") + "\x00" + record.text("Content_Id__c")
			rows[key] = append(rows[key], record)
		case "Task":
			r.Written++
			key := readTask(record).key(record.Org, want.AnyClose)
			tasks[key] = append(tasks[key], record)
		}
	}
	for i := range want.Engagements {
		r.engagement(&want.Engagements[i], rows)
	}
	r.leftOver(rows)
	r.tasks(want, tasks)
	r.sort()
	return r
}

// engagement compares one row and takes it from the map. Of several, the first one that is right is taken for it.
func (r *Report) engagement(want *Engagement, rows map[string][]*Record) {
	have := rows[want.key()]
	delete(rows, want.key())
	name := fmt.Sprintf("%s Engagement__c %s %s", want.Org, want.Viewer, want.ContentID)
	if !want.Forgotten {
		r.Expected++
	}
	if len(have) == 0 {
		if !want.Forgotten {
			r.missing(name)
		}
		return
	}
	best := want.differences(have[0])
	for _, other := range have[1:] {
		r.extra(name)
		if d := want.differences(other); len(d) < len(best) {
			best = d
		}
	}
	r.wrong(best)
}

// leftOver reports rows that nobody expected.
func (r *Report) leftOver(rows map[string][]*Record) {
	for _, records := range rows {
		for _, record := range records {
			r.extra(fmt.Sprintf("%s Engagement__c %s %s", record.Org, record.text("Viewer_Email__c"), record.text("Content_Id__c")))
		}
	}
}

// differences lists what a row holds otherwise.
func (e *Engagement) differences(have *Record) []Difference {
	c := comparison{record: have, about: e.Viewer + " " + e.ContentID}
	c.number("View_Count__c", float64(e.Views), 0)
	c.number("Visit_Count__c", float64(e.Visits), 0)
	if e.Document {
		c.number("Dwell_Seconds__c", e.Dwell, tolerance(e.Dwell))
	} else {
		c.number("Watch_Seconds__c", e.Watched, tolerance(e.Watched))
		c.number("CTA_Clicks__c", float64(e.Clicks), 0)
	}
	c.id("Lead__c", e.Lead)
	c.id("Contact__c", e.Contact)
	c.id("Account__c", e.Account)
	if e.Forgotten {
		return c.found
	}
	if !e.Document {
		c.number("Percent_Watched__c", e.Percent, 0.00501) // two decimals
		c.number("Length_Seconds__c", math.Round(e.Length), 0.51)
		e.lastClick(&c)
	}
	c.moment("First_Viewed_At__c", e.First)
	c.moment("Last_Viewed_At__c", e.Last)
	if !e.Disturbed {
		c.oneOf("Identity_Method__c", e.Methods)
	}
	c.texts(e)
	return c.found
}

// lastClick compares label and time of the last click, where all clicks are this person's.
func (e *Engagement) lastClick(c *comparison) {
	if e.Disturbed || e.Clicks == 0 {
		return
	}
	c.text("Last_CTA_Label__c", e.LastClickLabel)
	c.moment("Last_CTA_At__c", e.LastClickAt)
}

func (c *comparison) texts(e *Engagement) {
	if got := c.record.text("Title__c"); !shortened(got, e.Title, 255) {
		c.differ("Title__c", e.Title, got)
	}
	c.text("Content_Url__c", e.URL)
	c.text("Creator_Name__c", e.OwnerName)
	c.text("Creator_Email__c", e.OwnerEmail)
}

// tolerance allows for the three decimals of a field and for sums in another order.
func tolerance(x float64) float64 { return 0.000501 + math.Abs(x)*1e-6 }

// comparison collects differences of one record.
type comparison struct {
	record *Record
	about  string
	found  []Difference
}

func (c *comparison) differ(field, want, got string) {
	c.found = append(c.found, Difference{
		Org: c.record.Org, Object: c.record.Object, Record: c.about, Field: field, Want: want, Got: got,
	})
}

func (c *comparison) number(field string, want, tolerance float64) {
	got, ok := c.record.number(field)
	if !ok || math.Abs(got-want) > tolerance {
		c.differ(field, fmt.Sprint(want), c.record.text(field))
	}
}

func (c *comparison) text(field, want string) {
	if got := c.record.text(field); got != want {
		c.differ(field, want, got)
	}
}

// id compares record ids, of which Salesforce may return 15 or 18 characters.
func (c *comparison) id(field, want string) {
	if got := c.record.text(field); !sameID(got, want) {
		c.differ(field, want, got)
	}
}

func sameID(a, b string) bool {
	if len(a) >= 15 && len(b) >= 15 {
		return a[:15] == b[:15]
	}
	return a == b
}

// moment compares times to the second, which is as much as Salesforce promises to keep.
func (c *comparison) moment(field string, want time.Time) {
	got, ok := c.record.moment(field)
	if !ok || got.Sub(want).Abs() >= time.Second {
		c.differ(field, want.Format(time.RFC3339Nano), c.record.text(field))
	}
}

func (c *comparison) oneOf(field string, want []string) {
	if got := c.record.text(field); !slices.Contains(want, got) {
		c.differ(field, strings.Join(want, " or "), got)
	}
}
