package faults

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// calm is a plan without faults.
func calm(kills ...kill) *plan { return calmOf(plain(), kills...) }

func calmOf(s shape, kills ...kill) *plan {
	p := planOf(1, s)
	p.faults, p.broker, p.kills, p.shifts = nil, brokerFaults{}, kills, make([]shift, len(kills))
	return p
}

// makes reports whether a request makes records.
func makes(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/composite/sobjects")
}

// twice sends every request that makes records again, as a client that repeats blindly would.
type twice struct{ next http.RoundTripper }

func (d twice) RoundTrip(req *http.Request) (*http.Response, error) {
	if !makes(req) {
		return d.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	again := req.Clone(req.Context())
	req.Body, again.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	resp, err := d.next.RoundTrip(again)
	discard(resp)
	if err != nil {
		return nil, err
	}
	return d.next.RoundTrip(req)
}

// unheard kills a writer when the org has made tasks and before it hears of that: they are in no offset and in no outcome.
type unheard struct {
	next http.RoundTripper
	die  func()
}

// never is a death that does not come by itself.
var never = kill{at: afterRequest, in: math.MaxInt}

func (u unheard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !makes(req) {
		return u.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := u.next.RoundTrip(req)
	if plain, zipped := gzip.NewReader(bytes.NewReader(body)); zipped == nil {
		if body, zipped = io.ReadAll(plain); zipped != nil {
			return resp, zipped
		}
	}
	if err == nil && resp.StatusCode == http.StatusOK && bytes.Contains(body, []byte(markerPrefix+"task")) {
		u.die()
	}
	return resp, err
}

// forgets is a writer that does not find the ledger of those before it: what was made is made again.
func forgets() func(*life) {
	var first sync.Once
	return func(l *life) {
		l.next = forgetful{Broker: l.next, ledger: true}
		first.Do(func() { l.http = unheard{next: l.http, die: l.die} })
	}
}

// forgetful is a broker that acknowledges and does not keep: the ledger, or the messages of a topic.
type forgetful struct {
	stage.Broker
	ledger bool
	topic  string
}

func (f forgetful) Produce(ctx context.Context, b stage.ProduceBatch) error {
	if f.ledger {
		b.Entries = nil
	}
	kept := make([]stage.Message, 0, len(b.Messages))
	for _, m := range b.Messages {
		if m.Topic != f.topic {
			kept = append(kept, m)
		}
	}
	if b.Messages = kept; len(b.Messages)+len(b.Entries) == 0 {
		return nil
	}
	return f.Broker.Produce(ctx, b)
}

// calmly runs a plan that nothing happens in.
func (w *world) calmly() {
	w.t.Helper()
	_, settled := w.run()
	require.True(w.t, settled)
}

// set writes a lead's title through the front door.
func (w *world) set(connection, lead, title string) {
	w.t.Helper()
	client := salesforce.NewClient(unhurried(), &grant{url: w.url + "/orgs/" + connection}, salesforce.Deps{})
	require.NoError(w.t, client.Update(w.t.Context(), "Lead", lead, salesforce.Fields{{Name: "Title", Value: title}}))
}

// TestJudge breaks promises on purpose and expects the judge to say so.
func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kills []kill
		wrap  func(*life)
		says  string
	}{
		"AClientThatRepeatsBlindlyDoubles": {
			wrap: func(l *life) { l.http = twice{l.http} }, says: "doubled: ",
		},
		"AWriterThatDiesAndForgetsDoubles": {
			kills: []kill{never}, wrap: forgets(), says: "doubled: ",
		},
		"AnOutcomeThatIsNotToldIsLost": {
			wrap: func(l *life) { l.next = forgetful{Broker: l.next, topic: topic.Outcomes} }, says: "lost: no outcome",
		},
		"AFailureWithoutADeadLetterIsNoticed": {
			wrap: func(l *life) { l.next = forgetful{Broker: l.next, topic: topic.DeadLetters} }, says: "there are 0 dead letters",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, calm(c.kills...))
			w.wrap = c.wrap
			w.run()
			require.Contains(t, strings.Join(judge(w.plan, w.evidence()), "\n"), c.says)
		})
	}

	t.Run("WithoutThePackageOnlyTheLedgerKeepsADeadWriterFromDoubling", func(t *testing.T) {
		t.Parallel()
		s := plain()
		for i := range s.orgs {
			s.orgs[i].bare = true
		}
		p := calmOf(s, kill{at: afterRequest, in: 8})
		w := newWorld(t, p)
		w.calmly()
		require.Empty(t, judge(p, w.evidence()))
		p = calmOf(s, never)
		w = newWorld(t, p)
		w.wrap = forgets()
		w.run()
		said := strings.Join(judge(p, w.evidence()), "\n")
		require.Contains(t, said, "Task of task")
		require.Contains(t, said, "doubled: ")
		require.NotContains(t, said, "CampaignMember", "Salesforce lets nobody in twice")
	})

	t.Run("TheLivingMustHaveEverythingWhileOneIsDead", func(t *testing.T) {
		t.Parallel()
		s := plain()
		s.orgs[0].fate, s.orgs[1].fate = dead, healthy
		p := calmOf(s)
		p.faults = []simulator.Fault{{Org: "alpha", Action: "maintenance"}}
		w := newWorld(t, p)
		wrong, settled := w.run()
		require.Empty(t, wrong)
		require.True(t, settled)
		require.Empty(t, judge(p, w.evidence()))

		e := w.evidence()
		e.records["alpha/Task"] = nil
		require.Empty(t, judge(p, e, "beta"), "the dead one is not asked for")
		e.records["beta/Opportunity"] = nil
		require.Contains(t, strings.Join(judge(p, e, "beta"), "\n"), "lost: org beta has no Opportunity")
		require.Contains(t, strings.Join(judgeGone(p, e), "\n"), `alpha/task0/1 (records made once) is "WRITTEN" while its org is dead`)
	})

	t.Run("AStaleValueThatIsRepairedIsNoticed", func(t *testing.T) {
		t.Parallel()
		p := calm()
		w := newWorld(t, p)
		w.calmly()
		require.Empty(t, judge(p, w.evidence()))
		lead, now := w.id("beta", "@lead0"), ""
		for _, r := range w.export("beta", "Lead") {
			if r.text("Id") == lead {
				now = r.text("Title")
			}
		}
		require.NotEmpty(t, now)
		// Somebody sets the lead back and repairs it: at the end, nothing can be seen of it.
		w.set("beta", lead, "v0")
		w.set("beta", lead, now)
		said := judge(p, w.evidence())
		require.Len(t, said, 1)
		require.Contains(t, said[0], "stale on the way: Lead update-lead0 of org beta was set to v0 after "+now)
	})

	t.Run("WhatWasMeantForAnotherOrg", func(t *testing.T) {
		t.Parallel()
		s := plain()
		s.moved = "alpha"
		p := calmOf(s)
		w := newWorld(t, p)
		w.calmly()
		require.Empty(t, judge(p, w.evidence()))
		task := func(key string) record { return record{"Id": "00T", "Description": markerPrefix + key} }
		for says, tamper := range map[string]func(*evidence){
			"org alpha has 1 Task of given0 (tasks for an org that is replaced), wanted 0": func(e *evidence) {
				e.records["alpha/Task"] = append(e.records["alpha/Task"], task("given0"))
			},
			"doubled: the former org has ": func(e *evidence) {
				e.records["former/Task"] = append(e.records["former/Task"], task("given0"), task("given0"))
			},
			"lost: the former org has no task of given": func(e *evidence) {
				e.records["former/Task"] = nil
				e.told["alpha/given0/1"] = told{"WRITTEN"}
			},
			"which is not for it": func(e *evidence) { e.records["former/Task"] = append(e.records["former/Task"], task("task0")) },
			`outcome of alpha/given0/1 (tasks for an org that is replaced) is "SKIPPED SUPERSEDED"`: func(e *evidence) {
				e.told["alpha/given0/1"] = told{"SKIPPED SUPERSEDED"}
			},
		} {
			e := w.evidence()
			tamper(e)
			require.Contains(t, strings.Join(judge(p, e), "\n"), says)
		}
	})

	t.Run("BacklogsInJobs", func(t *testing.T) {
		t.Parallel()
		s := plain()
		s.jobs = true
		p := planOf(1, s)
		p.faults, p.broker, p.kills = nil, brokerFaults{}, nil
		w := newWorld(t, p)
		w.calmly()
		require.Empty(t, judge(p, w.evidence()))
		c := ""
		for _, one := range p.writes {
			if one.key == "backlog0" {
				c = one.connection
			}
		}
		for says, tamper := range map[string]func(*evidence){
			"lost: org " + c + " has no record of backlog": func(e *evidence) {
				e.records[c+"/Engagement__c"] = e.records[c+"/Engagement__c"][:20]
			},
			"stale on the way: Engagement__c backlog": func(e *evidence) {
				h := e.history[c+"/Engagement__c"]
				for _, r := range h {
					if strings.HasPrefix(r.text("External_Id__c"), "backlog") {
						old := maps.Clone(r)
						old["View_Count__c"] = 0.5
						h = append(h, old)
					}
				}
				e.history[c+"/Engagement__c"] = h
			},
			"lost: no outcome of " + c + "/backlog0": func(e *evidence) { delete(e.told, c+"/backlog0/1") },
		} {
			e := w.evidence()
			tamper(e)
			require.Contains(t, strings.Join(judge(p, e), "\n"), says)
		}
	})

	t.Run("TamperedEvidence", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, calm())
		w.calmly()
		require.Empty(t, judge(w.plan, w.evidence()))
		for says, tamper := range map[string]func(*evidence){
			"lost: org alpha has no record of": func(e *evidence) { e.records["alpha/Engagement__c"] = e.records["alpha/Engagement__c"][1:] },
			"doubled: org beta has 2 Task":     func(e *evidence) { e.records["beta/Task"] = append(e.records["beta/Task"], e.records["beta/Task"][0]) },
			"lost: org beta has no Campaign":   func(e *evidence) { e.records["beta/CampaignMember"] = nil },
			"stale: row0 in org alpha": func(e *evidence) {
				for _, r := range e.records["alpha/Engagement__c"] {
					r["View_Count__c"] = 0.5
				}
			},
			"stale: lead lead0 of org beta": func(e *evidence) {
				for _, r := range e.records["beta/Lead"] {
					r["Title"] = "v0"
				}
			},
			`is "PARKED SF_LIMIT"`:        func(e *evidence) { e.told["alpha/task0/1"] = append(e.told["alpha/task0/1"], "PARKED SF_LIMIT") },
			"contradict each other":       func(e *evidence) { e.told["alpha/wrong/1"] = told{"WRITTEN", "FAILED SF_FIELD_GONE"} },
			`is "FAILED SF_REJECTED"`:     func(e *evidence) { e.told["alpha/wrong/1"] = told{"FAILED SF_REJECTED"} },
			"there are 1 dead letters":    func(e *evidence) { e.letters["alpha/task0/1"] = 1 },
			"which nobody asked for":      func(e *evidence) { e.told["alpha/other/1"] = told{"WRITTEN"} },
			"lost: no outcome of beta/ta": func(e *evidence) { delete(e.told, "beta/task0/1") },
		} {
			e := w.evidence()
			tamper(e)
			require.Contains(t, strings.Join(judge(w.plan, e), "\n"), says)
		}
	})
}
