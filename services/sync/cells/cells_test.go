package cells_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/sync/cells"
)

func cell(v any) *streamv1.Cell {
	switch v := v.(type) {
	case string:
		return &streamv1.Cell{Value: &streamv1.Cell_Text{Text: v}}
	case float64:
		return &streamv1.Cell{Value: &streamv1.Cell_Number{Number: v}}
	case int:
		return &streamv1.Cell{Value: &streamv1.Cell_Number{Number: float64(v)}}
	case bool:
		return &streamv1.Cell{Value: &streamv1.Cell_Flag{Flag: v}}
	}
	return &streamv1.Cell{}
}

type (
	mapping = configv1.ColumnMapping
	field   = configv1.DescribedField
)

func converter(t *testing.T, m *mapping, f *field) *cells.Converter {
	t.Helper()
	f.Name = "F__c"
	c, err := cells.New(m, f)
	require.NoError(t, err)
	return c
}

func TestACellBecomesAValueOfTheField(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-19")
	amount := func() *field { return &field{Type: "currency", Precision: 6, Scale: 2} }
	for _, c := range []struct {
		name    string
		mapping *mapping
		field   *field
		cell    any
		want    any
	}{
		{"number to text", &mapping{}, &field{Type: "string", Length: 20}, 12.50, "12.5"},
		{"checkbox to text", &mapping{}, &field{Type: "string", Length: 20}, true, "true"},
		{"text to number", &mapping{}, amount(), " 12.345 ", 12.35},
		{"fraction to percent", &mapping{FractionToPercent: true}, &field{Type: "percent", Precision: 5, Scale: 1}, 0.125, 12.5},
		{"percent as it is", &mapping{}, &field{Type: "percent", Precision: 5, Scale: 1}, 12.5, 12.5},
		{"whole number", &mapping{}, &field{Type: "int"}, "7", 7.0},
		{"zero is a value", &mapping{}, amount(), 0, 0.0},
		{"false is a value", &mapping{}, &field{Type: "boolean"}, false, false},
		{"usual words", &mapping{}, &field{Type: "boolean"}, " Yes", true},
		{"own words", &mapping{TrueWords: []string{"はい"}, FalseWords: []string{"いいえ"}}, &field{Type: "boolean"}, "いいえ", false},
		{"one as a number", &mapping{}, &field{Type: "boolean"}, 1, true},
		{"date", &mapping{}, &field{Type: "date"}, "2026-08-10", "2026-08-10"},
		{"date by format", &mapping{DateFormat: "DD/MM/YYYY"}, &field{Type: "date"}, "10/08/2026", "2026-08-10"},
		{"date in Japanese", &mapping{DateFormat: "YYYY年MM月DD日"}, &field{Type: "date"}, "2026年08月10日", "2026-08-10"},
		{"datetime to date, there", &mapping{TimeZone: "Asia/Tokyo"}, &field{Type: "date"}, "2026-08-09T20:00:00Z", "2026-08-10"},
		{"datetime", &mapping{}, &field{Type: "datetime"}, "2026-08-10T09:00:00+09:00", "2026-08-10T00:00:00.000Z"},
		{
			"datetime without a zone", &mapping{DateFormat: "YYYY-MM-DD hh:mm", TimeZone: "Asia/Tokyo"}, &field{Type: "datetime"},
			"2026-08-10 09:00", "2026-08-10T00:00:00.000Z",
		},
		{"restricted picklist", &mapping{}, &field{
			Type: "picklist", RestrictedPicklist: true,
			Picklist: []*configv1.PicklistChoice{{Value: "Gold"}},
		}, "Gold", "Gold"},
		{
			"unknown value written", &mapping{OnUnknownValue: configv1.UnknownPicklistValue_UNKNOWN_PICKLIST_VALUE_WRITE},
			&field{Type: "picklist", RestrictedPicklist: true}, "Gold", "Gold",
		},
		{"open picklist", &mapping{}, &field{Type: "picklist"}, "Gold", "Gold"},
		{"id", &mapping{}, &field{Type: "reference"}, "003000000000001", "003000000000001AAA"},
		{"control characters go, lines stay", &mapping{}, &field{Type: "textarea", Length: 50}, "a\x00b\u0085\x1b[1m\tc\r\nd", "ab[1m\tc\nd"},
		{"joiners stay", &mapping{}, &field{Type: "string", Length: 50}, "👩\u200d💻", "👩\u200d💻"},
		{"too long is cut", &mapping{}, &field{Type: "string", Length: 5}, "1234567", "1234…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, err := converter(t, c.mapping, c.field).Convert(cell(c.cell))
			require.NoError(t, err)
			require.False(t, v.Keep)
			require.Equal(t, c.want, v.V)
		})
	}
}

func TestACellThatDoesNotFitIsRefusedAndNotQuoted(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-19")
	for _, c := range []struct {
		name    string
		mapping *mapping
		field   *field
		cell    any
	}{
		{"text", &mapping{}, &field{Type: "double", Precision: 18}, "secret"},
		{"hexadecimal", &mapping{}, &field{Type: "double", Precision: 18}, "0x5ec7e7"},
		{"infinity", &mapping{}, &field{Type: "double", Precision: 18}, "inf"},
		{"too many digits", &mapping{}, &field{Type: "double", Precision: 4, Scale: 2}, 123.4},
		{"a fraction", &mapping{}, &field{Type: "int"}, 1.5},
		{"a word", &mapping{}, &field{Type: "boolean"}, "secret"},
		{"no date", &mapping{}, &field{Type: "date"}, "10/08/2026"},
		{"no such day", &mapping{}, &field{Type: "date"}, "2026-02-30"},
		{"no year of Salesforce's", &mapping{}, &field{Type: "date"}, "0001-01-01"},
		{"unknown value", &mapping{}, &field{Type: "picklist", RestrictedPicklist: true}, "secret"},
		{"one unknown value of several", &mapping{}, &field{
			Type: "multipicklist", RestrictedPicklist: true,
			Picklist: []*configv1.PicklistChoice{{Value: "A"}},
		}, "A;secret"},
		{"no id", &mapping{}, &field{Type: "reference"}, "secret"},
		{"too long", &mapping{OnTooLong: configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL}, &field{Type: "string", Length: 3}, "secret"},
		{"an address is never cut", &mapping{}, &field{Type: "email", Length: 3}, "secret@x.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := converter(t, c.mapping, c.field).Convert(cell(c.cell))
			var misfit *cells.Misfit
			require.ErrorAs(t, err, &misfit)
			require.Contains(t, err.Error(), "F__c")
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestAnEmptyCellKeepsOrClears(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-28")
	for _, empty := range []any{nil, "", "  "} {
		v, err := converter(t, &mapping{}, &field{Type: "double"}).Convert(cell(empty))
		require.NoError(t, err)
		require.True(t, v.Keep)
		v, err = converter(t, &mapping{ClearWhenEmpty: true}, &field{Type: "double"}).Convert(cell(empty))
		require.NoError(t, err)
		require.Equal(t, cells.Value{}, v, "an explicit null")
	}
	v, err := converter(t, &mapping{}, &field{Type: "string", Length: 9}).Convert(cell("\x00 \x07"))
	require.NoError(t, err)
	require.True(t, v.Keep, "nothing but control characters is nothing")
	v, err = converter(t, &mapping{OnUnknownValue: configv1.UnknownPicklistValue_UNKNOWN_PICKLIST_VALUE_SKIP},
		&field{Type: "picklist", RestrictedPicklist: true}).Convert(cell("Gold"))
	require.NoError(t, err)
	require.True(t, v.Keep, "a value that is skipped leaves the field alone")
}

func TestAMappingThatCanNeverWorkIsRefused(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-19")
	for _, c := range []struct {
		mapping *mapping
		field   *field
	}{
		{&mapping{}, &field{Type: "base64"}},
		{&mapping{TimeZone: "Asia/Nowhere"}, &field{Type: "datetime"}},
		{&mapping{DateFormat: "Jan 2, 2006"}, &field{Type: "date"}},
		{&mapping{DateFormat: "DD/MM"}, &field{Type: "date"}},
	} {
		_, err := cells.New(c.mapping, c.field)
		require.Error(t, err)
	}
}

func TestWhatARecordHoldsIsComparedAsSalesforceKeepsIt(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-29")
	for _, c := range []struct {
		field *field
		cell  any
		holds any
		want  bool
	}{
		{&field{Type: "string", Length: 9}, " a ", "a", true},
		{&field{Type: "string", Length: 9}, "a", "A", false},
		{&field{Type: "textarea", Length: 99}, "a\r\nb", "a\nb", true},
		{&field{Type: "email", Length: 80}, "A@x.example", "a@x.example", true},
		{&field{Type: "double", Precision: 8, Scale: 2}, 1.005, 1.01, true},
		{&field{Type: "double", Precision: 8, Scale: 2}, 1, nil, false},
		{&field{Type: "boolean"}, "no", false, true},
		{&field{Type: "date"}, "2026-08-10", "2026-08-10", true},
		{&field{Type: "datetime"}, "2026-08-10T09:00:00+09:00", "2026-08-10T00:00:00.000+0000", true},
		{&field{Type: "datetime"}, "2026-08-10T09:00:01+09:00", "2026-08-10T00:00:00.000+0000", false},
		{&field{Type: "multipicklist"}, "B;A", "A;B", true},
		{&field{Type: "multipicklist"}, "A", "A;B", false},
		{&field{Type: "reference"}, "003000000000001", "003000000000001AAA", true},
	} {
		t.Run(fmt.Sprint(c.field.GetType(), c.cell, c.holds), func(t *testing.T) {
			t.Parallel()
			conv := converter(t, &mapping{}, c.field)
			v, err := conv.Convert(cell(c.cell))
			require.NoError(t, err)
			require.Equal(t, c.want, conv.Same(v, c.holds))
		})
	}
	conv := converter(t, &mapping{ClearWhenEmpty: true}, &field{Type: "string"})
	v, err := conv.Convert(cell(nil))
	require.NoError(t, err)
	require.True(t, conv.Same(v, nil))
	require.False(t, conv.Same(v, "something"))
}

func TestSeveralRowsBecomeOneColumnByColumn(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "WALK-26")
	const (
		latest = configv1.Aggregate_AGGREGATE_LAST
		sum    = configv1.Aggregate_AGGREGATE_SUM
		most   = configv1.Aggregate_AGGREGATE_MAX
	)
	for _, c := range []struct {
		how   configv1.Aggregate
		field *field
		cells []any
		want  string
	}{
		{latest, &field{Type: "string"}, []any{"a", "b", ""}, "b"},
		{sum, &field{Type: "double"}, []any{1, "2.5", nil}, "3.5"},
		{sum, &field{Type: "double"}, []any{nil, 2}, "2"},
		{most, &field{Type: "double"}, []any{3, 10, "9"}, "10"},
		{most, &field{Type: "date"}, []any{"2026-01-02", "2025-12-31", nil}, "2026-01-02"},
	} {
		conv := converter(t, &mapping{Aggregate: c.how}, c.field)
		var total *streamv1.Cell
		for _, v := range c.cells {
			var err error
			total, err = conv.Merge(total, cell(v))
			require.NoError(t, err)
		}
		require.Equal(t, c.want, cells.Text(total), "%s of %v", c.how, c.cells)
	}
	_, err := converter(t, &mapping{Aggregate: sum}, &field{Type: "double"}).Merge(nil, cell("secret"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func FuzzConvertNeverQuotesAndNeverPanics(f *testing.F) {
	f.Add("12.5", uint8(0))
	f.Add("2026-08-10", uint8(4))
	types := []string{"string", "double", "int", "boolean", "date", "datetime", "picklist", "multipicklist", "reference", "email", "percent"}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		c, err := cells.New(&mapping{}, &field{Name: "F__c", Type: types[int(kind)%len(types)], Length: 10, Precision: 8, Scale: 2})
		require.NoError(t, err)
		v, err := c.Convert(cell(text))
		if err != nil && len(text) > 12 {
			require.NotContains(t, err.Error(), strings.TrimSpace(text))
		}
		if err == nil {
			c.Same(v, text)
		}
	})
}
