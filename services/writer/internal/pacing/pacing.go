// Package pacing decides how fast one org is written to: how many requests at a time, how many records in each, and how
// long a record waits for company. It reacts to what the org answers and to how much of its allocation is left.
//
// It is arithmetic without clocks, locks or I/O; the caller serialises the calls.
package pacing

import "time"

// Limits bound a Pace.
type Limits struct {
	// Parallelism is the most requests at a time.
	Parallelism int
	// BatchRecords is the most records in one request, at most 200; MinBatch the fewest that lock errors shrink it to.
	BatchRecords, MinBatch int
	// Linger is how long a record waits for company while calls are plenty, MaxLinger when they are nearly used up.
	// Bulk records may wait BulkLinger.
	Linger, MaxLinger, BulkLinger time.Duration
}

// Pace is the current speed of one org. Requests grow by one after every round without trouble and halve with trouble;
// batches halve with row locks and grow slowly. So does the number of bulk jobs.
type Pace struct {
	limits   Limits
	requests float64
	records  float64
	jobs     int
	used     float64
	batches  float64
}

// New starts with half the parallelism and full batches.
func New(l Limits) *Pace {
	l = l.sane()
	return &Pace{
		limits: l, requests: float64(max(1, (l.Parallelism+1)/2)), records: float64(l.BatchRecords), jobs: l.Parallelism,
	}
}

func (l Limits) sane() Limits {
	l.Parallelism = max(1, l.Parallelism)
	l.BatchRecords = max(1, l.BatchRecords)
	l.MinBatch = min(max(1, l.MinBatch), l.BatchRecords)
	return l
}

// SetParallelism follows a change of the settings.
func (p *Pace) SetParallelism(n int) {
	n = max(1, n)
	if p.jobs == p.limits.Parallelism { // nothing has slowed them down
		p.jobs = n
	}
	p.limits.Parallelism = n
	p.requests, p.jobs = min(p.requests, float64(n)), min(p.jobs, n)
}

// SetUsed tells which part of the allowed calls is used, 0 to 1.
func (p *Pace) SetUsed(share float64) { p.used = min(max(share, 0), 1) }

// SetBatches tells which part of the bulk batches that we may begin is used, 0 to 1.
func (p *Pace) SetBatches(share float64) { p.batches = min(max(share, 0), 1) }

// Jobs is how many bulk jobs may be under way: as many as requests where nothing stands against it, fewer and therefore larger
// ones when calls or batches are more than half used up, and after row locks.
func (p *Pace) Jobs() int {
	thrift := min(1, 2*(1-max(p.used, p.batches)))
	return max(1, min(p.jobs, int(thrift*float64(p.limits.Parallelism))))
}

// JobEnded tells whether records of a bulk job were locked by somebody else.
func (p *Pace) JobEnded(locked bool) {
	if locked {
		p.jobs = max(1, p.jobs/2)
		return
	}
	p.jobs = min(p.limits.Parallelism, p.jobs+1)
}

// Requests is how many may be in flight.
func (p *Pace) Requests() int { return max(1, int(p.requests)) }

// Records is how many one request may carry.
func (p *Pace) Records() int { return max(1, int(p.records)) }

// Smooth tells that a request went through, with no record locked.
func (p *Pace) Smooth() {
	// One more request per round of requests: as fast as the org proves it can take it.
	p.requests = min(float64(p.limits.Parallelism), p.requests+1/p.requests)
	p.records = min(float64(p.limits.BatchRecords), p.records+max(1, p.records/10))
}

// Trouble tells that a request failed for a reason that passes.
func (p *Pace) Trouble() { p.requests = max(1, p.requests/2) }

// Locked tells that some of a request's records were locked by somebody else.
func (p *Pace) Locked() {
	p.records = max(float64(p.limits.MinBatch), p.records/2)
	p.requests = max(1, p.requests-1)
}

// TooBig tells that a request was refused or took too long for its size.
func (p *Pace) TooBig() { p.records = max(float64(p.limits.MinBatch), p.records/2) }

// Linger is how long the oldest record of an incomplete request may wait. Calls are spent freely up to half of what is
// allowed, and ever more thriftily from there.
func (p *Pace) Linger(bulk bool) time.Duration {
	longest := p.limits.MaxLinger
	if bulk {
		longest = p.limits.BulkLinger
	}
	if p.used <= 0.5 || longest <= p.limits.Linger {
		return p.limits.Linger
	}
	stretch := (p.used - 0.5) * 2
	return p.limits.Linger + time.Duration(stretch*float64(longest-p.limits.Linger))
}
