package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

const (
	// maxGraphs and maxNodes are how many graphs and how many nodes a graph request may hold ("Composite Graph Limits").
	maxGraphs, maxNodes = 75, 500
	// maxGraphDepth is how many nodes may depend on each other in a row, maxKinds how many kinds of nodes a request may hold:
	// nodes differ in kind by the version of the API, the method and the object.
	maxGraphDepth, maxKinds = 15, 15
	// maxFailedGraphs is how many graphs may fail before the others are not tried any more.
	maxFailedGraphs    = 14
	versionGraph       = 50
	failedGraphsHalted = "Too many graphs failed."
)

// graph is one graph of a graph request.
type graph struct {
	id   string
	subs []subrequest
}

// graphs answers /composite/graph: graphs of records, each a transaction of its own.
func (s *Server) graphs(c *call) reply {
	if c.route.version < versionGraph {
		return notFound()
	}
	if c.Method != http.MethodPost {
		return methodNotAllowed(c.Method, "POST")
	}
	list, rep := readGraphs(c)
	if rep != nil {
		return *rep
	}
	body, failures, records := []byte(`{"graphs":[`), 0, 0
	for i, g := range list {
		var replies []reply
		good := false
		if failures <= maxFailedGraphs {
			replies, good = s.together(c, g.subs)
		} else {
			for range g.subs {
				replies = append(replies, failure(http.StatusBadRequest, "PROCESSING_HALTED", failedGraphsHalted))
			}
		}
		if !good {
			failures++
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = record.AppendString(append(body, `{"graphId":`...), g.id)
		body = appendComposite(append(body, `,"graphResponse":`...), g.subs, replies)
		body = append(strconv.AppendBool(append(body, `,"isSuccessful":`...), good), '}')
		records += len(g.subs)
	}
	return reply{status: http.StatusOK, body: append(body, "]}"...), records: records}
}

// readGraphs reads and checks all graphs before any of them takes effect.
func readGraphs(c *call) ([]graph, *reply) {
	v, failed := c.parse()
	if failed != nil {
		return nil, failed
	}
	list, failed := listOf(&v, "graphs", maxGraphs)
	if failed != nil {
		return nil, failed
	}
	seen, nodes, kinds := map[string]bool{}, 0, map[string]bool{}
	out := make([]graph, 0, len(list.Members))
	for i := range list.Members {
		g, failed := readGraph(c, &list.Members[i].Value, kinds)
		if failed != nil {
			return nil, failed
		}
		if seen[g.id] {
			return nil, invalid("graphId '" + g.id + "' is not unique")
		}
		seen[g.id] = true
		if nodes += len(g.subs); nodes > maxNodes {
			return nil, invalid("a graph request may hold " + strconv.Itoa(maxNodes) + " nodes at most")
		}
		if len(kinds) > maxKinds {
			return nil, invalid("a graph request may hold " + strconv.Itoa(maxKinds) + " different nodes at most: by version, method and object")
		}
		out = append(out, g)
	}
	return out, nil
}

// readGraph reads one graph and adds the kinds of its nodes.
func readGraph(c *call, v *jsonin.Value, kinds map[string]bool) (graph, *reply) {
	g := graph{id: v.GetText("graphId")}
	if !referenceID.MatchString(g.id) {
		return g, invalid("graphId is required, of letters, numbers and underscores")
	}
	var failed *reply
	if g.subs, failed = subrequests(c, v, "compositeRequest", maxNodes); failed != nil {
		return g, failed
	}
	depth := map[string]int{} // by reference
	for _, sub := range g.subs {
		path, _, _ := strings.Cut(sub.url, "?")
		node := parseRoute(path)
		if !graphNode(node.name, sub.method) {
			return g, invalid("a graph holds records only: the subrequest '" + sub.reference + "' is not POST /sobjects/<object>, or GET, PATCH or DELETE of a record")
		}
		kinds[fmt.Sprint(node.version, sub.method, strings.ToLower(node.object))] = true
		deepest := 0
		for _, uses := range reference.FindAllStringSubmatch(sub.url+" "+sub.body, -1) {
			deepest = max(deepest, depth[uses[1]])
		}
		if depth[sub.reference] = deepest + 1; deepest+1 > maxGraphDepth {
			return g, invalid("a graph may be " + strconv.Itoa(maxGraphDepth) + " nodes deep at most: '" + sub.reference + "' is deeper")
		}
	}
	if rep, bad := checkComposite(g.subs); bad {
		return g, &rep
	}
	return g, nil
}

// graphNode reports whether a graph may hold the request ("Using Composite Graphs").
func graphNode(name, method string) bool {
	switch name {
	case routeObject:
		return method == http.MethodPost
	case routeRow, routeExternal:
		return method == http.MethodGet || method == http.MethodPatch || method == http.MethodDelete || (method == http.MethodPost && name == routeExternal)
	}
	return false
}

func invalid(message string) *reply {
	rep := failure(http.StatusBadRequest, "INVALID_INPUT", message)
	return &rep
}
