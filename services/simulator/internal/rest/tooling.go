package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// The objects of the Tooling API that there are. Source: Tooling API Developer Guide, "Layout", "ProfileLayout" and "FlexiPage".
const (
	toolingLayout        = "Layout"
	toolingProfileLayout = "ProfileLayout"
	toolingFlexiPage     = "FlexiPage"
)

// toolingRow is a record, by lower-case name of the field. A value is a text, nil, or metadata.
type toolingRow map[string]any

// tooling answers …/tooling/query. Who may not view setup does not find the objects.
func (s *Server) tooling(c *call) reply {
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		return methodNotAllowed(c.Method, "HEAD,GET")
	}
	q, err := soql.Parse(c.URL.Query().Get("q"))
	if err != nil {
		return queryFailure(err)
	}
	rows, names, found := s.toolingRows(c, q.From.Text)
	if !found || c.caller.Access != nil && c.caller.Access.NoViewSetup {
		return queryFailure(q.Invalid(q.From.Pos, "INVALID_TYPE", "sObject type '%s' is not supported.", q.From.Text))
	}
	if q.Count || len(q.GroupBy)+len(q.OrderBy) > 0 || q.Limit >= 0 || q.Offset >= 0 || q.Scope.Text != "" {
		return queryFailure(q.Unsupported(q.From.Pos, "more than a condition on "+q.From.Text))
	}
	for _, item := range q.Select {
		if item.Path == nil || item.Alias != "" || !slices.Contains(names, item.Path.String()) {
			return queryFailure(q.Invalid(q.From.Pos, "INVALID_FIELD", "No such column on entity '%s'.", q.From.Text))
		}
	}
	var holds []toolingRow
	for _, row := range rows {
		fits, known := row.fits(q.Where)
		if !known {
			return queryFailure(q.Unsupported(q.From.Pos, "this condition on "+q.From.Text))
		}
		if fits {
			holds = append(holds, row)
		}
	}
	return toolingAnswer(c, q, holds)
}

func toolingAnswer(c *call, q *soql.Query, rows []toolingRow) reply {
	records := []any{}
	for _, row := range rows {
		out := map[string]any{"attributes": map[string]string{
			"type": q.From.Text, "url": c.route.path() + "/tooling/sobjects/" + q.From.Text + "/" + row["id"].(string),
		}}
		for _, item := range q.Select {
			name := item.Path.String()
			if name == "Metadata" && len(rows) > 1 {
				return failure(http.StatusBadRequest, soql.Malformed, "When retrieving results with Metadata or FullName fields, the query "+
					"qualifications must specify no more than one row for retrieval.")
			}
			out[name] = row[strings.ToLower(name)]
		}
		records = append(records, out)
	}
	return ok(map[string]any{"size": len(records), "totalSize": len(records), "done": true, "queryLocator": nil, "entityTypeName": q.From.Text, "records": records})
}

// fits judges the few conditions that are known: comparisons of texts for equality, lists of them, and AND.
func (r toolingRow) fits(e soql.Expr) (holds, known bool) {
	is := func(p soql.Path, values ...soql.Literal) (bool, bool) {
		have, found := r[strings.ToLower(p.String())]
		text, isText := have.(string)
		if !found || have != nil && !isText {
			return false, false
		}
		for _, v := range values {
			if v.Kind == soql.StringLiteral && have != nil && strings.EqualFold(text, v.Text) || v.Kind == soql.NullLiteral && have == nil {
				return true, true
			}
		}
		return false, true
	}
	switch e := e.(type) {
	case nil:
		return true, true
	case soql.And:
		for _, part := range e {
			if holds, known := r.fits(part); !holds || !known {
				return false, known
			}
		}
		return true, true
	case *soql.Comparison:
		if e.Op == "=" {
			return is(e.Path, e.Value)
		}
	case *soql.Membership:
		if e.Op == "IN" && e.Query == nil {
			return is(e.Path, e.Values...)
		}
	}
	return false, false
}

// toolingRows returns the records of an object, and the names of the fields that may be selected.
func (s *Server) toolingRows(c *call, object string) ([]toolingRow, []string, bool) {
	switch object {
	case toolingLayout:
		return s.layouts(), []string{"Id", "Name", "TableEnumOrId", "EntityDefinitionId", "LayoutType", "NamespacePrefix", "Metadata"}, true
	case toolingProfileLayout:
		return s.profileLayouts(c), []string{"Id", "LayoutId", "ProfileId", "RecordTypeId", "TableEnumOrId"}, true
	case toolingFlexiPage:
		return s.recordPages(), []string{"Id", "DeveloperName", "MasterLabel", "Type", "EntityDefinitionId"}, true
	}
	return nil, nil, false
}

func (s *Server) layouts() []toolingRow {
	var out []toolingRow
	for i, l := range s.org.Layouts() {
		lists := []any{}
		for _, name := range l.RelatedLists {
			lists = append(lists, map[string]any{"relatedList": name, "fields": []string{"NAME"}})
		}
		out = append(out, toolingRow{
			"id": s.toolingID("00h", i), "name": l.Name, "tableenumorid": l.Object, "entitydefinitionid": l.Object, "layouttype": "Standard",
			"namespaceprefix": nil, "metadata": map[string]any{"layoutSections": []any{}, "relatedLists": lists},
		})
	}
	return out
}

func (s *Server) profileLayouts(c *call) []toolingRow {
	var out []toolingRow
	for _, p := range s.org.Profiles(c.Context()) {
		for i, l := range s.org.Layouts() {
			if !org.Uses(p.Name, l) {
				continue
			}
			out = append(out, toolingRow{
				"id": s.toolingID("01G", len(out)), "layoutid": s.toolingID("00h", i), "profileid": p.ID, "recordtypeid": nil, "tableenumorid": l.Object,
			})
		}
	}
	return out
}

func (s *Server) recordPages() []toolingRow {
	var out []toolingRow
	for i, p := range s.org.Spec.RecordPages {
		out = append(out, toolingRow{
			"id": s.toolingID("0M0", i), "developername": strings.ReplaceAll(p.Name, " ", "_"), "masterlabel": p.Name, "type": "RecordPage",
			"entitydefinitionid": p.Object,
		})
	}
	return out
}

func (s *Server) toolingID(prefix string, n int) string {
	return sfid.New(prefix, s.org.ID[3:6], uint64(n)+1)
}
