package faults

import (
	"math/rand/v2"
	"time"

	"github.com/throughline-dev/throughline/services/simulator"
)

// strange is an answer that no documentation lists.
const strange = "NEW_IN_THIS_RELEASE"

// script draws the faults: none, one kind alone, or several together.
func script(r *rand.Rand, orgs []string) []simulator.Fault {
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
			f.Org = orgs[r.IntN(len(orgs))]
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

// dooms are the ways in which an org can be dead.
var dooms = []simulator.Fault{
	{Action: "status", Status: 500, Code: "UNKNOWN_EXCEPTION", Message: "An unexpected error"},
	{Action: "status", Status: 503, Code: "SERVER_UNAVAILABLE", Message: "Too busy"},
	{Action: "maintenance"},
	{Action: "drop_before"},
	{Action: "quota_exceeded"},
}

// doom makes every org's fate come true: the script is for the slow one alone, and what makes others slow or dead lasts until
// all faults end.
func (p *plan) doom(r *rand.Rand) {
	at := p.with(func(o org) bool { return o.fate == slow })
	if len(at) == 0 {
		return
	}
	for i := range p.faults {
		p.faults[i].Org = at[0]
	}
	for _, o := range p.orgs {
		switch o.fate {
		case slow:
			p.faults = append(p.faults, simulator.Fault{Org: o.key, Action: "delay", Wait: time.Duration(5+r.IntN(20)) * time.Millisecond})
		case dead:
			f := dooms[r.IntN(len(dooms))]
			f.Org = o.key
			p.faults = append(p.faults, f)
		case deaf:
			p.faults = append(p.faults,
				simulator.Fault{Org: o.key, Route: "collections*", Action: "drop_after"},
				simulator.Fault{Org: o.key, Route: "bulk.*", Action: "drop_after"},
				simulator.Fault{Org: o.key, Route: "query*", Action: "drop_after"})
		case mixed, healthy:
		}
	}
}
