package rest

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// dispatch answers a call that has been admitted.
func (s *Server) dispatch(c *call) reply {
	switch c.route.name {
	case routeResources:
		return resources(&c.route)
	case routeLimits:
		return s.limits()
	case routeGlobal:
		return s.global(c)
	case routeQuery, routeQueryAll:
		return s.query(c)
	case routeQueryMore:
		return s.queryMore(c)
	case routeTooling:
		return s.tooling(c)
	case routeCollection:
		return s.collection(c)
	case routeComposite:
		return s.composite(c)
	case routeBatch:
		return s.batch(c)
	case routeSearch:
		return s.search(c)
	case routeParameterized:
		return s.parameterized(c)
	case routeGraph:
		return s.graphs(c)
	case routeBulkCreate, routeBulkList:
		return s.bulkJobs(c)
	case routeBulkUpload:
		return s.bulkUpload(c)
	case routeBulkJob:
		return s.bulkJob(c)
	case routeBulkResults:
		return s.bulkResults(c)
	case routeUnknown:
		return notFound()
	}
	o, found := s.org.Schema.Object(c.route.object)
	if !found || !c.caller.Access.Object(o).Read {
		return notFound()
	}
	switch c.route.name {
	case routeDescribe:
		return s.describe(c, o)
	case routeObject:
		return s.object(c, o)
	case routeRow:
		return s.row(c, o)
	case routeExternal:
		return s.external(c, o)
	case routeRelated:
		return s.related(c, o)
	case routeUpdated, routeDeleted:
		return s.replication(c, o)
	case routeTree:
		return s.tree(c, o)
	case routeCollectionObject:
		return s.collectionGet(c, o)
	case routeCollectionUpsert:
		return s.collectionUpsert(c, o)
	}
	return notFound()
}

var releases = []string{"Winter", "Spring", "Summer"}

func (s *Server) versions() reply {
	type version struct {
		Label   string `json:"label"`
		URL     string `json:"url"`
		Version string `json:"version"`
	}
	var list []version
	for n := s.oldest(); n <= currentVersion; n++ {
		// 67 is Summer '26, and three releases make a year.
		year := 26 - (currentVersion-n)/3
		list = append(list, version{
			Label: fmt.Sprintf("%s '%02d", releases[(n-59)%3+3*b2i((n-59)%3 < 0)], year),
			URL:   fmt.Sprintf("/services/data/v%d.0", n), Version: fmt.Sprintf("%d.0", n),
		})
	}
	return ok(list)
}

// oldest is the oldest version that is not retired.
func (s *Server) oldest() int { return cmp.Or(s.org.Spec.API.OldestVersion, firstVersion) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func resources(r *route) reply {
	list := map[string]string{}
	for _, name := range []string{"limits", "sobjects", "query", "queryAll", "search", "parameterizedSearch", "composite", "jobs", "tooling"} {
		list[name] = r.path() + "/" + name
	}
	return ok(list)
}

func (s *Server) limits() reply {
	type entry struct{ Max, Remaining int }
	list := map[string]entry{}
	for name, q := range map[string]*quota.Quota{
		"DailyApiRequests": s.quota, "DailyBulkApiBatches": s.batches, "DailyBulkV2QueryJobs": s.queries,
	} {
		used, limit := q.Usage(s.org.Now())
		list[name] = entry{limit, max(0, limit-used)}
	}
	for name, n := range map[string]int{
		"DataStorageMB": 10_240, "FileStorageMB": 10_240,
		"DailyAsyncApexExecutions": 250_000, "DailyDeliveredPlatformEvents": 25_000, "HourlyPublishedPlatformEvents": 50_000,
		"SingleEmail": 5_000, "MassEmail": 5_000,
	} {
		list[name] = entry{n, n}
	}
	return ok(list)
}

// conditional compares the time since which the schema has stood with the request's conditions.
func (s *Server) conditional(c *call) (reply, bool) {
	since := s.started.UTC().Truncate(time.Second)
	if t, err := http.ParseTime(c.Header.Get("If-Modified-Since")); err == nil && !since.After(t) {
		return reply{status: http.StatusNotModified}, true
	}
	if t, err := http.ParseTime(c.Header.Get("If-Unmodified-Since")); err == nil && since.After(t) {
		return failure(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "the resource has been modified"), true
	}
	return reply{}, false
}

func (s *Server) described(v any) reply {
	rep := ok(v)
	rep.modified = s.started.UTC().Format(http.TimeFormat)
	return rep
}

func (s *Server) global(c *call) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return methodNotAllowed(c.Method, "GET,HEAD")
	}
	if rep, done := s.conditional(c); done {
		return rep
	}
	list := []schema.Summary{}
	for _, o := range s.org.Schema.Objects() {
		if c.caller.Access.Object(o).Read {
			list = append(list, s.org.Schema.Summarize(o, c.caller.Access, c.route.path()))
		}
	}
	return s.described(map[string]any{"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": list})
}

func (s *Server) describe(c *call, o *schema.Object) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return methodNotAllowed(c.Method, "GET,HEAD")
	}
	if rep, done := s.conditional(c); done {
		return rep
	}
	return s.described(s.org.Schema.Describe(o, c.caller.Access, c.route.path()))
}

// object answers /sobjects/<Object>: a short description, or a new record.
func (s *Server) object(c *call, o *schema.Object) reply {
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.described(map[string]any{
			"objectDescribe": s.org.Schema.Summarize(o, c.caller.Access, c.route.path()), "recentItems": []any{},
		})
	case http.MethodPost:
		return s.create(c, o)
	}
	return methodNotAllowed(c.Method, "HEAD,GET,POST")
}

// headerOption reads a "key=value; key=value" header.
func headerOption(header, key string) (string, bool) {
	for part := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if strings.EqualFold(strings.TrimSpace(name), key) {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func headerNumber(header, key string, def int) int {
	text, found := headerOption(header, key)
	n, err := strconv.Atoi(text)
	if !found || err != nil {
		return def
	}
	return n
}
