package delivery

import (
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// batchRecords is how many rows of a job count as one of the org's batches, maxBatches how many there are in 24 hours. Source:
// Limits Quick Reference, "Bulk API and Bulk API 2.0 Limits and Allocations".
const (
	batchRecords = 10_000
	maxBatches   = 15_000
)

// allowanceKept is how long what the org said of its batches is gone by, less what was spent since: its own figures lag by as much.
const allowanceKept = 5 * time.Minute

// allowance is what a lane knows of the org's bulk batches of 24 hours, which all its clients and both Bulk APIs share. A user who
// may not see the org's limits has the number that every org has, less what the lane has spent since.
type allowance struct {
	// asking is since when the org is being asked, zero when it is not; asked when it last was.
	asking, asked  time.Time
	max, remaining int64
	// spent are the batches since the org was asked; they may not be in what it says next.
	spent int64
	// untold is since when the org says nothing; zero when it said something.
	untold time.Time
}

// fresh reports whether the org was asked lately.
func (a *allowance) fresh(now time.Time) bool {
	return !a.asked.IsZero() && now.Sub(a.asked) < allowanceKept
}

// answered takes in what the org said; told is whether it said anything.
func (a *allowance) answered(batches salesforce.Allocation, told bool, now time.Time) {
	a.asking, a.asked = time.Time{}, now
	switch {
	case told:
		a.max, a.remaining, a.untold = batches.Max, batches.Remaining-a.spent, time.Time{}
	case a.max == 0, !a.untold.IsZero() && now.Sub(a.untold) >= 24*time.Hour:
		a.max, a.remaining, a.untold = maxBatches, maxBatches, now
	case a.untold.IsZero():
		a.untold = now
	}
	a.spent = 0
}

// spend takes off what a job of so many records costs.
func (a *allowance) spend(records int) {
	n := int64((records + batchRecords - 1) / batchRecords)
	a.remaining, a.spent = a.remaining-n, a.spent+n
}

// left is how many batches may be begun when some percent are left to others.
func (a *allowance) left(leave int) int { return int(max(0, a.remaining-a.max*int64(leave)/100)) }

// used is which part of those that are not left to others is used, 0 to 1; 0 when nothing is known.
func (a *allowance) used(leave int) float64 {
	ours := a.max - a.max*int64(leave)/100
	if ours <= 0 {
		return 0
	}
	return 1 - float64(a.left(leave))/float64(ours)
}

// askAllowance asks the org how many batches it has left, for the sake of a backlog. Some users may not see that; a job for which
// there are none fails by itself.
func (l *lane) askAllowance(g queue.Group) {
	defer signal(l.wake)
	now := l.h.deps.Clock.Now()
	var limits map[string]salesforce.Allocation
	client, err := l.h.deps.Orgs.Client(l.key.workspace, l.key.connection)
	if err == nil {
		limits, err = client.Limits(l.h.life)
		l.gate.Spent(g.Priority, 1, now)
		l.h.deps.Tally.Request(l.h.life, l.org(), "rest", resultOf(err))
	}
	batches, told := limits["DailyBulkApiBatches"]
	l.adjust(func() { l.jobs.allowance.answered(batches, told && err == nil, now) })
}
