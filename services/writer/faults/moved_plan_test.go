package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// former is the org that the moved connection is with first. It has no connection of its own.
const former = "former"

// The ids of orgs, as settings tell them.
const (
	formerID = "00D000000000001EAA"
	movedID  = "00D000000000002EAA"
)

// replace is the event by which an administrator accepts another org for a connection.
const replace = "replace"

// addFormer plans what is on the way to the former org when an administrator accepts another one: tasks and rows about its leads.
// They come first, and the replacement right behind them.
func (p *plan) addFormer() {
	if p.moved == "" {
		return
	}
	d := &drawing{Rand: rand.New(rand.NewPCG(p.seed, 0x10a3)), plan: &plan{}, org: org{key: p.moved}}
	for i := range 30 + d.IntN(60) {
		w := taskOf(fmt.Sprint("given", i), d.lead(), given)
		w.in = former
		d.add(w)
	}
	for i := range p.events {
		p.events[i].after += len(d.plan.writes)
	}
	at := event{after: len(d.plan.writes), path: replace, org: p.moved}
	p.events = append([]event{at}, p.events...)
	p.writes = append(d.plan.writes, p.writes...)
}

// place is the org that a write is for.
func (w *write) place() string {
	if w.in != "" {
		return w.in
	}
	return w.connection
}

// views are the settings before and after the replacement.
func (w *world) views(before, after *configv1.Snapshot) {
	w.t.Helper()
	for snapshot, first := range map[*configv1.Snapshot]bool{before: true, after: false} {
		for _, c := range snapshot.GetWorkspaces()[0].GetConnections() {
			if c.GetId() != w.plan.moved {
				continue
			}
			c.Org, c.FirstOrg = &configv1.Org{Id: formerID}, ""
			if !first {
				c.Org, c.FirstOrg, c.Version = &configv1.Org{Id: movedID}, formerID, c.GetVersion()+1
			}
		}
		view, err := settings.NewView(snapshot, w.inst)
		if err != nil {
			w.t.Fatal(err)
		}
		if first {
			w.view = view
			w.now.Store(view)
		} else {
			w.next = view
		}
	}
}

// View is what services know of the settings now.
func (w *world) View() *settings.View { return w.now.Load() }

// formerly checks what became of what was on the way to the former org: it is there, at most once, if it was said to be written
// exactly once, and in the org that took its place there is nothing of it.
func (j *judging) formerly() {
	if j.plan.moved == "" || !slices.Contains(j.orgs, j.plan.moved) {
		return
	}
	found := map[string]int{}
	for _, r := range j.records[former+"/Task"] {
		found[j.keyOf(former, "Task", r)]++
	}
	for _, w := range j.plan.writes {
		if w.family != given {
			continue
		}
		written := slices.Contains(j.told[w.id()], "WRITTEN")
		switch n := found[w.key]; {
		case n > 1:
			j.blame("doubled: the former org has %d tasks of %s", n, w.key)
		case written && n == 0:
			j.blame("lost: the former org has no task of %s, which is said to be written", w.key)
		}
	}
	for key := range found {
		if !strings.HasPrefix(key, "given") {
			j.blame("the former org has a task of %q, which is not for it", key)
		}
	}
}
