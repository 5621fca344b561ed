package members

import (
	"strings"
	"time"
)

// Status is one of a campaign's member statuses. Source: Object Reference, "CampaignMemberStatus".
type Status struct {
	Label string
	// Responded: members with it count as having responded.
	Responded bool
	// Order is its place among the campaign's statuses.
	Order float64
}

// Above reports whether a status comes later than another: all that count as responded after all that do not, and among
// those by their place. So nobody is taken back who has responded.
func (s Status) Above(other Status) bool {
	if s.Responded != other.Responded {
		return s.Responded
	}
	return s.Order > other.Order
}

// Statuses are those of one campaign.
type Statuses []Status

// Find returns the status with a label; Salesforce does not heed case.
func (all Statuses) Find(label string) (Status, bool) {
	for _, s := range all {
		if strings.EqualFold(s.Label, label) {
			return s, true
		}
	}
	return Status{}, false
}

// Raises reports whether a member gets the status of a label. A member whose own status is none of the campaign's, because it
// was taken away, counts by whether they have responded: then they keep it, else any status is later. What is none of the
// campaign's raises nobody: Salesforce would put the default in its place without a word.
func (all Statuses) Raises(label, current string, responded bool) bool {
	wanted, ok := all.Find(label)
	if !ok {
		return false
	}
	if now, known := all.Find(current); known {
		return wanted.Above(now)
	}
	return !responded
}

// Cache remembers the statuses of campaigns for a while. It is not safe for concurrent use.
type Cache struct {
	// Keep is how long they are remembered, Campaigns of how many campaigns at most.
	keep      time.Duration
	campaigns int
	known     map[string]known
}

type known struct {
	statuses Statuses
	at       time.Time
}

// NewCache returns an empty cache that remembers for so long, and of so many campaigns.
func NewCache(keep time.Duration, campaigns int) *Cache {
	return &Cache{keep: keep, campaigns: campaigns, known: map[string]known{}}
}

// settled is how old what is remembered must be before a label that is not among it is looked for anew: somebody may have
// added it since.
const settled = time.Minute

// Get returns the statuses of a campaign; ok is false when they must be asked for. With a label, it is also false when the
// label is none of them and they were not asked for a moment ago.
func (c *Cache) Get(campaign, label string, now time.Time) (s Statuses, ok bool) {
	k, ok := c.known[campaign]
	if !ok || now.Sub(k.at) >= c.keep {
		return nil, false
	}
	if _, found := k.statuses.Find(label); !found && now.Sub(k.at) >= settled {
		return nil, false
	}
	return k.statuses, true
}

// Put remembers the statuses of a campaign. The one of longest ago gives way (promise 7).
func (c *Cache) Put(campaign string, s Statuses, now time.Time) {
	if _, ok := c.known[campaign]; !ok && len(c.known) >= c.campaigns {
		oldest := ""
		for id, k := range c.known {
			if oldest == "" || k.at.Before(c.known[oldest].at) {
				oldest = id
			}
		}
		delete(c.known, oldest)
	}
	c.known[campaign] = known{statuses: s, at: now}
}
