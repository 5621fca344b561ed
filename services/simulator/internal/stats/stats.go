// Package stats counts what the simulated orgs are asked to do and remembers the latest calls.
package stats

import (
	"sync"
	"time"
)

// logLength is how many calls are remembered.
const logLength = 1000

// Call is one request as it was answered.
type Call struct {
	Time    time.Time     `json:"time"`
	Org     string        `json:"org"`
	Method  string        `json:"method"`
	Path    string        `json:"path"`
	Route   string        `json:"route"`
	Object  string        `json:"object,omitempty"`
	Status  int           `json:"status"` // 0: the connection was dropped
	Took    time.Duration `json:"took_ns"`
	Records int           `json:"records,omitempty"`
	Failed  int           `json:"failed,omitempty"`
	Fault   string        `json:"fault,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Route sums up the calls of one route.
type Route struct {
	Calls    int           `json:"calls"`
	ByStatus map[int]int   `json:"by_status"`
	Took     time.Duration `json:"took_ns"`
}

// Records sums up the records of one object.
type Records struct {
	Created int `json:"created"`
	Updated int `json:"updated"`
	Deleted int `json:"deleted"`
	Failed  int `json:"failed"`
}

// Org sums up one org.
type Org struct {
	Calls   int                 `json:"calls"`
	Routes  map[string]*Route   `json:"routes"`
	Objects map[string]*Records `json:"objects"`
}

// Recorder counts. It is safe for concurrent use.
type Recorder struct {
	mu   sync.Mutex
	orgs map[string]*Org
	log  []Call
	next int
}

// New returns a recorder that has counted nothing.
func New() *Recorder { return &Recorder{orgs: map[string]*Org{}} }

func (r *Recorder) org(key string) *Org {
	o, ok := r.orgs[key]
	if !ok {
		o = &Org{Routes: map[string]*Route{}, Objects: map[string]*Records{}}
		r.orgs[key] = o
	}
	return o
}

// Call counts a call.
func (r *Recorder) Call(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.org(c.Org)
	o.Calls++
	route, ok := o.Routes[c.Route]
	if !ok {
		route = &Route{ByStatus: map[int]int{}}
		o.Routes[c.Route] = route
	}
	route.Calls++
	route.ByStatus[c.Status]++
	route.Took += c.Took
	if len(r.log) < logLength {
		r.log = append(r.log, c)
		return
	}
	r.log[r.next] = c
	r.next = (r.next + 1) % logLength
}

// Records adds to the counts of an object.
func (r *Recorder) Records(org, object string, add Records) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.org(org)
	c, ok := o.Objects[object]
	if !ok {
		c = &Records{}
		o.Objects[object] = c
	}
	c.Created += add.Created
	c.Updated += add.Updated
	c.Deleted += add.Deleted
	c.Failed += add.Failed
}

// Snapshot returns a copy of the counts by org key.
func (r *Recorder) Snapshot() map[string]Org {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]Org, len(r.orgs))
	for key, o := range r.orgs {
		c := Org{Calls: o.Calls, Routes: map[string]*Route{}, Objects: map[string]*Records{}}
		for name, route := range o.Routes {
			copied := Route{Calls: route.Calls, Took: route.Took, ByStatus: map[int]int{}}
			for status, n := range route.ByStatus {
				copied.ByStatus[status] = n
			}
			c.Routes[name] = &copied
		}
		for name, records := range o.Objects {
			copied := *records
			c.Objects[name] = &copied
		}
		out[key] = c
	}
	return out
}

// Last returns up to n of the latest calls to an org, or to all with an empty key, oldest first.
func (r *Recorder) Last(org string, n int) []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Call
	for i := range r.log {
		c := r.log[(r.next+i)%len(r.log)]
		if org == "" || c.Org == org {
			out = append(out, c)
		}
	}
	return out[max(0, len(out)-n):]
}

// Reset forgets the counts and calls of an org, or of all with an empty key.
func (r *Recorder) Reset(org string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if org == "" {
		r.orgs, r.log, r.next = map[string]*Org{}, nil, 0
		return
	}
	delete(r.orgs, org)
}
