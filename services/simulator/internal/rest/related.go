package rest

import (
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// related answers /sobjects/<Object>/<id>/<relationship>: the parent or the children of a record ("sObject Relationships").
func (s *Server) related(c *call, o *schema.Object) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return methodNotAllowed(c.Method, "HEAD,GET")
	}
	rec, failed := s.locate(c, o, c.route.id)
	if failed != nil {
		return *failed
	}
	if ref, found := o.Relationship(c.route.field); found && c.caller.Access.Visible(o, ref) {
		return s.parent(c, ref, rec)
	}
	if child, found := childOf(o, c.route.field); found && c.caller.Access.Object(child.Object).Read {
		return s.children(c, child, rec)
	}
	return notFound()
}

func (s *Server) parent(c *call, ref *schema.Field, rec *record.Record) reply {
	id := rec.Text(ref.Slot)
	for _, target := range s.org.Schema.Targets(ref) {
		if !strings.HasPrefix(id, target.Prefix) || !c.caller.Access.Object(target).Read {
			continue
		}
		parent, failed := s.locate(c, target, id)
		if failed != nil {
			return *failed
		}
		return s.show(c, target, parent)
	}
	return notFound()
}

// children answers like a query, in pages.
func (s *Server) children(c *call, child schema.Child, rec *record.Record) reply {
	var names []string
	if text := c.URL.Query().Get("fields"); text != "" {
		fields, failed := chosen(c, child.Object, strings.Split(text, ","))
		if failed != nil {
			return *failed
		}
		for _, f := range fields {
			names = append(names, f.Name)
		}
	} else {
		for _, f := range child.Object.Fields {
			if c.caller.Access.Visible(child.Object, f) {
				names = append(names, f.Name)
			}
		}
	}
	q, err := soql.Parse("SELECT " + strings.Join(names, ", ") + " FROM " + child.Object.Name + " WHERE " + child.Field.Name + " = '" + rec.ID() + "'")
	if err != nil {
		return queryFailure(err)
	}
	rep := unexpected()
	if err := s.view(c, func() {
		res, failed := s.org.Query(c.caller, c.route.path()).Run(q)
		if failed != nil {
			rep = queryFailure(failed)
			return
		}
		rep = s.first(c, res, pageSize)
	}); err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	return rep
}
