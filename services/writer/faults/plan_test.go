package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

// field is one field of a planned write; "@name" stands for the id of the seeded record of that name.
type field struct {
	name string
	text string
	num  float64
}

// write is one planned write. Two with the same key and revision are the same message twice.
type write struct {
	connection, key string
	revision        int64
	object          string
	operation       streamv1.Operation
	externalField   string
	target          string // the record to update
	who             string // the scope of the marker
	marked, links   bool
	once            bool // an upsert whose later revisions change nothing
	parent          string
	fields          []field
	broken          bool // sealed for nobody
	family          family
	integration     string
	version         int64  // of the integration
	in              string // the org that it is for; the connection's own when empty
}

func (w *write) id() string { return fmt.Sprintf("%s/%s/%d", w.connection, w.key, w.revision) }

// family is what kind of write it is; it decides what the oracle expects.
type family string

const (
	rows    family = "revisions of a record"
	tasks   family = "records made once"
	keyed   family = "records made once with a key"
	alone   family = "tasks about nobody"
	deals   family = "opportunities"
	members family = "campaign members"
	joins   family = "campaign members that are converted"
	updates family = "updates of a lead"
	moving  family = "updates of a lead that goes away"
	follow  family = "tasks of a lead that is converted"
	orphans family = "tasks of somebody who is not there"
	wrong   family = "fields that do not exist"
	sealed  family = "fields that do not open"
	given   family = "tasks for an org that is replaced"
	ruled   family = "tasks that a rule refuses"
)

var families = []family{rows, tasks, keyed, alone, deals, members, joins, updates, moving, follow, orphans, wrong, sealed, given, ruled}

// event is something that somebody does in the org while the writer works.
type event struct {
	after int // writes published
	path  string
	lead  string
	org   string
}

// plan is everything that a seed decides.
type plan struct {
	shape
	seed   uint64
	writes []*write
	events []event
	faults []simulator.Fault
	kills  []kill
	shifts []shift // what else changes at each death
	broker brokerFaults
	ruled  bool // one integration is refused until it is paused
}

const leadsPerOrg = 8

func newPlan(seed uint64) *plan { return planOf(seed, shapeOf(seed)) }

func planOf(seed uint64, s shape) *plan {
	r := rand.New(rand.NewPCG(seed, 0xfa017))
	p := &plan{seed: seed, shape: s}
	for _, o := range p.orgs {
		p.addWrites(r, o)
	}
	p.writes = shuffle(r, p.writes)
	for _, o := range p.orgs {
		for i, what := range []string{"convert", "merge", "delete"} {
			if what == "delete" && o.fate.gone() {
				continue // it is done through the front door
			}
			p.events = append(p.events, event{after: r.IntN(len(p.writes)), path: what, lead: fmt.Sprint("gone", i), org: o.key})
		}
	}
	slices.SortStableFunc(p.events, func(a, b event) int { return a.after - b.after })
	if p.jobs { // all at once, or the writer would keep up with it
		packaged := p.with(func(o org) bool { return !o.bare })
		p.writes = append(p.writes, p.backlog(r, packaged[r.IntN(len(packaged))])...)
	}
	p.faults = script(r, p.with(func(org) bool { return true }))
	if p.jobs {
		p.troubleJobs(r)
	}
	p.doom(r)
	p.broker = brokerFaults{seed: r.Uint64(), probability: []float64{0, 0, 0.02, 0.1}[r.IntN(4)], times: 6}
	for range r.IntN(4) {
		p.kills = append(p.kills, kill{at: moment(r.IntN(int(ordinary))), in: 1 + r.IntN(12)})
	}
	if p.replicas > 1 { // never without a rebalance
		p.kills = append(p.kills, kill{at: moment(r.IntN(int(ordinary))), in: 1 + r.IntN(6)})
	}
	for range p.kills {
		p.shifts = append(p.shifts, []shift{stay, leave, join}[r.IntN(3)])
	}
	p.addFormer()
	return p
}

// drawing adds one org's writes to a plan.
type drawing struct {
	*rand.Rand
	plan *plan
	org  org
}

// add plans a write, now and then twice.
func (d *drawing) add(w write) {
	w.connection = d.org.key
	d.plan.writes = append(d.plan.writes, &w)
	if d.IntN(6) == 0 {
		d.plan.writes = append(d.plan.writes, &w)
	}
}

// repeat plans the revisions of a record that is made once.
func (d *drawing) repeat(w write) {
	for range 1 + d.IntN(3) {
		d.add(w)
		w.revision++
	}
}

func (d *drawing) lead() string { return fmt.Sprint("@lead", d.IntN(leadsPerOrg)) }

// addWrites plans one org's writes.
func (p *plan) addWrites(r *rand.Rand, o org) {
	d := &drawing{Rand: r, plan: p, org: o}
	if !o.bare {
		d.addRows()
		for i := range 2 + d.IntN(8) {
			d.repeat(withKey(taskOf(fmt.Sprint("keyed", i), d.lead(), keyed)))
		}
	}
	for i := range 6 + d.IntN(12) {
		d.repeat(taskOf(fmt.Sprint("task", i), d.lead(), tasks))
	}
	for i := range 1 + d.IntN(6) {
		d.repeat(taskOf(fmt.Sprint("alone", i), "", alone))
	}
	for i := range 1 + d.IntN(6) {
		d.repeat(write{
			key: fmt.Sprint("deal", i), revision: 1, object: "Opportunity", operation: streamv1.Operation_OPERATION_INSERT,
			marked: true, family: deals,
			fields: []field{{name: "Name", text: "商談"}, {name: "StageName", text: "Prospecting"}, {name: "CloseDate", text: "2030-01-31"}},
		})
	}
	for i := range 1 + d.IntN(leadsPerOrg) {
		d.add(memberOf(fmt.Sprint("lead", i), members))
	}
	d.add(memberOf("gone0", joins))
	for i := range 1 + d.IntN(leadsPerOrg) {
		d.addUpdates(fmt.Sprint("lead", i), updates)
	}
	for i := range 3 {
		d.addUpdates(fmt.Sprint("gone", i), moving)
	}
	for i := range 1 + d.IntN(3) {
		w := taskOf(fmt.Sprint("follow", i), "@gone0", follow)
		w.links = true
		if i == 1 && !o.bare {
			w = withKey(w)
		}
		d.add(w)
	}
	d.add(taskOf("orphan", "00QS00zzzzzzzzz", orphans))
	d.add(taskOf("wrong", d.lead(), wrong, field{name: "Nope__c", text: "x"}))
	broken := taskOf("broken", d.lead(), sealed)
	broken.broken = true
	d.add(broken)
}

func (d *drawing) addRows() {
	for i := range 4 + d.IntN(8) {
		key, parent := fmt.Sprint("row", i), ""
		if d.IntN(2) == 0 {
			parent = fmt.Sprint("account", d.IntN(2))
		}
		for revision := range 1 + d.IntN(6) {
			n := float64(revision + 1)
			if d.IntN(4) == 0 {
				n = float64(max(revision, 1)) // as the revision before: nothing changed
			}
			d.add(write{
				key: key, revision: int64(revision + 1), object: "Engagement__c", operation: streamv1.Operation_OPERATION_UPSERT,
				externalField: "External_Id__c", parent: parent, family: rows,
				fields: []field{{name: "Title__c", text: "製品資料"}, {name: "View_Count__c", num: n}},
			})
		}
	}
}

func (d *drawing) addUpdates(lead string, f family) {
	for revision := range 1 + d.IntN(4) {
		d.add(write{
			key: "update-" + lead, revision: int64(revision + 1), object: "Lead", operation: streamv1.Operation_OPERATION_UPDATE,
			target: "@" + lead, family: f, fields: []field{{name: "Title", text: fmt.Sprint("v", revision+1)}},
		})
	}
}

// taskOf is a task that is known by a line of its description.
func taskOf(key, who string, f family, more ...field) write {
	w := write{
		key: key, revision: 1, object: "Task", operation: streamv1.Operation_OPERATION_INSERT, who: who, marked: true,
		family: f, fields: append([]field{{name: "Subject", text: "資料を閲覧"}}, more...),
	}
	if who != "" {
		w.fields = append(w.fields, field{name: "WhoId", text: who})
	}
	return w
}

// withKey makes a task known by the package's key instead, as recipes do where the package is installed.
func withKey(w write) write {
	w.operation, w.externalField, w.once, w.marked = streamv1.Operation_OPERATION_UPSERT, "Throughline_Key__c", true, false
	return w
}

// memberOf adds a lead to the campaign. The two ids are what it is known by.
func memberOf(lead string, f family) write {
	return write{
		key: "member-" + lead, revision: 1, object: "CampaignMember", operation: streamv1.Operation_OPERATION_INSERT,
		family: f, parent: "@campaign", who: "@" + lead, marked: true, links: f == joins,
		fields: []field{{name: "CampaignId", text: "@campaign"}, {name: "LeadId", text: "@" + lead}},
	}
}

// shuffle mixes connections and keys. Every third write strays far from its place, so that revisions come out of order.
func shuffle(r *rand.Rand, writes []*write) []*write {
	type placed struct {
		w  *write
		at float64
	}
	list := make([]placed, len(writes))
	for i, w := range writes {
		spread := 0.2
		if r.IntN(3) == 0 {
			spread = 1
		}
		list[i] = placed{w, float64(w.revision)/6 + spread*r.Float64()}
	}
	slices.SortStableFunc(list, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	out := make([]*write, len(list))
	for i, l := range list {
		out[i] = l.w
	}
	return out
}

// String sums the plan up for a person.
func (p *plan) String() string {
	count := map[family]int{}
	for _, w := range p.writes {
		count[w.family]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s\n  %d writes:", p.seed, p.shape.String(), len(p.writes))
	for _, f := range families {
		fmt.Fprintf(&b, " %d %s,", count[f], f)
	}
	for _, f := range p.faults {
		fmt.Fprintf(&b, "\n  fault %s %d on %q of org %q, up to %d times with p=%.2f", f.Action, f.Status, f.Route, f.Org, f.Times, f.Probability)
	}
	fmt.Fprintf(&b, "\n  broker faults up to %d times with p=%.2f", p.broker.times, p.broker.probability)
	for i, k := range p.kills {
		fmt.Fprintf(&b, "\n  killed %s, the %d. time", k.at, k.in)
		if p.replicas > 1 {
			fmt.Fprintf(&b, "; of the others, %s", p.shifts[i])
		}
	}
	for _, e := range p.events {
		fmt.Fprintf(&b, "\n  %s of %s in org %s after %d writes", e.path, e.lead, e.org, e.after)
	}
	return b.String()
}
