package rest

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// The limits of a tree ("sObject Tree").
const (
	maxTreeRecords, maxTreeTypes, maxTreeLevels = 200, 5, 5
)

// node is one record of a tree. Its parent, if it has one, comes before it.
type node struct {
	reference string
	in        dml.Input
	parent    int           // -1 for the roots
	via       *schema.Field // what refers to the parent
}

// forest is the records of a tree request, parents before their children.
type forest struct {
	nodes []node
	types map[*schema.Object]bool
	names map[string]bool
}

// tree answers /composite/tree/<Object>: records with their children, all of them or none.
func (s *Server) tree(c *call, o *schema.Object) reply {
	if c.Method != http.MethodPost {
		return methodNotAllowed(c.Method, "POST")
	}
	v, failed := c.parse()
	if failed != nil {
		return *failed
	}
	list, failed := listOf(&v, "records", maxTreeRecords)
	if failed != nil {
		return *failed
	}
	f := &forest{types: map[*schema.Object]bool{}, names: map[string]bool{}}
	if failed := s.plant(c, f, branch{object: o, list: list, parent: -1, level: 1}); failed != nil {
		return *failed
	}
	inputs := make([]dml.Input, len(f.nodes))
	for i := range f.nodes {
		inputs[i] = f.nodes[i].in
	}
	results, err := s.write(c, func(w *dml.Writer) []dml.Result { return grow(w, f, inputs) }, inputs, dml.Insert)
	if err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	return treeReply(f, results)
}

// branch is a list of records with the same parent.
type branch struct {
	object *schema.Object
	list   *jsonin.Value
	parent int
	via    *schema.Field
	level  int
}

// plant reads a branch and what hangs on it.
func (s *Server) plant(c *call, f *forest, b branch) *reply {
	if b.level > maxTreeLevels {
		return invalid(fmt.Sprintf("a tree may have %d levels at most", maxTreeLevels))
	}
	f.types[b.object] = true
	if len(f.types) > maxTreeTypes {
		return invalid(fmt.Sprintf("a tree may have records of %d types at most", maxTreeTypes))
	}
	for i := range b.list.Members {
		v := &b.list.Members[i].Value
		if len(f.nodes) >= maxTreeRecords {
			return invalid(fmt.Sprintf("a tree may have %d records at most", maxTreeRecords))
		}
		n, children, failed := s.leaf(c, f, v, b)
		if failed != nil {
			return failed
		}
		f.nodes = append(f.nodes, n)
		at := len(f.nodes) - 1
		for _, child := range children {
			child.parent, child.level = at, b.level+1
			if failed := s.plant(c, f, child); failed != nil {
				return failed
			}
		}
	}
	return nil
}

// leaf reads one record, and finds the lists of children in it.
func (s *Server) leaf(c *call, f *forest, v *jsonin.Value, b branch) (node, []branch, *reply) {
	n := node{parent: b.parent, via: b.via}
	o, failed := s.objectOf(c, v, &upsertTarget{object: b.object})
	if failed != nil {
		return n, nil, failed
	}
	if attributes, found := v.Get("attributes"); found {
		n.reference = attributes.GetText("referenceId")
	}
	if !referenceID.MatchString(n.reference) || f.names[n.reference] {
		return n, nil, invalid("every record of a tree needs a referenceId of its own; '" + n.reference + "' is missing, wrong or repeated")
	}
	f.names[n.reference] = true
	own := *v
	own.Members = nil
	var children []branch
	for i := range v.Members {
		m := &v.Members[i]
		child, isChild := childOf(o, m.Key)
		if !isChild || !c.caller.Access.Object(child.Object).Read {
			own.Members = append(own.Members, *m)
			continue
		}
		list, failed := listOf(&m.Value, "records", maxTreeRecords)
		if failed != nil {
			return n, nil, failed
		}
		children = append(children, branch{object: child.Object, list: list, via: child.Field})
	}
	var err error
	if n.in, err = s.binder(c).Bind(o, &own, dml.Insert); err != nil {
		return n, nil, bound(err)
	}
	return n, children, nil
}

func childOf(o *schema.Object, relationship string) (schema.Child, bool) {
	for _, child := range o.Children {
		if child.Field.ChildRelationship != "" && strings.EqualFold(child.Field.ChildRelationship, relationship) {
			return child, true
		}
	}
	return schema.Child{}, false
}

// grow inserts the records, parents first. One refusal takes back all of them; children of a refused record are not tried.
func grow(w *dml.Writer, f *forest, inputs []dml.Input) []dml.Result {
	results := make([]dml.Result, len(inputs))
	mark, refused := w.Tx.Mark(), false
	for i := range inputs {
		if p := f.nodes[i].parent; p >= 0 {
			if results[p].Failed() || results[p].ID == "" {
				continue
			}
			inputs[i].Set(f.nodes[i].via, results[p].ID)
		}
		results[i] = w.One(&inputs[i], dml.Insert)
		refused = refused || results[i].Failed()
	}
	if !refused {
		return results
	}
	w.Tx.RollbackTo(mark)
	for i := range results {
		if !results[i].Failed() {
			results[i] = dml.Result{Errors: []*dml.Error{{Code: "ALL_OR_NONE_OPERATION_ROLLED_BACK", Message: rolledBack}}}
		}
	}
	return results
}

// treeReply lists all ids, or the records that were at fault.
func treeReply(f *forest, results []dml.Result) reply {
	rep := reply{status: http.StatusCreated, records: len(results)}
	for i := range results {
		if results[i].Failed() {
			rep.status, rep.failed = http.StatusBadRequest, len(results)
		}
	}
	rep.body = fmt.Appendf(nil, `{"hasErrors":%t,"results":[`, rep.failed > 0)
	some := false
	for i := range results {
		res := &results[i]
		if rep.failed > 0 && (!res.Failed() || res.Errors[0].Code == "ALL_OR_NONE_OPERATION_ROLLED_BACK") {
			continue
		}
		if some {
			rep.body = append(rep.body, ',')
		}
		some = true
		rep.body = record.AppendString(append(rep.body, `{"referenceId":`...), f.nodes[i].reference)
		if !res.Failed() {
			rep.body = append(record.AppendString(append(rep.body, `,"id":`...), res.ID), '}')
			continue
		}
		rep.body = append(rep.body, `,"errors":[`...)
		for j, e := range res.Errors {
			if j > 0 {
				rep.body = append(rep.body, ',')
			}
			rep.body = appendStatus(rep.body, e)
		}
		rep.body = append(rep.body, "]}"...)
	}
	rep.body = append(rep.body, "]}"...)
	return rep
}
