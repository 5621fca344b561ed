package gate

import "time"

// budget counts our own calls to one org over a rolling day, in buckets of an hour. Salesforce's header tells only what
// all clients together used. What earlier processes used is not known to it.
type budget struct {
	buckets [24]int64
	hour    int64 // of the newest bucket, since the epoch
	last    int64 // the client's counter when last seen
}

// see takes in the client's counter of calls.
func (b *budget) see(calls int64, now time.Time) {
	hour := now.Unix() / 3600
	if b.hour == 0 {
		b.hour = hour
	}
	if b.hour-hour > 1 { // the clock was ahead: what was counted by it counts from now, or it would never leave the window
		sum := b.used()
		b.buckets, b.hour = [24]int64{}, hour
		b.buckets[hour%24] = sum
	}
	for ; b.hour < hour; b.hour++ {
		if hour-b.hour > int64(len(b.buckets)) {
			b.buckets = [24]int64{}
			b.hour = hour
			break
		}
		b.buckets[(b.hour+1)%24] = 0
	}
	if calls > b.last {
		b.buckets[b.hour%24] += calls - b.last
	}
	b.last = calls
}

func (b *budget) used() int64 {
	var sum int64
	for _, n := range b.buckets {
		sum += n
	}
	return sum
}
