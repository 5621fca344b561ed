package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/simulator"
)

// The connections; each has an org of the same key.
var connections = []string{"alpha", "beta"}

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
	parent          string
	fields          []field
	broken          bool // sealed for nobody
	family          family
}

func (w *write) id() string { return fmt.Sprintf("%s/%s/%d", w.connection, w.key, w.revision) }

// family is what kind of write it is; it decides what the oracle expects.
type family string

const (
	rows    family = "revisions of a record"
	tasks   family = "records made once"
	members family = "campaign members"
	updates family = "updates of a lead"
	moving  family = "updates of a lead that goes away"
	follow  family = "tasks of a lead that is converted"
	orphans family = "tasks of nobody"
	wrong   family = "fields that do not exist"
	sealed  family = "fields that do not open"
)

// event is something that somebody does in the org while the writer works.
type event struct {
	after int // writes published
	path  string
	lead  string
	org   string
}

// plan is everything that a seed decides.
type plan struct {
	seed   uint64
	writes []*write
	events []event
	faults []simulator.Fault
	kills  []kill
	broker brokerFaults
	jobs   bool // backlogs go by bulk jobs
}

const leadsPerOrg = 8

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 0xfa017))
	p := &plan{seed: seed}
	for _, c := range connections {
		p.addWrites(r, c)
	}
	p.jobs = seed%jobsEvery == 0
	if p.jobs {
		p.addBacklog(r, connections[r.IntN(len(connections))])
	}
	p.writes = shuffle(r, p.writes)
	for _, c := range connections {
		for i, what := range []string{"convert", "merge", "delete"} {
			p.events = append(p.events, event{after: r.IntN(len(p.writes)), path: what, lead: fmt.Sprint("gone", i), org: c})
		}
	}
	slices.SortStableFunc(p.events, func(a, b event) int { return a.after - b.after })
	p.faults = script(r)
	if p.jobs {
		p.troubleJobs(r)
	}
	p.broker = brokerFaults{seed: r.Uint64(), probability: []float64{0, 0, 0.02, 0.1}[r.IntN(4)], times: 6}
	for range r.IntN(4) {
		p.kills = append(p.kills, kill{at: moment(r.IntN(int(ordinary))), in: 1 + r.IntN(12)})
	}
	return p
}

// addWrites plans one connection's writes.
func (p *plan) addWrites(r *rand.Rand, c string) {
	add := func(w write) {
		w.connection = c
		p.writes = append(p.writes, &w)
		if r.IntN(6) == 0 {
			p.writes = append(p.writes, &w)
		}
	}
	lead := func() string { return fmt.Sprint("@lead", r.IntN(leadsPerOrg)) }
	for i := range 4 + r.IntN(8) {
		key, parent := fmt.Sprint("row", i), ""
		if r.IntN(2) == 0 {
			parent = fmt.Sprint("account", r.IntN(2))
		}
		for revision := range 1 + r.IntN(6) {
			n := float64(revision + 1)
			if r.IntN(4) == 0 {
				n = float64(max(revision, 1)) // as the revision before: nothing changed
			}
			add(write{
				key: key, revision: int64(revision + 1), object: "Engagement__c", operation: streamv1.Operation_OPERATION_UPSERT,
				externalField: "External_Id__c", parent: parent, family: rows,
				fields: []field{{name: "Title__c", text: "製品資料"}, {name: "View_Count__c", num: n}},
			})
		}
	}
	task := func(key, who string, f family, more ...field) write {
		return write{
			key: key, revision: 1, object: "Task", operation: streamv1.Operation_OPERATION_INSERT, who: who, marked: true,
			family: f, fields: append([]field{{name: "Subject", text: "資料を閲覧"}, {name: "WhoId", text: who}}, more...),
		}
	}
	for i := range 8 + r.IntN(16) {
		w := task(fmt.Sprint("task", i), lead(), tasks)
		for range 1 + r.IntN(3) {
			add(w)
			w.revision++
		}
	}
	for i := range 1 + r.IntN(leadsPerOrg) {
		add(write{
			key: fmt.Sprint("member", i), revision: 1, object: "CampaignMember", operation: streamv1.Operation_OPERATION_INSERT,
			family: members, parent: "@campaign", who: fmt.Sprint("@lead", i), marked: true,
			fields: []field{{name: "CampaignId", text: "@campaign"}, {name: "LeadId", text: fmt.Sprint("@lead", i)}},
		})
	}
	for i := range 1 + r.IntN(leadsPerOrg) {
		p.addUpdates(r, add, fmt.Sprint("lead", i), updates)
	}
	for i := range 3 {
		p.addUpdates(r, add, fmt.Sprint("gone", i), moving)
	}
	for i := range 1 + r.IntN(3) {
		w := task(fmt.Sprint("follow", i), "@gone0", follow)
		w.links = true
		add(w)
	}
	add(task("orphan", "00QS00zzzzzzzzz", orphans))
	add(task("wrong", lead(), wrong, field{name: "Nope__c", text: "x"}))
	broken := task("broken", lead(), sealed)
	broken.broken = true
	add(broken)
}

func (p *plan) addUpdates(r *rand.Rand, add func(write), lead string, f family) {
	for revision := range 1 + r.IntN(4) {
		add(write{
			key: "update-" + lead, revision: int64(revision + 1), object: "Lead", operation: streamv1.Operation_OPERATION_UPDATE,
			target: "@" + lead, family: f, fields: []field{{name: "Title", text: fmt.Sprint("v", revision+1)}},
		})
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

// strange is an answer that no documentation lists.
const strange = "NEW_IN_THIS_RELEASE"

// script draws the faults: none, one kind alone, or several together.
func script(r *rand.Rand) []simulator.Fault {
	kinds := []simulator.Fault{
		{Action: "status", Status: 500, Code: "UNKNOWN_EXCEPTION", Message: "An unexpected error"},
		{Action: "status", Status: 503, Code: "SERVER_UNAVAILABLE", Message: "Too busy"},
		{Action: "status", Status: 400, Code: strange, Message: "Something nobody has seen yet"},
		{Action: "maintenance"},
		{Action: "drop_before"},
		{Action: "drop_after"},
		{Action: "delay"},
		{Action: "expire_session"},
		{Action: "quota_exceeded"},
		{Action: "row_error", Code: "SERVER_UNAVAILABLE", Message: "Too busy"},
		{Action: "lock_row"},
	}
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	n := []int{0, 1, 1, 2, 3, 5, len(kinds)}[r.IntN(7)]
	out := kinds[:n]
	for i := range out {
		f := &out[i]
		f.Probability, f.Seed, f.Times = 0.05+0.4*r.Float64(), r.Uint64(), 1+r.IntN(8)
		if f.Action == "lock_row" || f.Action == "row_error" {
			f.Times *= 8
		}
		if r.IntN(2) == 0 || f.Action == "lock_row" || f.Action == "row_error" {
			f.Route = "collections*"
		}
		if r.IntN(3) == 0 {
			f.Org = connections[r.IntN(len(connections))]
		}
		if f.Code == strange {
			f.Times = min(f.Times, quick().Lanes.UnknownTries-1) // more, and the write fails by design
		}
		if f.Action == "delay" {
			f.Wait = 10 * time.Millisecond
		}
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
	fmt.Fprintf(&b, "seed %d: %d writes:", p.seed, len(p.writes))
	for _, f := range []family{rows, tasks, members, updates, moving, follow, orphans, wrong, sealed} {
		fmt.Fprintf(&b, " %d %s,", count[f], f)
	}
	for _, f := range p.faults {
		fmt.Fprintf(&b, "\n  fault %s %d on %q of org %q, up to %d times with p=%.2f", f.Action, f.Status, f.Route, f.Org, f.Times, f.Probability)
	}
	fmt.Fprintf(&b, "\n  broker faults up to %d times with p=%.2f", p.broker.times, p.broker.probability)
	if p.jobs {
		b.WriteString("\n  backlogs go by bulk jobs")
	}
	for _, k := range p.kills {
		fmt.Fprintf(&b, "\n  killed %s, the %d. time", k.at, k.in)
	}
	for _, e := range p.events {
		fmt.Fprintf(&b, "\n  %s of %s in org %s after %d writes", e.path, e.lead, e.org, e.after)
	}
	return b.String()
}
