package rest

import (
	"container/list"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/query"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

const (
	// pageSize is how many records an answer holds; a client may ask for fewer, down to minPage.
	pageSize, minPage = 2_000, 200
	// maxCursors is how many unfinished queries an org keeps; one more ends the oldest.
	maxCursors = 100
	cursorLife = 48 * time.Hour
)

func (s *Server) query(c *call) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return methodNotAllowed(c.Method, "HEAD,GET")
	}
	text := c.URL.Query().Get("q")
	if text == "" {
		return failure(http.StatusBadRequest, soql.Malformed, "unexpected end of query: the parameter q is required")
	}
	parsed, err := soql.Parse(text)
	if err != nil {
		return queryFailure(err)
	}
	if isPermissions(parsed) {
		return permissions(c, parsed)
	}
	size := min(max(headerNumber(c.Header.Get("Sforce-Query-Options"), "batchSize", pageSize), minPage), pageSize)
	var rep reply
	err = s.view(c, func() {
		env := s.org.Query(c.caller, c.route.path())
		env.Deleted = c.route.name == routeQueryAll
		res, failed := env.Run(parsed)
		if failed != nil {
			rep = queryFailure(failed)
			return
		}
		if strings.EqualFold(c.URL.Query().Get("columns"), "true") {
			rep = columns(s.org.Schema, parsed, res)
			return
		}
		if parsed.Count {
			rep = reply{status: http.StatusOK, body: []byte(`{"totalSize":` + strconv.Itoa(res.Total) + `,"done":true,"records":[]}`)}
			return
		}
		rep = s.first(c, res, size)
	})
	if err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	return rep
}

// first writes the first page of an answer and keeps what is left.
func (s *Server) first(c *call, res *query.Result, size int) reply {
	cur := &cursor{result: res, size: size}
	if res.Len() > size {
		s.cursors.add(cur, s.org.Now())
	}
	return cur.page(c, 0)
}

// columns describes the answer to a query in place of the answer, as the Salesforce CLI asks for.
func columns(s *schema.Schema, q *soql.Query, res *query.Result) reply {
	list, prefix, id := res.Columns(), "", false
	for i := range list {
		id = id || list[i].ColumnName == "Id"
	}
	if o, found := s.Object(q.From.Text); found {
		prefix = o.Prefix
	}
	return ok(map[string]any{
		"columnMetadata": list, "entityName": q.From.Text, "groupBy": len(q.GroupBy) > 0, "idSelected": id, "keyPrefix": prefix,
	})
}

func queryFailure(err error) reply {
	var bad *soql.Error
	if errors.As(err, &bad) {
		return failure(http.StatusBadRequest, bad.Code, bad.Message)
	}
	return unexpected()
}

func (s *Server) queryMore(c *call) reply {
	if c.Method != http.MethodGet {
		return methodNotAllowed(c.Method, "HEAD,GET")
	}
	invalid := failure(http.StatusNotFound, "INVALID_QUERY_LOCATOR", "Invalid query locator")
	id, offset, found := strings.Cut(c.route.locator, "-")
	from, err := strconv.Atoi(offset)
	if !found || err != nil || from < 0 {
		return invalid
	}
	cur, found := s.cursors.find(id, s.org.Now())
	if !found || from > cur.result.Len() {
		return invalid
	}
	var rep reply
	if err := s.view(c, func() { rep = cur.page(c, from) }); err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	return rep
}

// cursor is a query whose answer has more than one page.
type cursor struct {
	id     string
	result *query.Result
	size   int
	made   time.Time
}

// page writes one page of the answer.
func (cur *cursor) page(c *call, from int) reply {
	to := min(from+cur.size, cur.result.Len())
	done := to >= cur.result.Len()
	body := make([]byte, 0, 256*(to-from)+128)
	body = append(body, `{"totalSize":`...)
	body = strconv.AppendInt(body, int64(cur.result.Total), 10)
	body = append(body, `,"done":`...)
	body = strconv.AppendBool(body, done)
	if !done {
		body = append(body, `,"nextRecordsUrl":"`...)
		body = append(body, c.route.path()...)
		body = append(body, "/query/"...)
		body = append(body, cur.id...)
		body = append(body, '-')
		body = strconv.AppendInt(body, int64(to), 10)
		body = append(body, '"')
	}
	body = append(body, `,"records":`...)
	body = cur.result.AppendRecords(body, from, to)
	return reply{status: http.StatusOK, body: append(body, '}'), records: to - from}
}

// cursors keeps unfinished queries. It is safe for concurrent use.
type cursors struct {
	pod string

	mu    sync.Mutex
	next  uint64
	byID  map[string]*list.Element
	order *list.List // of *cursor, oldest first
}

func newCursors(orgID string) *cursors {
	return &cursors{pod: orgID[3:6], byID: map[string]*list.Element{}, order: list.New()}
}

func (cs *cursors) add(cur *cursor, now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.next++
	cur.id, cur.made = sfid.New("01g", cs.pod, cs.next), now
	cs.byID[cur.id] = cs.order.PushBack(cur)
	for cs.order.Len() > maxCursors {
		cs.remove(cs.order.Front())
	}
}

func (cs *cursors) find(id string, now time.Time) (*cursor, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	e, found := cs.byID[id]
	if !found {
		return nil, false
	}
	cur := e.Value.(*cursor)
	if now.Sub(cur.made) > cursorLife {
		cs.remove(e)
		return nil, false
	}
	return cur, true
}

func (cs *cursors) remove(e *list.Element) {
	delete(cs.byID, e.Value.(*cursor).id)
	cs.order.Remove(e)
}
