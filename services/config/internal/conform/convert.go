package conform

import (
	"fmt"
	"slices"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

const (
	typeID      = "id"
	typeEmail   = "email"
	typePercent = "percent"
	typeInt     = "int"
)

// Column types by the names that people read.
const (
	columnText     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_TEXT
	columnNumber   = configv1.ReportColumnType_REPORT_COLUMN_TYPE_NUMBER
	columnInteger  = configv1.ReportColumnType_REPORT_COLUMN_TYPE_INTEGER
	columnBoolean  = configv1.ReportColumnType_REPORT_COLUMN_TYPE_BOOLEAN
	columnDate     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_DATE
	columnDateTime = configv1.ReportColumnType_REPORT_COLUMN_TYPE_DATETIME
)

var columnTypes = map[configv1.ReportColumnType]string{
	columnText: "texts", columnNumber: "numbers", columnInteger: "whole numbers", columnBoolean: "yes or no", columnDate: "dates",
	columnDateTime: "points in time",
}

// family are the types of fields that are filled in the same way.
type family int

const (
	familyText family = iota
	familyNumber
	familyFlag
	familyDate
	familyDateTime
	familyReference
)

func familyOf(fieldType string) (family, bool) {
	switch {
	case fieldType == "reference" || fieldType == typeID:
		return familyReference, true
	case textual[fieldType]:
		return familyText, true
	case numeric[fieldType]:
		return familyNumber, true
	case fieldType == typeBoolean:
		return familyFlag, true
	case fieldType == typeDate:
		return familyDate, true
	case fieldType == typeDateTime:
		return familyDateTime, true
	}
	return 0, false // a type newer than this program: Salesforce decides
}

// conversions say how cells of a column fill a field (WALK-19): "" as they are, a sentence for people otherwise. What is missing is
// impossible.
var conversions = map[configv1.ReportColumnType]map[family]string{
	columnText: {
		familyText: "", familyReference: "", familyNumber: "texts are read as numbers", familyFlag: "words become yes or no",
		familyDate: "texts are read as dates", familyDateTime: "texts are read as points in time",
	},
	columnNumber:   {familyNumber: "", familyText: "numbers become texts"},
	columnInteger:  {familyNumber: "", familyText: "whole numbers become texts"},
	columnBoolean:  {familyFlag: "", familyText: "yes and no become the texts true and false"},
	columnDate:     {familyDate: "", familyText: "dates become texts, YYYY-MM-DD", familyDateTime: "dates become the beginning of the day"},
	columnDateTime: {familyDateTime: "", familyText: "points in time become texts, RFC 3339", familyDate: "points in time become the day they are on"},
}

// conversion judges whether cells of a column can fill a field.
func (c *pushChecker) conversion(n int, m *configv1.ColumnMapping, from *configv1.ReportColumn, d *configv1.DescribedField) {
	to, known := familyOf(d.GetType())
	if !known {
		return
	}
	how, possible := conversions[from.GetType()][to]
	switch {
	case !possible:
		c.columnProblem(n, "", streamv1.Reason_REASON_TYPE_MISMATCH, "column %q holds %s, and %s is of type %s",
			from.GetName(), columnTypes[from.GetType()], named(d.GetLabel(), d.GetName()), d.GetType())
		return
	case how != "":
		c.note(n, "%s", how)
	case from.GetType() == columnNumber && d.GetType() == typeInt:
		c.note(n, "a number with a fraction does not fit %s; its row fails", named(d.GetLabel(), d.GetName()))
	}
	if m.GetFractionToPercent() && d.GetType() != typePercent {
		c.problem(columnPath(n, "fraction_to_percent"), streamv1.Reason_REASON_MAPPING_INVALID, "%s is of type %s, not percent",
			named(d.GetLabel(), d.GetName()), d.GetType())
	}
	if m.GetDateFormat() != "" && to != familyDate && to != familyDateTime {
		c.problem(columnPath(n, "date_format"), streamv1.Reason_REASON_MAPPING_INVALID, "%s holds no date", named(d.GetLabel(), d.GetName()))
	}
}

// options judges the conversion options that need no org.
func (c *pushChecker) options(n int, m *configv1.ColumnMapping, from *configv1.ReportColumn) {
	invalid := streamv1.Reason_REASON_MAPPING_INVALID
	if format := m.GetDateFormat(); format != "" {
		switch {
		case from != nil && from.GetType() != columnText:
			c.problem(columnPath(n, "date_format"), invalid, "column %q holds %s, which have one form", from.GetName(), columnTypes[from.GetType()])
		case !datable(format):
			c.problem(columnPath(n, "date_format"), invalid, "%q: want YYYY, MM and DD once each, and hh, mm, ss for a time", format)
		}
	}
	if zone := m.GetTimeZone(); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil || strings.EqualFold(zone, "local") {
			c.problem(columnPath(n, "time_zone"), invalid, "%q is not a time zone such as Asia/Tokyo", zone)
		}
	}
	for _, word := range m.GetTrueWords() {
		if slices.ContainsFunc(m.GetFalseWords(), func(other string) bool { return strings.EqualFold(strings.TrimSpace(word), strings.TrimSpace(other)) }) {
			c.problem(columnPath(n, "true_words"), invalid, "%q means true and false", word)
		}
	}
	if (len(m.GetTrueWords()) == 0) != (len(m.GetFalseWords()) == 0) {
		c.problem(columnPath(n, "true_words"), invalid, "give both true_words and false_words, or neither")
	}
	if from == nil {
		return
	}
	if why := refuseAggregate(m.GetAggregate(), from.GetType()); why != "" {
		c.problem(columnPath(n, "aggregate"), invalid, "column %q holds %s; %s", from.GetName(), columnTypes[from.GetType()], why)
	}
}

func refuseAggregate(a configv1.Aggregate, of configv1.ReportColumnType) string {
	number := of == columnNumber || of == columnInteger
	switch {
	case a == configv1.Aggregate_AGGREGATE_SUM && !number:
		return "only numbers have a sum"
	case a == configv1.Aggregate_AGGREGATE_MAX && !number && of != columnDate && of != columnDateTime:
		return "only numbers, dates and points in time have a greatest"
	}
	return ""
}

// datable reports whether a format names year, month and day once each, and no part of a time twice.
func datable(format string) bool {
	for token, least := range map[string]int{"YYYY": 1, "MM": 1, "DD": 1, "hh": 0, "mm": 0, "ss": 0} {
		if n := strings.Count(format, token); n < least || n > 1 {
			return false
		}
	}
	return true
}

// LeftOut says that a column is left out, and why.
func LeftOut(push *configv1.ReportPush, p PushProblem) string {
	m := push.GetColumns()[p.Column]
	return fmt.Sprintf("%s → %s: %s", m.GetColumn(), m.GetField(), p.Message)
}
