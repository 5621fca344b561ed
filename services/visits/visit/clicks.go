package visit

import "slices"

// DoubleClick is how close, in milliseconds, a click must follow a counted one to be the same click (LOOM-30).
const DoubleClick = 2000

// add takes one click in. The count is taken anew from all remembered times, so it does not depend on their order.
func (c *Clicks) add(a *Activity, limit int) {
	at := a.At.UnixMilli()
	if len(c.Times) == 0 || !a.At.Before(c.At) {
		c.At = a.At
		if c.Label != string(a.Label) {
			c.Label = string(a.Label)
		}
		if c.URL != string(a.URL) {
			c.URL = string(a.URL)
		}
	}
	forgotten := c.Count - distinctClicks(c.Times)
	i, _ := slices.BinarySearch(c.Times, at)
	c.Times = slices.Insert(c.Times, i, at)
	if limit > 0 && len(c.Times) > limit {
		c.forgetOldest()
		forgotten++
	}
	c.Count = forgotten + distinctClicks(c.Times)
}

// forgetOldest drops the times of the oldest click and of those that are the same click.
func (c *Clicks) forgetOldest() {
	n := 1
	for n < len(c.Times) && c.Times[n]-c.Times[0] <= DoubleClick {
		n++
	}
	c.Times = slices.Delete(c.Times, 0, n)
}

func distinctClicks(times []int64) (n uint32) {
	for i, counted := 0, int64(0); i < len(times); i++ {
		if n == 0 || times[i]-counted > DoubleClick {
			n, counted = n+1, times[i]
		}
	}
	return n
}
