package conform

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// PushProblem is one thing that keeps a report from being pushed.
type PushProblem struct {
	// Path is the field of the push, e.g. columns[2].field.
	Path   string
	Reason streamv1.Reason
	// Message begins with the reason's code.
	Message string
	// Column is the index of the mapping that could be left out instead (WALK-38); -1 when that would not help.
	Column int
}

// PushReport is what there is to say of a push.
type PushReport struct {
	// Problems are in the order of the push's fields.
	Problems []PushProblem
	// Notes need not be mended: conversions, and what may surprise.
	Notes []string
}

// CheckPush judges a push by its report and by what its org was described to have. Object is nil when the org has none of the name
// for the user; asked is false when nobody could ask, and then only the report counts.
func CheckPush(push *configv1.ReportPush, report *configv1.Report, object *configv1.DescribedObject, asked bool) PushReport {
	c := &pushChecker{push: push, report: report}
	columns := c.columns()
	if asked {
		c.object(object, columns)
	}
	return c.said
}

type pushChecker struct {
	push   *configv1.ReportPush
	report *configv1.Report
	said   PushReport
}

// problem adds one that leaving out a mapping would not mend; columnProblem one that it would.
func (c *pushChecker) problem(path string, reason streamv1.Reason, format string, args ...any) {
	c.add(PushProblem{Path: path, Reason: reason, Column: -1}, format, args...)
}

func (c *pushChecker) columnProblem(n int, field string, reason streamv1.Reason, format string, args ...any) {
	c.add(PushProblem{Path: columnPath(n, field), Reason: reason, Column: n}, format, args...)
}

func (c *pushChecker) add(p PushProblem, format string, args ...any) {
	p.Message = strings.TrimPrefix(p.Reason.String(), "REASON_") + ": " + fmt.Sprintf(format, args...)
	c.said.Problems = append(c.said.Problems, p)
}

func (c *pushChecker) note(n int, format string, args ...any) {
	c.said.Notes = append(c.said.Notes, fmt.Sprintf("columns[%d]: ", n)+fmt.Sprintf(format, args...))
}

func columnPath(n int, field string) string {
	return strings.TrimSuffix(fmt.Sprintf("columns[%d].%s", n, field), ".")
}

// columns judges what the report alone decides, and returns the report's column of each mapping, nil for one that is not there.
func (c *pushChecker) columns() []*configv1.ReportColumn {
	key := column(c.report, c.push.GetKeyColumn())
	switch {
	case key == nil:
		c.problem("key_column", streamv1.Reason_REASON_MAPPING_INVALID, "report %s has no column %q", c.report.GetId(), c.push.GetKeyColumn())
	case key.GetType() != configv1.ReportColumnType_REPORT_COLUMN_TYPE_TEXT && key.GetType() != configv1.ReportColumnType_REPORT_COLUMN_TYPE_INTEGER:
		c.problem("key_column", streamv1.Reason_REASON_TYPE_MISMATCH, "column %q holds %s; a key is a text or a whole number",
			key.GetName(), columnTypes[key.GetType()])
	}
	out := make([]*configv1.ReportColumn, len(c.push.GetColumns()))
	filled := map[string]int{}
	for n, m := range c.push.GetColumns() {
		if out[n] = column(c.report, m.GetColumn()); out[n] == nil {
			c.columnProblem(n, "column", streamv1.Reason_REASON_MAPPING_INVALID, "report %s has no column %q", c.report.GetId(), m.GetColumn())
		}
		name := strings.ToLower(m.GetField())
		if before, there := filled[name]; there {
			c.problem(columnPath(n, "field"), streamv1.Reason_REASON_MAPPING_INVALID, "columns[%d] fills %s already", before, m.GetField())
		} else {
			filled[name] = n
		}
		if strings.EqualFold(m.GetField(), c.push.GetKeyField()) {
			c.problem(columnPath(n, "field"), streamv1.Reason_REASON_MAPPING_INVALID,
				"%s is the key field: it tells which record is meant, and is not changed", m.GetField())
		}
		c.options(n, m, out[n])
	}
	return out
}

// object judges what the org decides.
func (c *pushChecker) object(o *configv1.DescribedObject, columns []*configv1.ReportColumn) {
	if o == nil {
		c.problem("object", streamv1.Reason_REASON_SF_FIELD_GONE, "the org has no object %s that it lets the integration user see", c.push.GetObject())
		return
	}
	if why := notPushable(o.GetName(), o.GetQueryable(), o.GetUpdateable()); why != "" {
		c.problem("object", streamv1.Reason_REASON_SF_NO_PERMISSION, "%s: %s", named(o.GetLabel(), o.GetName()), why)
		return
	}
	if d := field(o, c.push.GetKeyField()); d == nil {
		c.problem("key_field", streamv1.Reason_REASON_SF_FIELD_GONE, "%s has no field %s that the org lets the integration user see%s",
			o.GetName(), c.push.GetKeyField(), meant(o, c.push.GetKeyField()))
	} else if reason, why := notKey(d); why != "" {
		c.problem("key_field", reason, "%s cannot be the key: %s", named(d.GetLabel(), d.GetName()), why)
	} else if !d.GetUnique() && d.GetType() != typeID {
		c.said.Notes = append(c.said.Notes, fmt.Sprintf("key_field: %s is not unique: several records may have one key",
			named(d.GetLabel(), d.GetName())))
	}
	for n, m := range c.push.GetColumns() {
		c.target(o, n, m, columns[n])
	}
}

// target judges the field that a mapping fills (WALK-17).
func (c *pushChecker) target(o *configv1.DescribedObject, n int, m *configv1.ColumnMapping, from *configv1.ReportColumn) {
	d := field(o, m.GetField())
	switch {
	case d == nil:
		c.columnProblem(n, "field", streamv1.Reason_REASON_SF_FIELD_GONE, "%s has no field %s that the org lets the integration user see%s",
			o.GetName(), m.GetField(), meant(o, m.GetField()))
	case unsupported[d.GetType()] || d.GetType() == typeTime:
		c.columnProblem(n, "field", streamv1.Reason_REASON_UNSUPPORTED_FIELD_TYPE, "%s is of type %s, which no column can fill",
			named(d.GetLabel(), d.GetName()), d.GetType())
	case !d.GetUpdateable():
		c.columnProblem(n, "field", streamv1.Reason_REASON_SF_NO_PERMISSION, "the integration user may not change %s", named(d.GetLabel(), d.GetName()))
	case from != nil:
		c.conversion(n, m, from, d)
	}
}

// KeyFields returns the fields that can hold a key: external ids first, then e-mail addresses, then the others, each by name
// (WALK-14).
func KeyFields(o *configv1.DescribedObject) []*configv1.DescribedField {
	var out []*configv1.DescribedField
	for _, d := range o.GetFields() {
		if _, why := notKey(d); why == "" {
			out = append(out, d)
		}
	}
	rank := func(d *configv1.DescribedField) int {
		switch {
		case d.GetExternalId():
			return 0
		case d.GetType() == typeEmail:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b *configv1.DescribedField) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// TargetFields returns the fields that a column can fill, by name (WALK-17).
func TargetFields(o *configv1.DescribedObject) []*configv1.DescribedField {
	var out []*configv1.DescribedField
	for _, d := range o.GetFields() {
		if d.GetUpdateable() && !unsupported[d.GetType()] && d.GetType() != typeTime {
			out = append(out, d)
		}
	}
	return out
}

// NotPushable tells why reports cannot be pushed into an object; "" when they can (WALK-12).
func NotPushable(o *configv1.ObjectSummary) string {
	return notPushable(o.GetName(), o.GetQueryable(), o.GetUpdateable())
}

func notPushable(name string, queryable, updateable bool) string {
	switch lower := strings.ToLower(name); {
	case strings.HasSuffix(lower, "__b"):
		return "it is a big object, whose records cannot be changed one by one"
	case strings.HasSuffix(lower, "__x"):
		return "it is an external object, whose records are not in Salesforce"
	case !queryable:
		return "the integration user may not query it"
	case !updateable:
		return "the integration user may not change its records"
	}
	return ""
}

// notKey tells why a field cannot hold a key. Source of the flags: SOAP API Developer Guide, "DescribeSObjectResult".
func notKey(d *configv1.DescribedField) (streamv1.Reason, string) {
	switch {
	case d.GetEncrypted() && !d.GetFilterable():
		return streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC, "it is encrypted so that no record can be found by it; encrypt it deterministically"
	case !keyTypes[d.GetType()]:
		return streamv1.Reason_REASON_MAPPING_INVALID, fmt.Sprintf("it is of type %s; a key is a text, an e-mail address, a phone number, a number without decimals or a record id", d.GetType())
	case numeric[d.GetType()] && d.GetScale() > 0:
		return streamv1.Reason_REASON_MAPPING_INVALID, fmt.Sprintf("it has %d decimals", d.GetScale())
	case !d.GetFilterable():
		return streamv1.Reason_REASON_MAPPING_INVALID, "Salesforce cannot search by it"
	}
	return streamv1.Reason_REASON_UNSPECIFIED, ""
}

// keyTypes are the types that a key can have; auto-numbers are strings.
var keyTypes = set("string", "textarea", typeEmail, "phone", "url", "encryptedstring", typeID, "int", "long", "double")

// column finds a column of a report; names are compared as they are.
func column(r *configv1.Report, name string) *configv1.ReportColumn {
	at := slices.IndexFunc(r.GetColumns(), func(c *configv1.ReportColumn) bool { return c.GetName() == name })
	if at < 0 {
		return nil
	}
	return r.GetColumns()[at]
}
