package edge

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// shares gives every workspace its share of the endpoint: a token bucket of events, and half of the places for requests.
// Only authenticated workspaces get one, so their number is that of the workspaces. Promise 6: one workspace's flood,
// or its slow uploads, leave the others their share.
type shares struct {
	perSecond rate.Limit
	burst     int
	places    int

	mu          sync.Mutex
	byWorkspace map[string]*share
}

type share struct {
	limiter *rate.Limiter
	places  chan struct{}
}

func newShares(cfg Config) *shares {
	return &shares{
		perSecond: rate.Limit(cfg.EventsPerSecond), burst: cfg.Burst, places: (cfg.InFlight + 1) / 2,
		byWorkspace: map[string]*share{},
	}
}

func (s *shares) of(workspace string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byWorkspace[workspace]
	if !ok {
		found = &share{limiter: rate.NewLimiter(s.perSecond, s.burst), places: make(chan struct{}, s.places)}
		s.byWorkspace[workspace] = found
	}
	return found
}

// take reports whether n events may come now, and if not, how long to wait.
func (s *share) take(n int, now time.Time) (time.Duration, bool) {
	reservation := s.limiter.ReserveN(now, n)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return wait, false
}

// enter takes a place in every one of the channels, or none. leave gives them back.
func enter(places ...chan struct{}) (leave func(), ok bool) {
	leave = func() {}
	for _, p := range places {
		select {
		case p <- struct{}{}:
			before := leave
			leave = func() { <-p; before() }
		default:
			leave()
			return nil, false
		}
	}
	return leave, true
}
