package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Usage is how much of the org's rolling 24-hour allocation of calls is used, by all its clients together. Source: REST API
// Developer Guide, "Limit Info Header"; Limits Quick Reference, "API Request Limits and Allocations".
type Usage struct {
	// Used and Max count calls.
	Used, Max int64
	// At is when Salesforce said so.
	At time.Time
}

// Share returns the used part, 0 to 1 and above during soft overage; 0 when the allocation is unknown.
func (u Usage) Share() float64 {
	if u.Max <= 0 {
		return 0
	}
	return float64(u.Used) / float64(u.Max)
}

// Usage returns what the newest answer said; ok is false before the first one.
func (c *Client) Usage() (usage Usage, ok bool) {
	u := c.usage.Load()
	if u == nil {
		return Usage{}, false
	}
	return *u, true
}

func (c *Client) noteUsage(header string) {
	used, limit, ok := parseLimitInfo(header)
	if !ok {
		return
	}
	c.usage.Store(&Usage{Used: used, Max: limit, At: c.clock.Now()})
}

// parseLimitInfo reads "api-usage=10018/100000", which other elements may follow or precede.
func parseLimitInfo(header string) (used, limit int64, ok bool) {
	for element := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		value, found := strings.CutPrefix(element, "api-usage=")
		if !found {
			continue
		}
		u, l, found := strings.Cut(value, "/")
		if !found {
			return 0, 0, false
		}
		used, err1 := strconv.ParseInt(u, 10, 64)
		limit, err2 := strconv.ParseInt(l, 10, 64)
		if err1 != nil || err2 != nil || used < 0 || limit < 0 {
			return 0, 0, false
		}
		return used, limit, true
	}
	return 0, 0, false
}

// Allocation is one entry of the org's limits, in the unit of its name: calls, megabytes, jobs.
type Allocation struct {
	Max       int64 `json:"Max"`
	Remaining int64 `json:"Remaining"`
}

// Limits returns the org's allocations by name, e.g. "DailyApiRequests". The values lag by up to five minutes. A user who may not
// view the org's setup is refused with 403. Source: REST API Developer Guide, "Limits".
func (c *Client) Limits(ctx context.Context) (map[string]Allocation, error) {
	r := &call{method: http.MethodGet, path: "/limits", template: "/limits", api: "rest"}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	// Entries may nest others per app; decoding them one by one tolerates whatever else is in there.
	var raw map[string]json.RawMessage
	if json.Unmarshal(ans.body, &raw) != nil {
		return nil, unparseable(r, ans.status)
	}
	limits := make(map[string]Allocation, len(raw))
	for name, entry := range raw {
		var a Allocation
		if json.Unmarshal(entry, &a) == nil {
			limits[name] = a
		}
	}
	return limits, nil
}
