package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/jsonin"
	"github.com/throughline-dev/throughline/services/simulator/internal/query"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
	"github.com/throughline-dev/throughline/services/simulator/internal/sosl"
)

// versionSearchRecords is from when /search answers an object; before, it answered the bare list.
const versionSearchRecords = 37

// search answers /search: a SOSL statement.
func (s *Server) search(c *call) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return methodNotAllowed(c.Method, "HEAD,GET")
	}
	parsed, err := sosl.Parse(c.URL.Query().Get("q"))
	if err != nil {
		return queryFailure(err)
	}
	return s.searchAll(c, parsed, c.route.version >= versionSearchRecords)
}

// parameterized answers /parameterizedSearch: a search in parameters, or in a body.
func (s *Server) parameterized(c *call) reply {
	var parsed *sosl.Search
	var err error
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		parsed, err = searchOf(parametersOf(c.URL.Query()))
	case http.MethodPost:
		v, failed := c.parse()
		if failed != nil {
			return *failed
		}
		parsed, err = searchOf(bodyOf(&v))
	default:
		return methodNotAllowed(c.Method, "HEAD,GET,POST")
	}
	if err != nil {
		return queryFailure(err)
	}
	return s.searchAll(c, parsed, true)
}

// searchAll searches one object after the other.
func (s *Server) searchAll(c *call, search *sosl.Search, wrapped bool) reply {
	body, total := []byte{'['}, 0
	var failed error
	err := s.view(c, func() {
		for _, q := range search.Returning {
			res, err := s.findIn(c, search, q)
			if err != nil {
				failed = err
				return
			}
			n := min(res.Len(), search.Limit-total)
			if n <= 0 {
				continue
			}
			if total > 0 {
				body = append(body, ',')
			}
			list := res.AppendRecords(nil, 0, n)
			body = append(body, list[1:len(list)-1]...)
			total += n
		}
	})
	if err != nil {
		return unexpectedAs(http.StatusServiceUnavailable)
	}
	if failed != nil {
		return queryFailure(failed)
	}
	body = append(body, ']')
	if wrapped {
		body = append(append([]byte(`{"searchRecords":`), body...), '}')
	}
	return reply{status: http.StatusOK, body: body, records: total}
}

// nobody is an id that no record has, for searches that find nothing but whose fields and conditions must still be right.
const nobody = "000000000000000AAA"

// findIn finds the records of one object in which all words occur, and lets its query choose and order among them.
func (s *Server) findIn(c *call, search *sosl.Search, q *soql.Query) (*query.Result, error) {
	in := &soql.Membership{Path: soql.Path{Names: []string{"Id"}}, Op: "IN", Values: []soql.Literal{{Kind: soql.StringLiteral, Text: nobody}}}
	if o, found := s.org.Schema.Object(q.From.Text); found && c.caller.Access.Object(o).Read {
		fields := searched(c, o, search.Group)
		s.org.Table(o).All(func(rec *record.Record) bool {
			if rec.Deleted() {
				return true
			}
			texts := make([]string, 0, len(fields))
			for _, f := range fields {
				texts = append(texts, rec.Text(f.Slot))
			}
			if sosl.Matches(search.Words, texts) {
				in.Values = append(in.Values, soql.Literal{Kind: soql.StringLiteral, Text: rec.ID()})
			}
			return len(in.Values) <= sosl.MaxRows
		})
	}
	narrowed := *q
	narrowed.Where = in
	if q.Where != nil {
		narrowed.Where = soql.And{in, q.Where}
	}
	return s.org.Query(c.caller, c.route.path()).Run(&narrowed)
}

// searched lists the fields that a group means and the caller may see.
func searched(c *call, o *schema.Object, group string) []*schema.Field {
	types := map[string][]schema.Type{
		"EMAIL": {schema.Email}, "PHONE": {schema.Phone}, "SIDEBAR": {schema.Email, schema.Phone},
		"ALL": {schema.Email, schema.Phone, schema.String, schema.TextArea, schema.URL, schema.Picklist, schema.Combobox},
	}[group]
	var out []*schema.Field
	for _, f := range o.Fields {
		named := f.NameField && (group == "NAME" || group == "SIDEBAR" || group == "ALL")
		if (named || slices.Contains(types, f.Type)) && c.caller.Access.Visible(o, f) {
			out = append(out, f)
		}
	}
	return out
}

// parameters are a parameterized search before its words and clauses are read.
type parameters struct {
	q, in                 string
	fields                []string
	objects               []searchedObject
	defaultLimit, overall string
	unknown               string
}

type searchedObject struct {
	name, where, limit string
	fields             []string
}

func parametersOf(values map[string][]string) *parameters {
	first := func(key string) string { return strings.Join(values[key], ",") }
	list := func(key string) []string {
		return strings.FieldsFunc(first(key), func(r rune) bool { return r == ',' || r == ' ' })
	}
	p := &parameters{q: first("q"), in: first("in"), fields: list("fields"), defaultLimit: first("defaultLimit"), overall: first("overallLimit")}
	known := map[string]bool{"q": true, "in": true, "fields": true, "defaultLimit": true, "overallLimit": true, "sobject": true}
	for _, name := range list("sobject") {
		o := searchedObject{name: name, where: first(name + ".where"), limit: first(name + ".limit"), fields: list(name + ".fields")}
		p.objects = append(p.objects, o)
		known[name+".where"], known[name+".limit"], known[name+".fields"] = true, true, true
	}
	for key := range values {
		if !known[key] {
			p.unknown = key
		}
	}
	return p
}

func bodyOf(v *jsonin.Value) *parameters {
	number := func(v *jsonin.Value, key string) string {
		if m, found := v.Get(key); found && m.Kind == jsonin.Number {
			return m.Text
		}
		return ""
	}
	p := &parameters{q: v.GetText("q"), in: v.GetText("in"), fields: texts(v, "fields"), defaultLimit: number(v, "defaultLimit"), overall: number(v, "overallLimit")}
	for i := range v.Members {
		if !slices.Contains([]string{"q", "in", "fields", "sobjects", "defaultLimit", "overallLimit"}, v.Members[i].Key) {
			p.unknown = v.Members[i].Key
		}
	}
	list, found := v.Get("sobjects")
	if !found || list.Kind != jsonin.Array {
		return p
	}
	for i := range list.Members {
		o := &list.Members[i].Value
		p.objects = append(p.objects, searchedObject{name: o.GetText("name"), where: o.GetText("where"), limit: number(o, "limit"), fields: texts(o, "fields")})
	}
	return p
}

// objectName reports whether a text can be an object's name.
func objectName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	})
}

// searchOf reads a parameterized search.
func searchOf(p *parameters) (*sosl.Search, error) {
	bad := func(message string) error { return &soql.Error{Code: sosl.Malformed, Message: message} }
	if p.unknown != "" {
		return nil, bad("the parameter " + p.unknown + " is not supported by this simulator")
	}
	words, err := sosl.PlainWords(p.q)
	if err != nil {
		return nil, err
	}
	out := &sosl.Search{Words: words, Group: "ALL", Limit: sosl.MaxRows}
	if p.in != "" {
		out.Group = strings.ToUpper(p.in)
	}
	if !slices.Contains(sosl.Groups, out.Group) {
		return nil, bad("there is no group of fields " + p.in)
	}
	if len(p.objects) == 0 {
		return nil, bad("a search without sobject is not supported by this simulator")
	}
	if p.overall != "" {
		if out.Limit, err = strconv.Atoi(p.overall); err != nil || out.Limit < 1 || out.Limit > sosl.MaxRows {
			return nil, bad("overallLimit must be between 1 and 2000")
		}
	}
	for _, o := range p.objects {
		if !objectName(o.name) {
			return nil, bad("the name of an sobject is missing or wrong")
		}
		q, err := sosl.Returning(o.name, o.clauses(p))
		if err != nil {
			return nil, err
		}
		out.Returning = append(out.Returning, q)
	}
	return out, nil
}

// clauses puts an object's parameters together as RETURNING would have them.
func (o *searchedObject) clauses(p *parameters) string {
	fields, limit := o.fields, o.limit
	if len(fields) == 0 {
		fields = p.fields
	}
	if limit == "" {
		limit = p.defaultLimit
	}
	inside := strings.Join(fields, ",")
	if o.where != "" {
		inside += " WHERE " + o.where
	}
	if limit != "" {
		inside += " LIMIT " + limit
	}
	return inside
}
