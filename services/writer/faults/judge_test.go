package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// record is a record as an org exports it.
type record map[string]any

func (r record) text(name string) string {
	s, _ := r[name].(string)
	return s
}

// told is what the writer said about one revision of one write, in order: "WRITTEN", "SKIPPED SUPERSEDED", …
type told []string

// evidence is what can be seen from outside when everything is over.
type evidence struct {
	records map[string][]record // by connection/object
	told    map[string]told     // by write.id
	letters map[string]int      // dead letters by write.id
	history map[string][]record // by connection/object: what records were set to, in the order in which it took effect
}

// judge compares the evidence with what the plan asks of these orgs and returns everything that is wrong. It knows the promises
// and the plan, and nothing of how the writer works.
func judge(p *plan, e *evidence, orgs ...string) []string {
	j := &judging{plan: p, evidence: e, top: map[string]*write{}, orgs: orgs}
	if len(orgs) == 0 {
		j.orgs = p.with(func(org) bool { return true })
	}
	for _, w := range p.writes {
		key := w.connection + "/" + w.key
		if t := j.top[key]; t == nil || w.revision > t.revision {
			j.top[key] = w
		}
	}
	j.endings()
	j.formerly()
	for _, c := range j.orgs {
		j.rows(c)
		for _, object := range madeObjects {
			j.made(c, object)
		}
		j.leads(c)
		j.order(c, "Engagement__c", "View_Count__c")
		j.order(c, "Lead", "Title")
	}
	slices.Sort(j.wrong)
	return slices.Compact(j.wrong)
}

// judgeGone judges orgs that confirm nothing while they confirm nothing: their writes wait. None is given up, and none is said
// to be written.
func judgeGone(p *plan, e *evidence) []string {
	j := &judging{plan: p, evidence: e, orgs: p.gone()}
	for _, w := range p.writes {
		if !slices.Contains(j.orgs, w.connection) || w.family == sealed {
			continue
		}
		for _, said := range j.told[w.id()] {
			if said == "WRITTEN" || strings.HasPrefix(said, "FAILED") {
				j.blame("%s (%s) is %q while its org is %s", w.id(), w.family, said, p.org(w.connection).fate)
			}
		}
	}
	return j.wrong
}

type judging struct {
	*evidence
	plan  *plan
	orgs  []string          // the ones to judge
	top   map[string]*write // the newest revision by connection/key
	wrong []string
}

func (j *judging) blame(format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
}

// allowed are the ways in which a write may end.
func (j *judging) allowed(w *write) []string {
	newest := j.top[w.connection+"/"+w.key].revision == w.revision
	switch w.family {
	case rows, updates:
		if newest {
			return []string{"WRITTEN", "SKIPPED UNCHANGED"}
		}
		return []string{"WRITTEN", "SKIPPED UNCHANGED", "SKIPPED SUPERSEDED"}
	case tasks, keyed, alone, deals:
		return []string{"WRITTEN", "SKIPPED DUPLICATE_EVENT", "SKIPPED SUPERSEDED"}
	case members, joins, follow:
		return []string{"WRITTEN"}
	case moving:
		return []string{"WRITTEN", "SKIPPED UNCHANGED", "SKIPPED SUPERSEDED", "FAILED SF_RECORD_GONE", "FAILED SF_CONVERTED_LEAD"}
	case given:
		return []string{"WRITTEN", "FAILED SF_RECORD_GONE"}
	case orphans:
		return []string{"FAILED SF_RECORD_GONE"}
	case wrong:
		return []string{"FAILED SF_FIELD_GONE"}
	default:
		return []string{"FAILED BAD_SCHEMA"}
	}
}

// endings checks promise 3: every write ends, in one way, and for a right reason.
func (j *judging) endings() {
	known := map[string]bool{}
	for _, w := range j.plan.writes {
		known[w.id()] = true
		if !slices.Contains(j.orgs, w.connection) {
			continue
		}
		all := j.told[w.id()]
		if len(all) == 0 {
			j.blame("lost: no outcome of %s (%s)", w.id(), w.family)
			continue
		}
		if last := all[len(all)-1]; !slices.Contains(j.allowed(w), last) {
			j.blame("outcome of %s (%s) is %q, allowed are %q; all: %q", w.id(), w.family, last, j.allowed(w), all)
		}
		failed := slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(s, "FAILED") })
		if failed && slices.Contains(all, "WRITTEN") && w.family != moving {
			j.blame("outcomes of %s (%s) contradict each other: %q", w.id(), w.family, all)
		}
		// A writer that dies between dead letter and outcome may find, in its next life, that a newer revision took over.
		overtaken := w.family == moving && !failed
		if failed != (j.letters[w.id()] > 0) && !overtaken {
			j.blame("%s (%s): failed is %t, but there are %d dead letters", w.id(), w.family, failed, j.letters[w.id()])
		}
	}
	for id := range j.told {
		if !known[id] {
			j.blame("an outcome of %s, which nobody asked for", id)
		}
	}
}

// rows checks promises 4 and 5 on records with an external id: one of each, with what the newest revision says.
func (j *judging) rows(c string) {
	found := map[string][]record{}
	for _, r := range j.records[c+"/Engagement__c"] {
		found[r.text("External_Id__c")] = append(found[r.text("External_Id__c")], r)
	}
	for _, w := range j.top {
		if w.connection != c || w.family != rows {
			continue
		}
		switch all := found[w.key]; {
		case len(all) == 0:
			j.blame("lost: org %s has no record of %s", c, w.key)
		case len(all) > 1:
			j.blame("doubled: org %s has %d records of %s", c, len(all), w.key)
		case all[0]["View_Count__c"] != w.fields[1].num:
			j.blame("stale: %s in org %s says %v, revision %d says %v", w.key, c, all[0]["View_Count__c"], w.revision, w.fields[1].num)
		}
		delete(found, w.key)
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		j.blame("org %s has a record of %q, which nobody asked for", c, key)
	}
}

// madeObjects are those whose records are made once.
var madeObjects = []string{"Task", "Opportunity", memberObject}

// keyOf returns the key of the write that made a record: from the package's field, from the marker in its text, or, for a
// campaign member, from the lead that it is or was.
func (j *judging) keyOf(c, object string, r record) string {
	if object == memberObject {
		for _, lead := range j.records[c+"/Lead"] {
			if id := lead.text("Id"); r.text("LeadId") == id || r.text("ContactId") != "" && r.text("ContactId") == lead.text("ConvertedContactId") {
				return "member-" + lead.text("LastName")
			}
		}
		return r.text("LeadId") + r.text("ContactId")
	}
	if key := r.text("Throughline_Key__c"); key != "" {
		return key
	}
	_, key, _ := strings.Cut(r.text("Description"), markerPrefix)
	return key
}

// made checks promise 5 on records that are made once.
func (j *judging) made(c, object string) {
	found := map[string]int{}
	for _, r := range j.records[c+"/"+object] {
		found[j.keyOf(c, object, r)]++
	}
	for _, w := range j.top {
		if w.connection != c || w.object != object {
			continue
		}
		want := 1
		if slices.Contains([]family{orphans, wrong, sealed, given}, w.family) {
			want = 0
		}
		switch n := found[w.key]; {
		case n < want:
			j.blame("lost: org %s has no %s of %s (%s)", c, object, w.key, w.family)
		case n > want:
			j.blame("doubled: org %s has %d %s of %s (%s), wanted %d", c, n, object, w.key, w.family, want)
		}
		delete(found, w.key)
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		j.blame("org %s has a %s of %q, which nobody asked for", c, object, key)
	}
}

// leads checks promise 4 on updates by id. A lead that went away says whatever was newest until then.
func (j *judging) leads(c string) {
	for _, r := range j.records[c+"/Lead"] {
		w := j.top[c+"/update-"+r.text("LastName")]
		if w == nil || w.family != updates {
			continue
		}
		if want := w.fields[0].text; r.text("Title") != want {
			j.blame("stale: lead %s of org %s says %q, revision %d says %q", r.text("LastName"), c, r.text("Title"), w.revision, want)
		}
	}
}
