package rest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

const (
	// maxGraphs and maxNodes are how many graphs and how many nodes a graph request may hold ("Composite Graph Limits").
	maxGraphs, maxNodes = 75, 500
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
	seen, nodes := map[string]bool{}, 0
	out := make([]graph, 0, len(list.Members))
	for i := range list.Members {
		g, failed := readGraph(c, &list.Members[i].Value)
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
		out = append(out, g)
	}
	return out, nil
}

func readGraph(c *call, v *jsonin.Value) (graph, *reply) {
	g := graph{id: v.GetText("graphId")}
	if !referenceID.MatchString(g.id) {
		return g, invalid("graphId is required, of letters, numbers and underscores")
	}
	var failed *reply
	if g.subs, failed = subrequests(c, v, "compositeRequest", maxNodes); failed != nil {
		return g, failed
	}
	for _, sub := range g.subs {
		_, rest, _ := strings.Cut(strings.TrimPrefix(sub.url, "/services/data/"), "/")
		if !strings.HasPrefix(rest, "sobjects/") {
			return g, invalid("a graph holds records only: the subrequest '" + sub.reference + "' is not under /sobjects/")
		}
	}
	if rep, bad := checkComposite(g.subs); bad {
		return g, &rep
	}
	return g, nil
}

func invalid(message string) *reply {
	rep := failure(http.StatusBadRequest, "INVALID_INPUT", message)
	return &rep
}
