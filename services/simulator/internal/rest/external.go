package rest

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// keyField finds a field that can be the key of an upsert.
func keyField(c *call, o *schema.Object, name string) (*schema.Field, *reply) {
	f, found := o.Field(name)
	if !found || !f.KeyField() || !c.caller.Access.Visible(o, f) {
		rep := failure(http.StatusNotFound, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: "+name)
		return nil, &rep
	}
	return f, nil
}

// external answers /sobjects/<Object>/<field>/<value>.
func (s *Server) external(c *call, o *schema.Object) reply {
	f, failed := keyField(c, o, c.route.field)
	if failed != nil {
		return *failed
	}
	if f.Type == schema.ID {
		c.route.id = c.route.value
		return s.row(c, o)
	}
	var found []*record.Record
	if err := s.view(c, func() { found = s.org.Table(o).Find(f.Slot, f.Key(c.route.value)) }); err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	if len(found) > 1 {
		return ambiguous(c, o, found)
	}
	if c.Method == http.MethodPatch {
		return s.upsertOne(c, o, f, len(found) == 0)
	}
	if len(found) == 0 {
		return notFound()
	}
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.show(c, o, found[0])
	case http.MethodDelete:
		if _, failed := s.single(c, &dml.Input{Object: o, ID: found[0].ID()}, dml.Delete); failed != nil {
			return *failed
		}
		return reply{status: http.StatusNoContent, records: 1}
	}
	return methodNotAllowed(c.Method, "HEAD,GET,PATCH,DELETE")
}

// ambiguous answers 300 with the addresses of the records that have the same external id.
func ambiguous(c *call, o *schema.Object, found []*record.Record) reply {
	urls := make([]string, len(found))
	for i, rec := range found {
		urls[i] = c.route.path() + "/sobjects/" + o.Name + "/" + rec.ID()
	}
	body, err := json.Marshal(urls)
	if err != nil {
		return unexpected()
	}
	return reply{status: http.StatusMultipleChoices, body: body}
}

func (s *Server) upsertOne(c *call, o *schema.Object, f *schema.Field, creates bool) reply {
	if creates && c.URL.Query().Get("updateOnly") == "true" {
		return notFound()
	}
	in, failed := s.one(c, o, dml.Upsert)
	if failed != nil {
		return *failed
	}
	in.Key, in.KeyValue = f, c.route.value
	res, failed := s.single(c, &in, dml.Upsert)
	if failed != nil {
		return *failed
	}
	body := `{"id":"` + res.ID + `","success":true,"errors":[]`
	if c.route.version >= versionCreated {
		body += `,"created":` + strconv.FormatBool(res.Created)
	}
	rep := reply{status: http.StatusOK, body: []byte(body + "}"), records: 1}
	switch {
	case res.Created:
		rep.status, rep.location = http.StatusCreated, c.route.path()+"/sobjects/"+o.Name+"/"+res.ID
	case c.route.version < versionCreated:
		return reply{status: http.StatusNoContent, records: 1}
	}
	return rep
}
