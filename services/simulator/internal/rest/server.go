package rest

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/bulk"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/oauth"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

// Server answers everything that clients ask of one org. It is safe for concurrent use.
type Server struct {
	org     *org.Org
	auth    *oauth.Server
	quota   *quota.Quota
	batches *quota.Quota
	queries *quota.Quota
	jobs    *bulk.Store
	faults  *faults.Engine
	stats   *stats.Recorder
	latency *latency
	cursors *cursors
	locks   *rowLocks
	wall    func() time.Time
	started time.Time
}

// Deps is what a server needs from outside.
type Deps struct {
	Org   *org.Org
	Auth  *oauth.Server
	Quota *quota.Quota
	// Batches and Queries are the allocations of bulk batches and query jobs.
	Batches *quota.Quota
	Queries *quota.Quota
	Faults  *faults.Engine
	Stats   *stats.Recorder
	// Wall is real time, for what is measured rather than simulated.
	Wall func() time.Time
}

// New returns the server of an org.
func New(d Deps) *Server {
	s := &Server{
		org: d.Org, auth: d.Auth, quota: d.Quota, batches: d.Batches, queries: d.Queries, faults: d.Faults, stats: d.Stats, wall: d.Wall,
		latency: newLatency(d.Org.Spec.Latency, d.Org.Key), cursors: newCursors(d.Org.ID), started: d.Org.Now(),
	}
	if d.Org.Spec.RowLocks {
		s.locks = newRowLocks(d.Org.Spec.LockWait)
	}
	s.jobs = bulk.New(bulk.Deps{Org: d.Org, Writer: bulkWriter{s}, Batches: d.Batches, Queries: d.Queries})
	return s
}

// Restore takes back the bulk jobs that were kept, and goes on with those that were not finished.
func (s *Server) Restore(ctx context.Context) error { return s.jobs.Restore(ctx) }

// Close stops the bulk jobs that run and waits for them.
func (s *Server) Close() { s.jobs.Close() }

// call is one request on its way through the server.
type call struct {
	*http.Request
	route  route
	caller org.Caller
	token  string
	body   string
	rows   func(object string) *faults.Rule // faults of single records
	tx     *atomic                          // nil when the call is not part of a transaction
}

// ServeHTTP answers a request whose path has been cut down to what an org's own host would see.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.wall()
	overridden(r)
	c := &call{Request: r, route: parseRoute(r.URL.EscapedPath())}
	if c.route.name == routeBulkCreate && r.Method != http.MethodPost {
		c.route.name = routeBulkList
	}
	name := c.route.name
	isAuth := strings.HasPrefix(r.URL.Path, "/services/oauth2/") || strings.HasPrefix(r.URL.Path, "/id/")
	if isAuth {
		name = oauth.Route(r.URL.Path)
	}
	match := faults.Call{Org: s.org.Key, Route: name, Object: c.route.object, Method: r.Method, Now: s.org.Now()}
	rule := s.faults.Request(match)
	log := stats.Call{Time: match.Now, Org: s.org.Key, Method: r.Method, Path: r.URL.Path, Route: name, Object: c.route.object}
	if rule != nil {
		log.Fault = rule.ID
	}
	count := sync.OnceFunc(func() {
		log.Took = s.wall().Sub(began)
		s.stats.Call(log)
	})
	defer count()
	if isAuth {
		s.serveAuth(w, r, rule, &log)
		return
	}
	c.rows = s.faults.Rows(match)
	rep := s.answer(c, rule) //nolint:contextcheck // a call carries its request and so its context
	log.Records, log.Failed = rep.records, rep.failed
	if rule != nil && (rule.Action == faults.DropAfter || rule.Action == faults.DropBefore) {
		wait(r.Context(), rule.Wait)
		panic(http.ErrAbortHandler)
	}
	log.Status = rep.status
	log.Error = errorCode(rep)
	count() // before it is sent: whoever has an answer finds the call counted
	s.send(w, c, rep)
}

// overridden gives a POST the method that its address names, for clients that know no PATCH ("sObject Rows").
func overridden(r *http.Request) {
	if method := r.URL.Query().Get("_HttpMethod"); r.Method == http.MethodPost && (method == http.MethodPatch || method == http.MethodDelete) {
		r.Method = method
	}
}

// errorCode finds the code in an error answer, for the call log.
func errorCode(rep reply) string {
	if rep.status < http.StatusBadRequest {
		return ""
	}
	_, rest, found := strings.Cut(string(rep.body), `"errorCode":"`)
	if !found {
		return ""
	}
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// answer takes a call through faults, limits and sign-in to its resource.
func (s *Server) answer(c *call, rule *faults.Rule) reply {
	if rule != nil {
		if rep, done := s.befall(c, rule); done {
			return rep
		}
	}
	if c.route.version == 0 { // SOAP, the Bulk API 1.0 and what else is not below /services/data
		rep := notFound()
		rep.uncount = true
		return rep
	}
	if rep, failed := s.readBody(c); failed {
		return rep
	}
	if c.route.name == routeVersions {
		return s.versions()
	}
	if rep, failed := s.admit(c); failed {
		return rep
	}
	if c.route.version < s.oldest() {
		return failure(http.StatusGone, "UNSUPPORTED_API_VERSION", "API version "+c.route.path()[len("/services/data/v"):]+" has been retired")
	}
	if c.route.version > currentVersion {
		return notFound()
	}
	end, admitted := s.quota.Begin(s.wall())
	if !admitted {
		return failure(http.StatusForbidden, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.")
	}
	defer end()
	return s.locked(c, func() reply { return s.dispatch(c) })
}

// befall does what a fault rule says before the request takes effect. It reports true when the answer is settled.
func (s *Server) befall(c *call, rule *faults.Rule) (reply, bool) {
	switch rule.Action {
	case faults.Status:
		status := rule.Status
		if rule.Body != "" {
			return reply{status: status, body: []byte(rule.Body), html: !strings.HasPrefix(rule.Body, "[") && !strings.HasPrefix(rule.Body, "{")}, true
		}
		if rule.Location != "" {
			return reply{status: status, location: rule.Location, uncount: true}, true
		}
		if rule.Code == "" {
			return unexpectedAs(status), true
		}
		return failure(status, rule.Code, rule.Message), true
	case faults.Maintenance:
		return reply{status: http.StatusServiceUnavailable, body: []byte(maintenancePage), html: true, uncount: true}, true
	case faults.QuotaExceeded:
		return failure(http.StatusForbidden, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), true
	case faults.DropBefore:
		return reply{}, true
	case faults.ExpireSession:
		s.auth.Expire(bearer(c.Request))
	case faults.Delay:
		wait(c.Context(), rule.Wait)
	}
	return reply{}, false
}

func unexpectedAs(status int) reply {
	rep := unexpected()
	if status == http.StatusServiceUnavailable {
		rep = failure(status, "SERVER_UNAVAILABLE", "Server Unavailable")
	}
	rep.status = status
	return rep
}

const maintenancePage = `<!DOCTYPE html><html><head><title>Down for Maintenance</title></head><body><h1>Down For Maintenance</h1>` +
	`<p>Sorry for the inconvenience. We'll be back shortly.</p></body></html>`

// admit checks session, API access and quota.
func (s *Server) admit(c *call) (reply, bool) {
	header := c.Header.Get("Authorization")
	scheme, token, found := strings.Cut(header, " ")
	if header != "" && (!found || !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "OAuth")) {
		return failure(http.StatusUnauthorized, "INVALID_AUTH_HEADER", "INVALID_AUTH_HEADER"), true
	}
	invalid := failure(http.StatusUnauthorized, "INVALID_SESSION_ID", "Session expired or invalid")
	invalid.uncount = true
	session, ok := s.auth.Session(strings.TrimSpace(token))
	if !ok {
		return invalid, true
	}
	user, ok := s.org.UserByID(c.Context(), session.UserID)
	if !ok || !user.Active {
		return invalid, true
	}
	var api bool
	if c.caller, api = s.org.Caller(user); !api {
		return failure(http.StatusForbidden, "API_CURRENTLY_DISABLED", "API is disabled for this User"), true
	}
	c.caller.Origin = origin("rest", c.route.version, c.Header.Get("Sforce-Call-Options"))
	if s.org.Spec.API.Disabled {
		return failure(http.StatusForbidden, "API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner"), true
	}
	if !s.quota.Add(s.org.Now(), 1) {
		return failure(http.StatusForbidden, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), true
	}
	return reply{}, false
}

// origin is how change events name what made a change: the API with its version, and the client of the header.
func origin(api string, version int, options string) string {
	text := "com/salesforce/api/" + api + "/" + strconv.Itoa(version) + ".0"
	for option := range strings.SplitSeq(options, ",") {
		if name, value, _ := strings.Cut(strings.TrimSpace(option), "="); strings.EqualFold(name, "client") {
			return text + ";client=" + value
		}
	}
	return text
}

func bearer(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token)
}

func (s *Server) serveAuth(w http.ResponseWriter, r *http.Request, rule *faults.Rule, log *stats.Call) {
	c := &call{Request: r}
	if rule != nil {
		if rep, done := s.befall(c, rule); done { //nolint:contextcheck // a call carries its request and so its context
			if rule.Action == faults.DropBefore {
				wait(r.Context(), rule.Wait)
				panic(http.ErrAbortHandler)
			}
			log.Status = rep.status
			s.send(w, c, rep)
			return
		}
	}
	s.latency.wait(r.Context())
	rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	if rule != nil && rule.Action == faults.DropAfter {
		s.auth.Serve(&discard{header: http.Header{}}, r)
		wait(r.Context(), rule.Wait)
		panic(http.ErrAbortHandler)
	}
	if _, found := s.auth.Serve(rec, r); !found {
		rec.status = http.StatusNotFound
		http.NotFound(w, r)
	}
	log.Status = rec.status
}

// wait sleeps for d, or until the client is gone.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
