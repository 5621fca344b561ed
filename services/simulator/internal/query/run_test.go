package query_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/simulator/internal/query"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
	"github.com/throughline-dev/throughline/services/simulator/internal/table"
)

type data map[*schema.Object]*table.Table

func (d data) Table(o *schema.Object) *table.Table { return d[o] }

const objects = `
objects:
  - name: Thing__c
    fields:
      - {name: Email__c, type: email}
      - {name: Key__c, type: string, external_id: true, case_sensitive: true}
      - {name: Parent__c, type: reference, references: [Thing__c]}
      - {name: Plain__c, type: string}
      - {name: Number__c, type: double}
`

// setup makes a table of things whose indexed fields have a twin without index in a second object, Twin__c.
func setup(t require.TestingT, rows [][]record.Value) *query.Env {
	indexed, err := schema.ParseSpec([]byte(objects))
	require.NoError(t, err)
	plain, err := schema.ParseSpec([]byte(strings.NewReplacer(
		"Thing__c\n", "Twin__c\n", "type: email", "type: url", ", external_id: true", "", "references: [Thing__c]", "references: [User]").Replace(objects)))
	require.NoError(t, err)
	s, err := schema.Build(indexed, plain)
	require.NoError(t, err)
	d := data{}
	for _, o := range s.Objects() {
		d[o] = table.New(o, "S00")
		for i, row := range rows {
			values := make([]record.Value, len(o.Fields))
			_, id := d[o].NextID()
			values[record.SlotID], values[record.SlotIsDeleted] = id, row[len(row)-1]
			for j, name := range []string{"Email__c", "Key__c", "Plain__c", "Number__c"} {
				values[o.Slot(name)] = row[j]
			}
			d[o].Load(&record.Record{Num: uint64(i + 1), Values: values})
		}
	}
	return &query.Env{Schema: s, Data: d, Now: time.Unix(0, 0), Zone: time.UTC}
}

// TestIndexesFindWhatAScanFinds runs random conditions on an object with indexes and on its twin without.
func TestIndexesFindWhatAScanFinds(t *testing.T) {
	t.Parallel()
	text := rapid.SampledFrom([]string{"a@x.y", "A@X.Y", "b@x.y", "ü@x.y", "Ü@x.y"})
	literal := rapid.Map(text, func(s string) string { return "'" + s + "'" })
	leaf := rapid.Custom(func(t *rapid.T) string {
		field := rapid.SampledFrom([]string{"Email__c", "Key__c", "Plain__c"}).Draw(t, "field")
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return field + " = " + literal.Draw(t, "value")
		case 1:
			return field + " != " + literal.Draw(t, "value")
		case 2:
			return field + " IN (" + strings.Join(rapid.SliceOfN(literal, 1, 3).Draw(t, "values"), ",") + ")"
		case 3:
			return field + " = null"
		}
		return fmt.Sprintf("Number__c >= %d", rapid.IntRange(0, 3).Draw(t, "n"))
	})
	var condition func(depth int) *rapid.Generator[string]
	condition = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf, rapid.Custom(func(t *rapid.T) string {
			inner := condition(depth - 1)
			if rapid.Bool().Draw(t, "not") {
				return "NOT (" + inner.Draw(t, "inner") + ")"
			}
			op := rapid.SampledFrom([]string{" AND ", " OR "}).Draw(t, "op")
			return "(" + strings.Join(rapid.SliceOfN(inner, 2, 3).Draw(t, "parts"), op) + ")"
		}))
	}
	value := rapid.OneOf(rapid.Just[record.Value](nil), rapid.Map(text, func(s string) record.Value { return s }))
	row := rapid.Custom(func(t *rapid.T) []record.Value {
		return []record.Value{
			value.Draw(t, "email"), value.Draw(t, "key"), value.Draw(t, "plain"),
			float64(rapid.IntRange(0, 3).Draw(t, "number")), rapid.Bool().Draw(t, "deleted"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		env := setup(t, rapid.SliceOfN(row, 0, 12).Draw(t, "rows"))
		where := condition(2).Draw(t, "where")
		var found [2][]uint64
		for i, object := range []string{"Thing__c", "Twin__c"} {
			q, err := soql.Parse("SELECT Id FROM " + object + " WHERE " + where)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := env.Rows(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				found[i] = append(found[i], r.Num)
			}
		}
		if fmt.Sprint(found[0]) != fmt.Sprint(found[1]) {
			t.Fatalf("%s: with indexes %v, without %v", where, found[0], found[1])
		}
	})
}

func TestLikeMatchesWildcardsOnlyWhereTheyAreNotEscaped(t *testing.T) {
	t.Parallel()
	rows := [][]record.Value{}
	for _, s := range []string{"100%", "1000", "a_b", "axb", `a\b`, "Ünï"} {
		rows = append(rows, []record.Value{nil, nil, s, nil, false})
	}
	env := setup(t, rows)
	for pattern, want := range map[string]string{
		`100\%`: "[100%]", `100_`: "[100% 1000]", `%`: "[100% 1000 a_b axb a\\b Ünï]", `a\_b`: "[a_b]", `a_b`: "[a_b axb a\\b]",
		`a\\b`: `[a\b]`, `%n%`: "[Ünï]", `üNÏ`: "[Ünï]", `%0%0`: "[1000]", ``: "[]",
	} {
		q, err := soql.Parse("SELECT Id FROM Thing__c WHERE Plain__c LIKE '" + pattern + "'")
		require.NoError(t, err)
		found, err := env.Rows(q)
		require.NoError(t, err)
		names := []string{}
		object, _ := env.Schema.Object("Thing__c")
		for _, r := range found {
			names = append(names, r.Text(object.Slot("Plain__c")))
		}
		require.Equal(t, want, fmt.Sprint(names), pattern)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	env := setup(t, [][]record.Value{
		{nil, nil, "b", 1.0, false}, {nil, nil, nil, 2.0, false}, {nil, nil, "A", 3.0, false}, {nil, nil, "a", 4.0, false},
	})
	for by, want := range map[string]string{
		"Plain__c":                "[2 3 4 1]",
		"Plain__c DESC":           "[2 1 3 4]",
		"Plain__c ASC NULLS LAST": "[3 4 1 2]",
		"Plain__c DESC NULLS LAST, Number__c DESC": "[1 4 3 2]",
	} {
		q, err := soql.Parse("SELECT Id FROM Thing__c ORDER BY " + by)
		require.NoError(t, err)
		found, err := env.Rows(q)
		require.NoError(t, err)
		nums := []uint64{}
		for _, r := range found {
			nums = append(nums, r.Num)
		}
		require.Equal(t, want, fmt.Sprint(nums), by)
	}
}
