package gate

import (
	"errors"
	"fmt"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Shares divides the calls we may make among the classes of writes. A class uses its own share first. Beyond it, it borrows
// what the others leave: all that less urgent classes have not used, and Lend percent of what more urgent ones have not used.
// The last Floor percent of every class are its own.
type Shares struct {
	// Interactive, RealTime and Bulk are percents of the connection's ceiling; together at most 100. What they leave over is
	// lent to whoever needs it.
	Interactive int `yaml:"interactive"`
	RealTime    int `yaml:"real_time"`
	Bulk        int `yaml:"bulk"`
	// Floor is the percent of the ceiling that no other class can take from a class (XC-10: nobody starves).
	Floor int `yaml:"floor"`
	// Lend is the percent of its unused share that a class lends to less urgent ones; the rest stays for when it is needed.
	Lend int `yaml:"lend"`
}

// DefaultShares gives 20 % to what a person waits for, 50 % to real time and 30 % to bulk; 5 % cannot be taken from any of
// them, and half of what is unused is lent to less urgent classes.
func DefaultShares() Shares {
	return Shares{Interactive: 20, RealTime: 50, Bulk: 30, Floor: 5, Lend: 50}
}

// Validate names the first key that does not fit.
func (s Shares) Validate() error {
	switch {
	case s.Floor < 1 || s.Floor > 33:
		return errors.New("floor: must be 1 to 33")
	case s.Lend < 0 || s.Lend > 100:
		return errors.New("lend: must be 0 to 100")
	case s.Interactive+s.RealTime+s.Bulk > 100:
		return fmt.Errorf("interactive, real_time and bulk: must be at most 100 together, are %d", s.Interactive+s.RealTime+s.Bulk)
	}
	for name, share := range map[string]int{"interactive": s.Interactive, "real_time": s.RealTime, "bulk": s.Bulk} {
		if share < s.Floor {
			return fmt.Errorf("%s: must be at least floor, %d", name, s.Floor)
		}
	}
	return nil
}

// of returns the connection's own division where it has one.
func (s Shares) of(c *configv1.Connection) Shares {
	own := c.GetBudget()
	if own == nil {
		return s
	}
	s.Interactive, s.RealTime, s.Bulk = int(own.GetInteractivePercent()), int(own.GetRealTimePercent()), int(own.GetBulkPercent())
	return s
}

// classes in order of urgency.
const (
	interactive = iota
	realTime
	bulk
	classCount
)

func classOf(p streamv1.Priority) int {
	switch p {
	case streamv1.Priority_PRIORITY_INTERACTIVE:
		return interactive
	case streamv1.Priority_PRIORITY_BULK:
		return bulk
	default:
		return realTime
	}
}

// admits reports whether a class may spend another call: used are the calls of each class in the window, other those that no
// class answers for (probes, token checks), ceiling all that we may make.
func (s Shares) admits(class int, used [classCount]int64, other int64, ceiling float64) bool {
	share := [classCount]int{interactive: s.Interactive, realTime: s.RealTime, bulk: s.Bulk}
	total := float64(other)
	for _, n := range used {
		total += float64(n)
	}
	if total >= ceiling {
		return false
	}
	part := func(percent int) float64 { return ceiling * float64(max(percent, s.Floor)) / 100 }
	borrows := float64(used[class]) >= part(share[class])
	reserved := 0.0
	for k := range classCount {
		if k == class {
			continue
		}
		keep := s.Floor
		if borrows && k < class {
			keep = share[k] * (100 - s.Lend) / 100
		}
		reserved += max(0, part(keep)-float64(used[k]))
	}
	return total+reserved < ceiling
}

// Spent tells that a call was made for writes of a class.
func (g *Gate) Spent(p streamv1.Priority, calls int64, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.classes[classOf(p)]
	b.see(b.last+calls, now)
}

// Admits tells whether writes of a class may go out at now, as far as its share of the calls is concerned: an open gate
// may still be closed to one class (XC-10).
func (g *Gate) Admits(p streamv1.Priority, now time.Time) State {
	settings, client, err := g.connect()
	if err != nil {
		return State{Open: true} // State says what is wrong
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.budget.see(client.Calls(), now)
	usage, ok := client.Usage()
	if !ok || usage.Max <= 0 {
		return State{Open: true}
	}
	var used [classCount]int64
	other := g.budget.used()
	for k := range classCount {
		b := &g.classes[k]
		b.see(b.last, now)
		used[k] = b.used()
		other -= used[k]
	}
	if g.cfg.Shares.of(settings).admits(classOf(p), used, max(0, other), g.ceiling(settings, usage)) {
		return State{Open: true}
	}
	return State{
		Reason: streamv1.Reason_REASON_BUDGET_EXHAUSTED,
		Detail: "the share of the calls in 24 hours for writes of this class is used up, and the others have none to lend",
	}
}
