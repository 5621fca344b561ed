package ranges

import (
	"math"
	"slices"
)

// Range is the stretch [From, To) of a video, in seconds.
type Range struct {
	From, To float64
}

// Clip cuts r to [0, length); a length of 0 means unknown and cuts only what lies before the start. ok is false when
// nothing is left, and for inverted stretches and values that are not numbers (LOOM-29: dropped, the event is kept).
func (r Range) Clip(length float64) (clipped Range, ok bool) {
	if math.IsNaN(r.From) || math.IsInf(r.From, 0) || math.IsNaN(r.To) || math.IsInf(r.To, 0) {
		return Range{}, false
	}
	r.From = max(r.From, 0)
	if length > 0 {
		r.To = min(r.To, length)
	}
	return r, r.From < r.To
}

// Set is a set of seconds: stretches in ascending order, disjoint and not touching. The zero value is empty.
type Set []Range

// Add returns s with r united into it; r must not be inverted. It may change s.
func (s Set) Add(r Range) Set {
	// The first stretch that r reaches, and the first beyond r.
	first, _ := slices.BinarySearchFunc(s, r.From, func(x Range, from float64) int {
		if x.To < from {
			return -1
		}
		return 1
	})
	last := first
	for last < len(s) && s[last].From <= r.To {
		r.From = min(r.From, s[last].From)
		r.To = max(r.To, s[last].To)
		last++
	}
	if last == first+1 {
		s[first] = r
		return s
	}
	return slices.Replace(s, first, last, r)
}

// Union returns s united with other. It may change s, never other.
func (s Set) Union(other Set) Set {
	if len(s) == 0 {
		return append(s, other...)
	}
	for _, r := range other {
		s = s.Add(r)
	}
	return s
}

// Seconds returns how many distinct seconds s holds up to length; 0 means that the length is unknown.
func (s Set) Seconds(length float64) float64 {
	var sum float64
	for _, r := range s {
		if r, ok := r.Clip(length); ok {
			sum += r.To - r.From
		}
	}
	return sum
}

// Percent returns the share of length that s holds, 0 to 100: 100 from 99.5 on, because players rarely report the last
// instant, and 0 while the length is unknown (LOOM-29).
func (s Set) Percent(length float64) float64 {
	if length <= 0 {
		return 0
	}
	percent := s.Seconds(length) / length * 100
	if percent >= 99.5 {
		return 100
	}
	return percent
}

// Bounded returns s with at most limit stretches, closing the smallest gaps until that holds, which overstates what was
// seen by exactly those gaps. It may change s.
//
// Promise 7: a player that reports thousands of seeks does not grow the state without limit.
func (s Set) Bounded(limit int) Set {
	for limit > 0 && len(s) > limit {
		smallest := 1
		for i := 2; i < len(s); i++ {
			if s[i].From-s[i-1].To < s[smallest].From-s[smallest-1].To {
				smallest = i
			}
		}
		s[smallest-1].To = s[smallest].To
		s = slices.Delete(s, smallest, smallest+1)
	}
	return s
}
