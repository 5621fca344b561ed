package directory

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/cache"
	"github.com/throughline-dev/throughline/services/identity/fresh"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// Org answers questions; *salesforce.Client is one.
type Org interface {
	// Query returns the records of all pages.
	Query(ctx context.Context, soql string) ([]salesforce.Record, error)
	// Describe returns an object as the user may see it.
	Describe(ctx context.Context, object string) (*salesforce.ObjectDescribe, error)
}

// Orgs finds the org behind a connection.
type Orgs interface {
	// Org fails for a connection that does not exist (any more).
	Org(workspace, connection string) (Org, error)
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

// Stats counts since the start. Safe for concurrent use.
type Stats struct {
	// Queries sent, pages of one not counted, and Failures among the rounds they belong to.
	Queries, Failures atomic.Int64
	// Hits and Misses of the cache of people; Stale are those misses that were remembered and have changed since.
	Hits, Misses, Stale atomic.Int64
}

// Salesforce asks the orgs. Safe for concurrent use.
type Salesforce struct {
	cfg   Config
	orgs  Orgs
	clock Clock
	stats Stats
	slots chan struct{}

	people *cache.Cache[people]
	users  *cache.Cache[users]
	owners *cache.Cache[owner]
	// accounts are of viewers.
	accounts *cache.Cache[accounts]
	// changes decides whether what is in the caches still holds.
	changes *fresh.Log

	mu        sync.Mutex
	breakers  map[string]*breaker
	described map[string]persons // one for each org, as breakers
}

// people are the candidates of one address in one org. XC-42: candidates are kept and not winners, so that the ranking is
// made anew by the policy of the day.
type people struct {
	candidates []match.Candidate
	askedAt    time.Time
	asked      fresh.Mark
}

// users are those with one address in one org, owner is one by its id.
type (
	users struct {
		found []match.User
		asked fresh.Mark
	}
	owner struct {
		match.User
		asked fresh.Mark
	}
)

// New returns a directory that has asked nobody yet. cfg must be valid.
func New(cfg Config, orgs Orgs, clock Clock) *Salesforce {
	return &Salesforce{
		cfg: cfg, orgs: orgs, clock: clock, slots: make(chan struct{}, cfg.Parallel),
		people:   cache.New[people](cfg.CacheEntries),
		users:    cache.New[users](cfg.CacheEntries),
		owners:   cache.New[owner](cfg.CacheEntries),
		accounts: cache.New[accounts](cfg.CacheEntries),
		changes:  fresh.New(max(cfg.PositiveAge, cfg.NegativeAge), cfg.CacheEntries),
		breakers: map[string]*breaker{}, described: map[string]persons{},
	}
}

// Stats returns the counters.
func (s *Salesforce) Stats() *Stats { return &s.stats }

// Look answers every ask, in their order. Orgs are asked in parallel. Who is not patient waits for none of them longer than
// Config.Patience, so that one that is slow or dead delays the others by no more than that, and soon by nothing (promise 6): the
// answer is ErrSlow then, and the question goes on until Config.Timeout, or ctx ends; what comes of it is remembered.
func (s *Salesforce) Look(ctx context.Context, asks []Ask) []Answer {
	answers := make([]Answer, len(asks))
	rounds := map[string]*round{}
	var order []*round
	for i := range asks {
		key := asks[i].key()
		r, ok := rounds[key]
		if !ok {
			r = newRound(s, key, &asks[i])
			rounds[key], order = r, append(order, r)
		}
		r.add(i, &asks[i])
	}
	var asking []*question
	for _, r := range order {
		if r.known() {
			r.answer(answers, r.owners)
			continue
		}
		// What is known stands, whatever comes of the question.
		r.err = ErrSlow
		r.answer(answers, maps.Clone(r.owners))
		asking = append(asking, s.begin(ctx, r))
	}
	patience := time.NewTimer(s.cfg.Patience)
	defer patience.Stop()
	over := patience.C
	for _, q := range asking {
		if q.wait(&over) {
			q.round.answer(answers, q.round.owners)
		}
	}
	return answers
}

func (s *Salesforce) breaker(key string) *breaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.breakers[key]
	if !ok {
		b = &breaker{
			threshold: s.cfg.Failures, rest: s.cfg.RestMin, longest: s.cfg.RestMax, places: make(chan struct{}, max(1, s.cfg.Parallel/4)),
		}
		s.breakers[key] = b
	}
	return b
}

// expiry is how long an answer is remembered.
func (s *Salesforce) expiry(found bool, now time.Time) time.Time {
	if found {
		return now.Add(s.cfg.PositiveAge)
	}
	return now.Add(s.cfg.NegativeAge)
}

// Forget removes what is remembered of the people whom erased says yes to, by workspace and person key.
func (s *Salesforce) Forget(erased func(workspace, personKey string) bool) {
	match := func(key string) bool {
		parts := strings.SplitN(key, "\x00", 4) // workspace, connection, person
		return len(parts) > 2 && erased(parts[0], parts[2])
	}
	s.people.Forget(match)
	s.users.Forget(match)
	s.accounts.Forget(match)
}

// key names the org in caches.
func (a *Ask) key() string {
	if a.Org == "" {
		return join(a.Workspace, a.Connection)
	}
	return join(a.Workspace, a.Connection+"@"+a.Org)
}

// join makes a cache key. None of its parts holds a NUL.
func join(parts ...string) string { return strings.Join(parts, "\x00") }
