package org_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator/internal/clock"
	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

type fixed struct{}

func (fixed) Now() time.Time { return time.Date(2026, 8, 10, 9, 0, 0, 0, time.UTC) }

type bundle struct {
	deps org.Deps
	path string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{path: t.TempDir() + "/orgs.db", deps: org.Deps{Clock: clock.New(fixed{})}}
	b.open(t)
	return b
}

func (b *bundle) open(t *testing.T) {
	t.Helper()
	j, err := journal.Open(t.Context(), b.path)
	require.NoError(t, err)
	b.deps.Journal = j
}

func spec(fields ...schema.FieldSpec) scenario.Org {
	return scenario.Org{
		Key: "acme", Users: []scenario.User{{Username: "a@acme.example"}},
		Objects: []schema.ObjectSpec{{Name: "Thing__c", Fields: fields}},
	}
}

func insert(t *testing.T, o *org.Org, values map[string]any) error {
	t.Helper()
	object, _ := o.Schema.Object("Thing__c")
	in := dml.Input{Object: object}
	for name, v := range values {
		f, _ := object.Field(name)
		require.NoError(t, in.SetAny(f, v))
	}
	return o.Write(t.Context(), org.Caller{}, func(w *dml.Writer) {
		res := w.One(&in, dml.Insert)
		require.Empty(t, res.Errors)
	})
}

func things(t *testing.T, o *org.Org) []*record.Record {
	t.Helper()
	object, _ := o.Schema.Object("Thing__c")
	var out []*record.Record
	require.NoError(t, o.View(t.Context(), func() {
		o.Table(object).All(func(r *record.Record) bool {
			out = append(out, r)
			return true
		})
	}))
	return out
}

func TestLoad(t *testing.T) {
	t.Parallel()
	text := func(name string) schema.FieldSpec { return schema.FieldSpec{Name: name, Type: schema.String} }

	t.Run("FindsFieldsByNameWhenTheirOrderHasChanged", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		before, err := org.Create(t.Context(), spec(text("A__c"), text("B__c"), text("C__c")), b.deps)
		require.NoError(t, err)
		require.NoError(t, insert(t, before, map[string]any{"A__c": "a", "B__c": "b", "C__c": "c"}))

		// A newer program declares the fields in another order, without one of them and with a new one: it finds the rows of
		// the older one under the same names.
		for range 2 {
			after, err := org.Reread(t.Context(), spec(text("C__c"), text("New__c"), text("A__c")), b.deps)
			require.NoError(t, err)
			rows := things(t, after)
			require.Len(t, rows, 1)
			object, _ := after.Schema.Object("Thing__c")
			require.Equal(t, "a", rows[0].Text(object.Slot("A__c")))
			require.Equal(t, "c", rows[0].Text(object.Slot("C__c")))
			require.Nil(t, rows[0].Get(object.Slot("New__c")))
			require.NoError(t, b.deps.Journal.Close())
			b.open(t)
		}
		require.NoError(t, b.deps.Journal.Close())
	})
}

func TestDrop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o, err := org.Create(t.Context(), spec(schema.FieldSpec{Name: "A__c", Type: schema.String}), b.deps)
	require.NoError(t, err)
	require.NoError(t, insert(t, o, map[string]any{"A__c": "a"}))
	require.NoError(t, o.Drop(t.Context()))
	require.ErrorIs(t, insert(t, o, map[string]any{"A__c": "late"}), org.ErrGone)
	require.NoError(t, b.deps.Journal.Close())
	b.open(t)
	loaded, err := org.Load(t.Context(), b.deps)
	require.NoError(t, err)
	require.Empty(t, loaded)
	require.NoError(t, b.deps.Journal.Close())
}
