package conform_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
)

const (
	cellText     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_TEXT
	cellNumber   = configv1.ReportColumnType_REPORT_COLUMN_TYPE_NUMBER
	cellInteger  = configv1.ReportColumnType_REPORT_COLUMN_TYPE_INTEGER
	cellFlag     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_BOOLEAN
	cellDate     = configv1.ReportColumnType_REPORT_COLUMN_TYPE_DATE
	cellDateTime = configv1.ReportColumnType_REPORT_COLUMN_TYPE_DATETIME
)

// target is an object with a key and one field of a type.
func target(fieldType string) *configv1.DescribedObject {
	return &configv1.DescribedObject{
		Name: "Account", Queryable: true, Updateable: true,
		Fields: []*configv1.DescribedField{
			{Name: "Key__c", Type: "string", Filterable: true, ExternalId: true, Unique: true},
			{Name: "Value__c", Type: fieldType, Updateable: true},
		},
	}
}

func pushInto(cells configv1.ReportColumnType, change ...func(*configv1.ReportPush)) (*configv1.ReportPush, *configv1.Report) {
	push := &configv1.ReportPush{
		Object: "Account", KeyColumn: "Key", KeyField: "Key__c",
		Columns: []*configv1.ColumnMapping{{Column: "Value", Field: "Value__c"}},
	}
	for _, c := range change {
		c(push)
	}
	return push, &configv1.Report{Id: "r", Columns: []*configv1.ReportColumn{{Name: "Key", Type: cellText}, {Name: "Value", Type: cells}}}
}

func TestEveryPairOfTypesPassesConvertsOrIsRefused(t *testing.T) {
	t.Attr("requirement", "WALK-19")
	t.Parallel()
	fields := []string{"string", "picklist", "reference", "double", "int", "percent", "boolean", "date", "datetime", "time", "base64"}
	for cells, want := range map[configv1.ReportColumnType]string{ // = as it is, ~ converted, x refused
		cellText:     "= = = ~ ~ ~ ~ ~ ~ x x",
		cellNumber:   "~ ~ x = ~ = x x x x x",
		cellInteger:  "~ ~ x = = = x x x x x",
		cellFlag:     "~ ~ x x x x = x x x x",
		cellDate:     "~ ~ x x x x x = ~ x x",
		cellDateTime: "~ ~ x x x x x ~ = x x",
	} {
		var got []string
		for _, field := range fields {
			push, report := pushInto(cells)
			said := conform.CheckPush(push, report, target(field), true)
			switch {
			case len(said.Problems) > 0:
				got = append(got, "x")
				require.Contains(t, []streamv1.Reason{streamv1.Reason_REASON_TYPE_MISMATCH, streamv1.Reason_REASON_UNSUPPORTED_FIELD_TYPE}, said.Problems[0].Reason)
			case len(said.Notes) > 0:
				got = append(got, "~")
				require.True(t, strings.HasPrefix(said.Notes[0], "columns[0]: "), said.Notes[0])
			default:
				got = append(got, "=")
			}
		}
		require.Equal(t, want, strings.Join(got, " "), "%s into %v", cells, fields)
	}
}

func TestOptionsOfAConversionAreChecked(t *testing.T) {
	t.Attr("requirement", "WALK-19")
	t.Parallel()
	for name, c := range map[string]struct {
		cells configv1.ReportColumnType
		field string
		set   func(*configv1.ColumnMapping)
		path  string // "" for nothing wrong
	}{
		"a date format":           {cellText, "date", func(m *configv1.ColumnMapping) { m.DateFormat = "DD/MM/YYYY" }, ""},
		"one with a time":         {cellText, "datetime", func(m *configv1.ColumnMapping) { m.DateFormat = "YYYY-MM-DD hh:mm:ss" }, ""},
		"one without a year":      {cellText, "date", func(m *configv1.ColumnMapping) { m.DateFormat = "DD/MM" }, "columns[0].date_format"},
		"one with two months":     {cellText, "date", func(m *configv1.ColumnMapping) { m.DateFormat = "YYYY/MM/DD MM" }, "columns[0].date_format"},
		"of what has one form":    {cellDate, "date", func(m *configv1.ColumnMapping) { m.DateFormat = "YYYY/MM/DD" }, "columns[0].date_format"},
		"into what is no date":    {cellText, "string", func(m *configv1.ColumnMapping) { m.DateFormat = "YYYY/MM/DD" }, "columns[0].date_format"},
		"a zone":                  {cellText, "datetime", func(m *configv1.ColumnMapping) { m.TimeZone = "Asia/Tokyo" }, ""},
		"no zone":                 {cellText, "datetime", func(m *configv1.ColumnMapping) { m.TimeZone = "Tokyo" }, "columns[0].time_zone"},
		"the machine's zone":      {cellText, "datetime", func(m *configv1.ColumnMapping) { m.TimeZone = "Local" }, "columns[0].time_zone"},
		"words":                   {cellText, "boolean", func(m *configv1.ColumnMapping) { m.TrueWords, m.FalseWords = []string{"はい"}, []string{"いいえ"} }, ""},
		"words that mean both":    {cellText, "boolean", func(m *configv1.ColumnMapping) { m.TrueWords, m.FalseWords = []string{"Y"}, []string{"y "} }, "columns[0].true_words"},
		"words for one side":      {cellText, "boolean", func(m *configv1.ColumnMapping) { m.TrueWords = []string{"Y"} }, "columns[0].true_words"},
		"a fraction":              {cellNumber, "percent", func(m *configv1.ColumnMapping) { m.FractionToPercent = true }, ""},
		"a fraction of no parts":  {cellNumber, "double", func(m *configv1.ColumnMapping) { m.FractionToPercent = true }, "columns[0].fraction_to_percent"},
		"a sum":                   {cellInteger, "double", func(m *configv1.ColumnMapping) { m.Aggregate = configv1.Aggregate_AGGREGATE_SUM }, ""},
		"a sum of texts":          {cellText, "string", func(m *configv1.ColumnMapping) { m.Aggregate = configv1.Aggregate_AGGREGATE_SUM }, "columns[0].aggregate"},
		"the greatest date":       {cellDate, "date", func(m *configv1.ColumnMapping) { m.Aggregate = configv1.Aggregate_AGGREGATE_MAX }, ""},
		"the greatest yes or no":  {cellFlag, "boolean", func(m *configv1.ColumnMapping) { m.Aggregate = configv1.Aggregate_AGGREGATE_MAX }, "columns[0].aggregate"},
		"the last of whatever is": {cellFlag, "boolean", func(m *configv1.ColumnMapping) { m.Aggregate = configv1.Aggregate_AGGREGATE_LAST }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push, report := pushInto(c.cells, func(p *configv1.ReportPush) { c.set(p.GetColumns()[0]) })
			said := conform.CheckPush(push, report, target(c.field), true)
			if c.path == "" {
				require.Empty(t, said.Problems)
				return
			}
			require.Len(t, said.Problems, 1)
			require.Equal(t, c.path, said.Problems[0].Path)
		})
	}
}

func TestKeysAreWhatRecordsCanBeFoundBy(t *testing.T) {
	t.Attr("requirement", "WALK-14")
	t.Parallel()
	object := &configv1.DescribedObject{Name: "Account", Queryable: true, Updateable: true}
	add := func(name, fieldType string, change ...func(*configv1.DescribedField)) {
		d := &configv1.DescribedField{Name: name, Type: fieldType, Filterable: true}
		for _, c := range change {
			c(d)
		}
		object.Fields = append(object.Fields, d)
	}
	add("A_Text", "string")
	add("B_Number", "double")
	add("C_Decimals", "double", func(d *configv1.DescribedField) { d.Scale = 2 })
	add("D_Picklist", "picklist")
	add("E_Email", "email")
	add("F_External", "double", func(d *configv1.DescribedField) { d.ExternalId, d.Unique = true, true })
	add("G_Phone", "phone")
	add("H_Long", "textarea", func(d *configv1.DescribedField) { d.Filterable = false })
	add("I_Secret", "string", func(d *configv1.DescribedField) { d.Encrypted, d.Filterable = true, false })
	add("J_Deterministic", "string", func(d *configv1.DescribedField) { d.Encrypted = true })
	add("K_Date", "date")
	add("L_Owner", "reference")
	add("Id", "id")
	var names []string
	for _, d := range conform.KeyFields(object) {
		names = append(names, d.GetName())
	}
	require.Equal(t, []string{"F_External", "E_Email", "A_Text", "B_Number", "G_Phone", "J_Deterministic", "Id"}, names)

	push, report := pushInto(cellText)
	for field, reason := range map[string]string{
		"C_Decimals": "MAPPING_INVALID", "D_Picklist": "MAPPING_INVALID", "H_Long": "MAPPING_INVALID",
		"I_Secret": "FIELD_ENCRYPTED_PROBABILISTIC", "Z": "SF_FIELD_GONE",
	} {
		push.KeyField, push.Columns = field, []*configv1.ColumnMapping{{Column: "Value", Field: "A_Text"}}
		object.Fields[0].Updateable = true
		said := conform.CheckPush(push, report, object, true)
		require.Len(t, said.Problems, 1, field)
		require.Equal(t, "key_field", said.Problems[0].Path)
		require.Equal(t, -1, said.Problems[0].Column, "no column can be left out for it")
		require.True(t, strings.HasPrefix(said.Problems[0].Message, reason+": "), said.Problems[0].Message)
	}
	push.KeyField = "G_Phone"
	require.Contains(t, fmt.Sprint(conform.CheckPush(push, report, object, true).Notes), "G_Phone is not unique")
}

func TestObjectsWithoutRecordsOfTheirOwnCannotBePushedInto(t *testing.T) {
	t.Attr("requirement", "WALK-12")
	t.Parallel()
	for name, c := range map[string]struct {
		object *configv1.ObjectSummary
		says   string
	}{
		"a standard object":       {&configv1.ObjectSummary{Name: "Account", Queryable: true, Updateable: true}, ""},
		"a packaged one":          {&configv1.ObjectSummary{Name: "ns__Usage__c", Queryable: true, Updateable: true}, ""},
		"a big object":            {&configv1.ObjectSummary{Name: "Log__b", Queryable: true, Updateable: true}, "big object"},
		"an external object":      {&configv1.ObjectSummary{Name: "Order__x", Queryable: true, Updateable: true}, "external object"},
		"one that is not asked":   {&configv1.ObjectSummary{Name: "A", Updateable: true}, "may not query"},
		"one that stays as it is": {&configv1.ObjectSummary{Name: "A", Queryable: true}, "may not change"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why := conform.NotPushable(c.object)
			require.Equal(t, c.says == "", why == "", why)
			require.Contains(t, why, c.says)
		})
	}
}
