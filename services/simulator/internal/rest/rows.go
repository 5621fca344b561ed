package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/query"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

// parse reads the body as JSON.
func (c *call) parse() (jsonin.Value, *reply) {
	v, err := jsonin.Parse(c.body)
	if err != nil {
		rep := failure(http.StatusBadRequest, "JSON_PARSER_ERROR", err.Error())
		return v, &rep
	}
	return v, nil
}

// bound turns an error of a binder into an answer.
func bound(err error) *reply {
	rep := unexpected()
	var refused *dml.Error
	if errors.As(err, &refused) {
		rep = failure(http.StatusBadRequest, refused.Code, refused.Message, refused.Fields...)
	}
	return &rep
}

func (s *Server) binder(c *call) *dml.Binder {
	return &dml.Binder{Schema: s.org.Schema, Access: c.caller.Access, Body: c.body}
}

// one reads the body as one record.
func (s *Server) one(c *call, o *schema.Object, op dml.Op) (dml.Input, *reply) {
	v, failed := c.parse()
	if failed != nil {
		return dml.Input{}, failed
	}
	if v.Kind != jsonin.Object {
		rep := failure(http.StatusBadRequest, "JSON_PARSER_ERROR", "Cannot deserialize an sObject from "+v.Kind.String())
		return dml.Input{}, &rep
	}
	in, err := s.binder(c).Bind(o, &v, op)
	if err != nil {
		return in, bound(err)
	}
	return in, nil
}

// write runs a change with the call's options and faults, and counts what came of it.
func (s *Server) write(c *call, change func(*dml.Writer) []dml.Result, inputs []dml.Input, op dml.Op) ([]dml.Result, error) {
	var results []dml.Result
	var busy func(*dml.Input) *dml.Error
	var err error
	if c.tx != nil {
		busy = s.shared(c.tx, inputs, op)
	} else {
		var release func()
		if release, busy, err = s.lock(c.Context(), inputs, op); err != nil {
			return nil, err
		}
		defer release()
	}
	err = s.change(c.Context(), c, func(w *dml.Writer) {
		w.AllowDuplicates = false
		w.Fault = refuse(c.rows, busy)
		if allow, found := headerOption(c.Header.Get("Sforce-Duplicate-Rule-Header"), "allowSave"); found {
			w.AllowDuplicates = strings.EqualFold(allow, "true")
		}
		results = change(w)
	})
	count := func() { s.count(results, inputs, op) }
	if c.tx != nil {
		c.tx.counts = append(c.tx.counts, count)
	} else {
		count()
	}
	return results, err
}

// refuse puts together what may refuse single records: scripted faults and locks that could not be had. It is nil when
// there is neither.
func refuse(rows func(object string) *faults.Rule, busy func(*dml.Input) *dml.Error) func(*dml.Input) *dml.Error {
	if rows == nil {
		return busy
	}
	return func(in *dml.Input) *dml.Error {
		if err := rowFault(rows(in.Object.Name), in); err != nil || busy == nil {
			return err
		}
		return busy(in)
	}
}

// count adds what became of records to the statistics.
func (s *Server) count(results []dml.Result, inputs []dml.Input, op dml.Op) {
	counts := map[string]stats.Records{}
	for i := range results {
		n := counts[inputs[i].Object.Name]
		switch {
		case results[i].Failed():
			n.Failed++
		case results[i].Created:
			n.Created++
		case op == dml.Delete:
			n.Deleted++
		default:
			n.Updated++
		}
		counts[inputs[i].Object.Name] = n
	}
	for object, n := range counts {
		s.stats.Records(s.org.Key, object, n)
	}
}

// rowFault turns a rule into a record's refusal.
func rowFault(rule *faults.Rule, in *dml.Input) *dml.Error {
	if rule == nil {
		return nil
	}
	if rule.Action == faults.LockRow {
		id := in.ID
		if id == "" {
			id = in.Object.Prefix + "000000000000"
		}
		return &dml.Error{Code: "UNABLE_TO_LOCK_ROW", Message: "unable to obtain exclusive access to this record or 1 records: " + id}
	}
	return &dml.Error{Code: rule.Code, Message: rule.Message}
}

// single writes one record.
func (s *Server) single(c *call, in *dml.Input, op dml.Op) (dml.Result, *reply) {
	inputs := []dml.Input{*in}
	results, err := s.write(c, func(w *dml.Writer) []dml.Result { return w.Batch(inputs, op, false) }, inputs, op)
	if err != nil {
		rep := unexpectedAs(http.StatusServiceUnavailable)
		return dml.Result{}, &rep
	}
	if results[0].Failed() {
		rep := refusals(results[0].Errors, c.route.path())
		return results[0], &rep
	}
	return results[0], nil
}

func (s *Server) create(c *call, o *schema.Object) reply {
	in, failed := s.one(c, o, dml.Insert)
	if failed != nil {
		return *failed
	}
	res, failed := s.single(c, &in, dml.Insert)
	if failed != nil {
		return *failed
	}
	return reply{
		status: http.StatusCreated, location: c.route.path() + "/sobjects/" + o.Name + "/" + res.ID, records: 1,
		body: []byte(`{"id":"` + res.ID + `","success":true,"errors":[]}`),
	}
}

// row answers /sobjects/<Object>/<id>.
func (s *Server) row(c *call, o *schema.Object) reply {
	if c.Method == http.MethodPost && strings.EqualFold(c.route.id, "Id") && c.route.version >= versionCreateByIDField {
		return s.create(c, o)
	}
	rec, failed := s.locate(c, o, c.route.id)
	if failed != nil {
		return *failed
	}
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		if rep, done := conditions(c, o, rec); done {
			return rep
		}
		return s.show(c, o, rec)
	case http.MethodPatch:
		if rep, done := conditions(c, o, rec); done {
			return rep
		}
		in, failed := s.one(c, o, dml.Update)
		if failed != nil {
			return *failed
		}
		if in.ID != "" {
			return failure(http.StatusBadRequest, "INVALID_FIELD", "The Id field should not be specified in the sobject data.", "Id")
		}
		in.ID = rec.ID()
		if _, failed := s.single(c, &in, dml.Update); failed != nil {
			return *failed
		}
		return reply{status: http.StatusNoContent, records: 1}
	case http.MethodDelete:
		if _, failed := s.single(c, &dml.Input{Object: o, ID: rec.ID()}, dml.Delete); failed != nil {
			return *failed
		}
		return reply{status: http.StatusNoContent, records: 1}
	}
	return methodNotAllowed(c.Method, "HEAD,GET,PATCH,DELETE")
}

// locate finds a record by id for the single-record resources.
func (s *Server) locate(c *call, o *schema.Object, id string) (*record.Record, *reply) {
	long, err := sfid.Long(id)
	if err != nil {
		rep := failure(http.StatusBadRequest, "MALFORMED_ID", "malformed id "+id)
		if len(id) != 15 && len(id) != 18 {
			rep = failure(http.StatusNotFound, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: "+id)
		}
		return nil, &rep
	}
	if sfid.Prefix(long) != o.Prefix {
		rep := failure(http.StatusBadRequest, "MALFORMED_ID", o.Label+" ID: id value of incorrect type: "+id, "Id")
		return nil, &rep
	}
	var rec *record.Record
	if err := s.view(c, func() { rec, _ = s.org.Table(o).Get(long) }); err != nil {
		rep := unexpectedAs(http.StatusServiceUnavailable)
		return nil, &rep
	}
	if rec == nil {
		rep := failure(http.StatusNotFound, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: "+id)
		return nil, &rep
	}
	if rec.Deleted() {
		rep := failure(http.StatusNotFound, "ENTITY_IS_DELETED", "entity is deleted")
		return nil, &rep
	}
	return rec, nil
}

// show writes a record with all fields, or those that the request names.
func (s *Server) show(c *call, o *schema.Object, rec *record.Record) reply {
	fields := o.Fields
	if names := c.URL.Query().Get("fields"); names != "" {
		var failed *reply
		if fields, failed = chosen(c, o, strings.Split(names, ",")); failed != nil {
			return *failed
		}
	}
	rep := reply{status: http.StatusOK, body: appendRecord(nil, c, o, rec, fields), modified: modified(rec).Format(http.TimeFormat)}
	if tagged(o) {
		rep.headers = map[string]string{"ETag": tag(rec)}
	}
	return rep
}

func chosen(c *call, o *schema.Object, names []string) ([]*schema.Field, *reply) {
	fields := make([]*schema.Field, 0, len(names))
	for _, name := range names {
		f, found := o.Field(strings.TrimSpace(name))
		if !found || !c.caller.Access.Visible(o, f) {
			rep := failure(http.StatusBadRequest, "INVALID_FIELD", "No such column '"+strings.TrimSpace(name)+"' on sobject of type "+o.Name)
			return nil, &rep
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func appendRecord(dst []byte, c *call, o *schema.Object, rec *record.Record, fields []*schema.Field) []byte {
	dst = append(dst, '{')
	dst = query.AppendAttributes(dst, o.Name, c.route.path(), rec.ID())
	for _, f := range fields {
		if !c.caller.Access.Visible(o, f) {
			continue
		}
		dst = append(dst, `,"`...)
		dst = append(dst, f.Name...)
		dst = append(dst, `":`...)
		dst = record.AppendJSON(dst, rec.Get(f.Slot))
	}
	return append(dst, '}')
}
