package salesforce

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// CompositeRequest is up to MaxComposite steps that run in order and count as one call of the org's allocation. The whole of it
// shares Salesforce's 10 minutes. Source: REST API Developer Guide, "Composite Request Body".
type CompositeRequest struct {
	// AllOrNone undoes everything when one step fails: then that one has its own error, the others CodeHalted.
	AllOrNone bool
	Steps     []Subrequest
}

// Composite sends one request. An error means that it failed as a whole; otherwise each step has a result, in the request's
// order, which may be a failure of its own.
func (c *Client) Composite(ctx context.Context, req CompositeRequest) ([]SubResult, error) {
	if len(req.Steps) == 0 || len(req.Steps) > MaxComposite {
		return nil, tooMany("subrequests", MaxComposite)
	}
	queries := 0
	for i := range req.Steps {
		if req.Steps[i].isQuery {
			queries++
		}
	}
	if queries > MaxCompositeQueries {
		return nil, tooMany("queries", MaxCompositeQueries)
	}
	r := &call{method: http.MethodPost, path: "/composite", template: "/composite", api: "composite", records: len(req.Steps)}
	// Collated, steps without references among them would run in any order.
	body := append([]byte(nil), `{"collateSubrequests":false,"allOrNone":`...)
	body = append(strconv.AppendBool(body, req.AllOrNone), `,"compositeRequest":`...)
	body, err := appendSteps(body, req.Steps, c.cfg.APIVersion)
	if err != nil {
		return nil, err
	}
	body = append(body, '}')
	r.body = body
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var wire wireSteps
	if json.Unmarshal(ans.body, &wire) != nil {
		return nil, unparseable(r, ans.status)
	}
	results, ok := wire.results(req.Steps)
	if !ok {
		return nil, unparseable(r, ans.status)
	}
	return results, nil
}

// Graph is a transaction of its own within a graph request: all its steps take effect, or none.
type Graph struct {
	// ID names the graph within its request: letters, digits, underscores.
	ID    string
	Steps []Subrequest
}

// GraphResult is what became of a graph. When it did not succeed, nothing of it took effect: the culprit has its own error,
// the other steps CodeHalted. After more than 14 failed graphs Salesforce halts the rest of the request, every step of them;
// repeat those.
type GraphResult struct {
	ID         string
	Successful bool
	Steps      []SubResult
}

// Halted reports whether the graph has no culprit of its own, and may be repeated as it is.
func (g *GraphResult) Halted() bool {
	for i := range g.Steps {
		if !g.Steps[i].Halted() {
			return false
		}
	}
	return !g.Successful
}

// CompositeGraph sends up to MaxGraphs graphs of together up to MaxGraphNodes steps, as one call of the org's allocation. An
// error means that the request failed as a whole; otherwise each graph has a result, in the request's order.
// Source: REST API Developer Guide, "Composite Graph".
func (c *Client) CompositeGraph(ctx context.Context, graphs []Graph) ([]GraphResult, error) {
	r := &call{method: http.MethodPost, path: "/composite/graph", template: "/composite/graph", api: "composite"}
	var err error
	if r.body, err = appendGraphs(graphs, c.cfg.APIVersion); err != nil {
		return nil, err
	}
	for i := range graphs {
		r.records += len(graphs[i].Steps)
	}
	ans, _, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var wire struct {
		Graphs []struct {
			ID         string    `json:"graphId"`
			Successful *bool     `json:"isSuccessful"`
			Response   wireSteps `json:"graphResponse"`
		} `json:"graphs"`
	}
	if json.Unmarshal(ans.body, &wire) != nil || len(wire.Graphs) != len(graphs) {
		return nil, unparseable(r, ans.status)
	}
	answered := make(map[string]int, len(graphs))
	for i := range wire.Graphs {
		answered[wire.Graphs[i].ID] = i
	}
	results := make([]GraphResult, len(graphs))
	for i := range graphs {
		at, found := answered[graphs[i].ID]
		if !found || wire.Graphs[at].Successful == nil {
			return nil, unparseable(r, ans.status)
		}
		steps, ok := wire.Graphs[at].Response.results(graphs[i].Steps)
		if !ok {
			return nil, unparseable(r, ans.status)
		}
		results[i] = GraphResult{ID: graphs[i].ID, Successful: *wire.Graphs[at].Successful, Steps: steps}
	}
	return results, nil
}

func appendGraphs(graphs []Graph, version string) ([]byte, error) {
	if len(graphs) == 0 || len(graphs) > MaxGraphs {
		return nil, tooMany("graphs", MaxGraphs)
	}
	body, nodes, seen := []byte(`{"graphs":[`), 0, map[string]bool{}
	for i := range graphs {
		g := &graphs[i]
		if nodes += len(g.Steps); nodes > MaxGraphNodes || len(g.Steps) == 0 {
			return nil, tooMany("nodes", MaxGraphNodes)
		}
		if !referenceName.MatchString(g.ID) || seen[g.ID] {
			return nil, badRequest("every graph needs an id of its own, of letters, digits and underscores")
		}
		seen[g.ID] = true
		for j := range g.Steps {
			if g.Steps[j].isQuery {
				return nil, badRequest("a graph holds records only, no queries")
			}
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = appendString(append(body, `{"graphId":`...), g.ID)
		var err error
		if body, err = appendSteps(append(body, `,"compositeRequest":`...), g.Steps, version); err != nil {
			return nil, err
		}
		body = append(body, '}')
	}
	return append(body, "]}"...), nil
}

// asError is err as the *Error that it is or wraps.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: ClassUnknown, Reason: ReasonRejected}
}
