package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Call is what rules match against.
type Call struct {
	Org, Route, Object, Method string
	Now                        time.Time
}

// Engine holds the rules in force. It is safe for concurrent use.
type Engine struct {
	mu    sync.Mutex
	next  int
	rules []*state
}

// Counted is a rule with how often it matched and how often it hit.
type Counted struct {
	Rule
	Matched int `json:"matched"`
	Hit     int `json:"hit"`
}

type state struct {
	Counted
	random *rand.Rand
}

// Add puts rules in force after those that are, and returns their ids. A rule with the id of another takes its place.
func (e *Engine) Add(rules ...Rule) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, 0, len(rules))
	for _, r := range rules {
		if r.ID == "" {
			e.next++
			r.ID = fmt.Sprintf("fault-%d", e.next)
		}
		s := &state{Counted: Counted{Rule: r}, random: rand.New(rand.NewPCG(r.Seed, 0x5f0))}
		if at := slices.IndexFunc(e.rules, func(s *state) bool { return s.ID == r.ID }); at >= 0 {
			e.rules[at] = s
		} else {
			e.rules = append(e.rules, s)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// Remove takes the rule with the id out, or all with an empty id, and returns how many there were.
func (e *Engine) Remove(id string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.rules)
	e.rules = slices.DeleteFunc(e.rules, func(s *state) bool { return id == "" || s.ID == id })
	return before - len(e.rules)
}

// List returns the rules in force with their counts.
func (e *Engine) List() []Counted {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Counted, 0, len(e.rules))
	for _, s := range e.rules {
		out = append(out, s.Counted)
	}
	return out
}

// Request returns the first rule that hits the call, or nil.
func (e *Engine) Request(c Call) *Rule {
	return e.first(c, func(s *state) bool { return !s.rows() && !s.chunks() && !s.events() })
}

// Chunk returns the first rule that hits the next chunk of a bulk job, or nil.
func (e *Engine) Chunk(c Call) *Rule { return e.first(c, func(s *state) bool { return s.chunks() }) }

// Event returns the first rule that hits the next change event, or nil.
func (e *Engine) Event(c Call) *Rule { return e.first(c, func(s *state) bool { return s.events() }) }

func (e *Engine) first(c Call, concerned func(*state) bool) *Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.rules {
		if concerned(s) && s.matches(c) && s.hits() {
			r := s.Rule
			return &r
		}
	}
	return nil
}

// Rows returns a function that decides record by record for the call, or nil when no rule is about its records. The
// function returns the rule that hits the next record, or nil.
func (e *Engine) Rows(c Call) func(object string) *Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	anyObject := c
	anyObject.Object = ""
	var concerned []*state
	for _, s := range e.rules {
		if s.rows() && s.matches(anyObject) {
			concerned = append(concerned, s)
		}
	}
	if len(concerned) == 0 {
		return nil
	}
	return func(object string) *Rule {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, s := range concerned {
			if (s.Object == "" || strings.EqualFold(s.Object, object)) && s.hits() {
				r := s.Rule
				return &r
			}
		}
		return nil
	}
}

func (s *state) matches(c Call) bool {
	if s.Org != "" && s.Org != c.Org || s.Method != "" && !strings.EqualFold(s.Method, c.Method) {
		return false
	}
	if s.Object != "" && c.Object != "" && !strings.EqualFold(s.Object, c.Object) || s.Object != "" && c.Object == "" && !s.rows() {
		return false
	}
	if s.Route != "" {
		if ok, err := onRoute(s.Route, c.Route); err != nil || !ok {
			return false
		}
	}
	if !s.From.IsZero() && c.Now.Before(s.From) || !s.Until.IsZero() && !c.Now.Before(s.Until) {
		return false
	}
	return s.Times == 0 || s.Hit < s.Times
}

// hits counts a match and decides whether it is hit.
func (s *state) hits() bool {
	if s.Times > 0 && s.Hit >= s.Times {
		return false
	}
	s.Matched++
	hit := true
	switch {
	case len(s.Nth) > 0:
		hit = slices.Contains(s.Nth, s.Matched)
	case s.Every > 0:
		hit = s.Matched%s.Every == 0
	case s.Probability > 0:
		hit = s.random.Float64() < s.Probability
	}
	if hit {
		s.Hit++
	}
	return hit
}
