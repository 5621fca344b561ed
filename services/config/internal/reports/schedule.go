package reports

import (
	"hash/fnv"
	"time"
)

const (
	day = 24 * time.Hour
	// hour is when the day's runs become due. UTC knows no daylight saving.
	hour = 9 * time.Hour
)

// dayOf is the day since 1970, UTC.
func dayOf(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// due is when a workspace's pushes are due on a day, with so many pushes in all. Every workspace has its own place in the window, so
// that the order of starts favours nobody and its own pushes come together.
func (c Config) due(on int64, workspace string, pushes int64) time.Time {
	window := min(c.Spread, time.Duration(pushes)*c.PerPush)
	h := fnv.New32a()
	_, _ = h.Write([]byte(workspace))
	place := time.Duration(float64(window) * float64(h.Sum32()) / (1 << 32))
	return time.Unix(on*int64(day/time.Second), 0).UTC().Add(hour + place)
}

// next is when a push is due after a day that had its run.
func (c Config) next(after int64, workspace string, pushes int64, now time.Time) time.Time {
	on := max(after+1, dayOf(now)-1)
	for !now.Before(c.due(on, workspace, pushes).Add(c.CatchUp)) {
		on++
	}
	return c.due(on, workspace, pushes)
}

// begun is the day that counts as done for a push that is switched on now: its first run is the next that becomes due.
func (c Config) begun(workspace string, pushes int64, now time.Time) int64 {
	today := dayOf(now)
	if now.Before(c.due(today, workspace, pushes)) {
		return today - 1
	}
	return today
}
