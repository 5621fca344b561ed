package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// connections are the plans' connections; each has an org of the same key.
var connections = []string{"alpha", "beta", "gamma"}

// fate is what becomes of an org while the faults last.
type fate string

const (
	mixed   fate = "mixed"   // whatever the script brings
	healthy fate = "healthy" // nothing: what happens to the others must not be felt here
	slow    fate = "slow"    // the script's faults, and every answer takes its time
	dead    fate = "dead"    // nothing goes through until all faults end
	deaf    fate = "deaf"    // dead, but what is sent takes effect: only the answers never come
)

// gone reports whether an org with this fate confirms nothing until all faults end.
func (f fate) gone() bool { return f == dead || f == deaf }

// org is a connection's org.
type org struct {
	key string
	// bare: the package is not installed. There are no external ids; records that were made are known by the ledger and by
	// what is written in their fields.
	bare bool
	fate fate
}

// shape is what a seed decides before it draws writes and faults.
type shape struct {
	orgs       []org
	partitions int
	replicas   int  // writers that share the work
	jobs       bool // backlogs go by bulk jobs
	jobsAtOnce int  // how many of them may be under way for an org
	// moved is the connection that an administrator gives to another org in the middle of the work; "" for none.
	moved string
}

// How many seeds there are to one of a kind.
const (
	jobsEvery  = 4 // backlogs go by bulk jobs
	fatesEvery = 3 // each org has a fate of its own
	teamsEvery = 5 // several writers share the work
	movesEvery = 2 // a connection is given to another org
)

func shapeOf(seed uint64) shape {
	r := rand.New(rand.NewPCG(seed, 0x5ae))
	s := shape{partitions: 1 + r.IntN(4), replicas: 1, jobs: seed%jobsEvery == 0}
	fates := []fate{mixed, mixed, mixed}
	if seed%fatesEvery == 0 {
		fates = []fate{healthy, slow, []fate{dead, dead, deaf}[r.IntN(3)]}
		r.Shuffle(len(fates), func(i, j int) { fates[i], fates[j] = fates[j], fates[i] })
	}
	for i, c := range connections {
		s.orgs = append(s.orgs, org{key: c, bare: r.IntN(3) == 0, fate: fates[i]})
	}
	if seed%teamsEvery == 0 {
		s.replicas, s.partitions = 2+r.IntN(2), 3+r.IntN(3)
	}
	if s.jobs { // they are for records with an external id
		s.orgs[r.IntN(len(s.orgs))].bare = false
		s.jobsAtOnce = 1 + r.IntN(4)
	}
	if alive := s.alive(); seed%movesEvery == 0 {
		s.moved = alive[r.IntN(len(alive))]
	}
	return s
}

// plain is a shape without peculiarities.
func plain() shape {
	s := shape{partitions: 1, replicas: 1, jobsAtOnce: 1}
	for _, c := range connections[:2] {
		s.orgs = append(s.orgs, org{key: c, fate: mixed})
	}
	return s
}

// with returns the keys of the orgs that a condition holds for.
func (s *shape) with(holds func(org) bool) []string {
	var keys []string
	for _, o := range s.orgs {
		if holds(o) {
			keys = append(keys, o.key)
		}
	}
	return keys
}

// places are the orgs that there are: also the one that a connection was with before.
func (s *shape) places() []org {
	if s.moved == "" {
		return s.orgs
	}
	return append(slices.Clone(s.orgs), org{key: former, fate: mixed})
}

// gone are the orgs that confirm nothing until all faults end; alive the others.
func (s *shape) gone() []string  { return s.with(func(o org) bool { return o.fate.gone() }) }
func (s *shape) alive() []string { return s.with(func(o org) bool { return !o.fate.gone() }) }

func (s *shape) org(key string) org {
	return s.orgs[slices.IndexFunc(s.orgs, func(o org) bool { return o.key == key })]
}

// String sums the shape up for a person.
func (s *shape) String() string {
	var b strings.Builder
	for _, o := range s.orgs {
		fmt.Fprintf(&b, "org %s %s", o.key, o.fate)
		if o.bare {
			b.WriteString(" without the package")
		}
		b.WriteString(", ")
	}
	fmt.Fprintf(&b, "%d partitions, %d writers", s.partitions, s.replicas)
	if s.jobs {
		fmt.Fprintf(&b, ", backlogs go by bulk jobs, %d at a time", s.jobsAtOnce)
	}
	if s.moved != "" {
		b.WriteString(", " + s.moved + " is given to another org")
	}
	return b.String()
}
