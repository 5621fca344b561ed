package rest

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

const (
	// maxCollection is how many records a collection may hold, maxRetrieve how many ids a retrieval.
	maxCollection = 200
	maxRetrieve   = 2_000
	// maxChunks is how many runs of records of the same object a collection may have.
	maxChunks = 10
)

// collection answers /composite/sobjects: create, update or delete records of one or more objects.
func (s *Server) collection(c *call) reply {
	switch c.Method {
	case http.MethodPost:
		return s.collectionWrite(c, nil, dml.Insert)
	case http.MethodPatch:
		return s.collectionWrite(c, nil, dml.Update)
	case http.MethodDelete:
		return s.collectionDelete(c)
	}
	return methodNotAllowed(c.Method, "POST,PATCH,DELETE")
}

// collectionUpsert answers /composite/sobjects/<Object>/<field>.
func (s *Server) collectionUpsert(c *call, o *schema.Object) reply {
	if c.Method != http.MethodPatch {
		return methodNotAllowed(c.Method, "PATCH")
	}
	f, failed := keyField(c, o, c.route.field)
	if failed != nil {
		return *failed
	}
	return s.collectionWrite(c, &upsertTarget{o, f}, dml.Upsert)
}

// upsertTarget is the object and the key of an upsert.
type upsertTarget struct {
	object *schema.Object
	key    *schema.Field
}

func (s *Server) collectionWrite(c *call, target *upsertTarget, op dml.Op) reply {
	v, failed := c.parse()
	if failed != nil {
		return *failed
	}
	list, found := v.Get("records")
	if !found || list.Kind != jsonin.Array {
		return failure(http.StatusBadRequest, "INVALID_INPUT", "Records list is required")
	}
	if len(list.Members) > maxCollection {
		return failure(http.StatusBadRequest, "EXCEEDED_ID_LIMIT", fmt.Sprintf("record limit reached. cannot submit more than %d records into this call", maxCollection))
	}
	inputs, failed := s.bindAll(c, list, target, op)
	if failed != nil {
		return *failed
	}
	if rep, bad := mixture(inputs); bad {
		return rep
	}
	allOrNone := v.GetTrue("allOrNone")
	results, err := s.write(c, func(w *dml.Writer) []dml.Result { return w.Batch(inputs, op, allOrNone) }, inputs, op)
	if err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	return collected(results, op == dml.Upsert)
}

func collected(results []dml.Result, upsert bool) reply {
	rep := reply{status: http.StatusOK, records: len(results), body: make([]byte, 0, 80*len(results)+2)}
	rep.body = append(rep.body, '[')
	for i := range results {
		if i > 0 {
			rep.body = append(rep.body, ',')
		}
		rep.body = appendResult(rep.body, &results[i], upsert)
		if results[i].Failed() {
			rep.failed++
		}
	}
	rep.body = append(rep.body, ']')
	return rep
}

func (s *Server) bindAll(c *call, list *jsonin.Value, target *upsertTarget, op dml.Op) ([]dml.Input, *reply) {
	binder := s.binder(c)
	if target != nil {
		binder.Key = target.key
	}
	inputs := make([]dml.Input, len(list.Members))
	for i := range list.Members {
		v := &list.Members[i].Value
		o, failed := s.objectOf(c, v, target)
		if failed != nil {
			return nil, failed
		}
		in, err := binder.Bind(o, v, op)
		if err != nil {
			return nil, bound(err)
		}
		inputs[i] = in
	}
	return inputs, nil
}

// objectOf finds the object of a record: what its attributes say, or that of the upsert.
func (s *Server) objectOf(c *call, v *jsonin.Value, target *upsertTarget) (*schema.Object, *reply) {
	if v.Kind != jsonin.Object {
		rep := failure(http.StatusBadRequest, "JSON_PARSER_ERROR", "Cannot deserialize an sObject from "+v.Kind.String())
		return nil, &rep
	}
	name := ""
	if attributes, found := v.Get("attributes"); found {
		name = attributes.GetText("type")
	}
	if target != nil && (name == "" || strings.EqualFold(name, target.object.Name)) {
		return target.object, nil
	}
	if name == "" {
		rep := failure(http.StatusBadRequest, "INVALID_INPUT", "You must specify a type attribute for each record")
		return nil, &rep
	}
	o, found := s.org.Schema.Object(name)
	if target != nil || !found || !c.caller.Access.Object(o).Read {
		rep := failure(http.StatusBadRequest, "INVALID_TYPE", "sObject type '"+name+"' is not supported.")
		return nil, &rep
	}
	return o, nil
}

// mixture refuses too many runs of the same object, and setup objects together with others.
func mixture(inputs []dml.Input) (reply, bool) {
	chunks, setup, other := 0, false, false
	for i := range inputs {
		if i == 0 || inputs[i].Object != inputs[i-1].Object {
			chunks++
		}
		setup = setup || inputs[i].Object.Setup
		other = other || !inputs[i].Object.Setup
	}
	if chunks > maxChunks {
		return failure(http.StatusBadRequest, "INVALID_INPUT", fmt.Sprintf("Collections cannot contain more than %d chunks. Please rearrange the data to reduce chunking.", maxChunks)), true
	}
	if setup && other {
		return failure(http.StatusBadRequest, "MIXED_DML_OPERATION", "DML operation on setup object is not permitted after you have updated a non-setup object (or vice versa)"), true
	}
	return reply{}, false
}

func (s *Server) collectionDelete(c *call) reply {
	values := c.URL.Query()
	ids := strings.FieldsFunc(values.Get("ids"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(ids) == 0 {
		return failure(http.StatusBadRequest, "INVALID_INPUT", "ids parameter is required")
	}
	if len(ids) > maxCollection {
		return failure(http.StatusBadRequest, "EXCEEDED_ID_LIMIT", fmt.Sprintf("record limit reached. cannot submit more than %d records into this call", maxCollection))
	}
	results, inputs := make([]dml.Result, len(ids)), make([]dml.Input, 0, len(ids))
	for i, id := range ids {
		o, found := s.org.Schema.ByPrefix(sfid.Prefix(id))
		if found && looksLikeID(id) {
			inputs = append(inputs, dml.Input{Object: o, ID: id})
			continue
		}
		results[i] = dml.Result{Errors: []*dml.Error{{Code: "MALFORMED_ID", Message: "malformed id " + id}}}
	}
	allOrNone := values.Get("allOrNone") == "true"
	if allOrNone && len(inputs) < len(ids) {
		for i := range results {
			if !results[i].Failed() {
				results[i] = dml.Result{Errors: []*dml.Error{dml.RolledBack()}}
			}
		}
		return collected(results, false)
	}
	written, err := s.write(c, func(w *dml.Writer) []dml.Result { return w.Batch(inputs, dml.Delete, allOrNone) }, inputs, dml.Delete)
	if err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	for i := range results {
		if !results[i].Failed() {
			results[i], written = written[0], written[1:]
		}
	}
	return collected(results, false)
}

// collectionGet answers /composite/sobjects/<Object>: records by id, by address (GET) or by body (POST).
func (s *Server) collectionGet(c *call, o *schema.Object) reply {
	var ids, names []string
	switch c.Method {
	case http.MethodGet:
		split := func(r rune) bool { return r == ',' }
		ids, names = strings.FieldsFunc(c.URL.Query().Get("ids"), split), strings.FieldsFunc(c.URL.Query().Get("fields"), split)
	case http.MethodPost:
		v, failed := c.parse()
		if failed != nil {
			return *failed
		}
		ids, names = texts(&v, "ids"), texts(&v, "fields")
	default:
		return methodNotAllowed(c.Method, "GET,POST")
	}
	if len(ids) == 0 || len(names) == 0 {
		return failure(http.StatusBadRequest, "INVALID_INPUT", "ids and fields are required")
	}
	if len(ids) > maxRetrieve {
		return failure(http.StatusBadRequest, "EXCEEDED_ID_LIMIT", fmt.Sprintf("record limit reached. cannot submit more than %d records into this call", maxRetrieve))
	}
	fields, failed := chosen(c, o, names)
	if failed != nil {
		return *failed
	}
	body := []byte{'['}
	err := s.view(c, func() {
		for i, id := range ids {
			if i > 0 {
				body = append(body, ',')
			}
			body = appendFound(body, c, o, s.find(o, id), fields)
		}
	})
	if err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	return reply{status: http.StatusOK, body: append(body, ']'), records: len(ids)}
}

// find looks a record up by an id of either length; nil when there is none.
func (s *Server) find(o *schema.Object, id string) *record.Record {
	long, err := sfid.Long(strings.TrimSpace(id))
	if err != nil {
		return nil
	}
	rec, found := s.org.Table(o).Get(long)
	if !found || rec.Deleted() {
		return nil
	}
	return rec
}

func appendFound(dst []byte, c *call, o *schema.Object, rec *record.Record, fields []*schema.Field) []byte {
	if rec == nil {
		return append(dst, "null"...)
	}
	return appendRecord(dst, c, o, rec, fields)
}

func texts(v *jsonin.Value, key string) []string {
	list, found := v.Get(key)
	if !found {
		return nil
	}
	out := make([]string, 0, len(list.Members))
	for i := range list.Members {
		out = append(out, list.Members[i].Value.Text)
	}
	return out
}
