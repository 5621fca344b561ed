package refusals

import "time"

// count is how many writes ended, and how many of them the org refused.
type count struct{ ended, refused int }

func (c *count) add(refused bool) {
	c.ended++
	if refused {
		c.refused++
	}
}

// above reports whether more than a share was refused, of what ended or is still to end.
func (c count) above(percent, of int) bool { return c.refused*100 > percent*of }

// buckets is how many parts a window has: it is forgotten a tenth at a time.
const buckets = 10

// window counts over the last while, in a fixed amount of memory.
type window struct {
	parts  [buckets]count
	newest int64 // the number of the newest part, since the epoch
}

// see forgets the parts that have left the window at now.
func (w *window) see(now time.Time, length time.Duration) *count {
	n := now.UnixNano() / int64(length/buckets)
	switch {
	case n-w.newest >= buckets:
		*w = window{newest: n}
	case w.newest-n > 1: // the clock was ahead: what was counted by it counts from now, or it would not leave the window
		sum := w.sum()
		*w = window{newest: n}
		w.parts[n%buckets] = sum
	}
	for w.newest < n {
		w.newest++
		w.parts[w.newest%buckets] = count{}
	}
	return &w.parts[w.newest%buckets]
}

// sum is what the parts hold together.
func (w *window) sum() (all count) {
	for _, part := range w.parts {
		all.ended += part.ended
		all.refused += part.refused
	}
	return all
}
