package org

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// stored is an org's entry in the journal. Spec has its records, so that a reset can bring them back.
type stored struct {
	Ordinal int
	Spec    scenario.Org
}

func entryKey(key string) string { return "org/" + key }

func fieldsKey(key, object string) string { return "fields/" + key + "/" + object }

// Create makes an org with its first records, all of it in one journal transaction: a process killed in the middle leaves
// no half-made org behind.
func Create(ctx context.Context, spec scenario.Org, deps Deps) (*Org, error) {
	o, err := build(spec, deps)
	if err != nil {
		return nil, fmt.Errorf("org %s: %w", spec.Key, err)
	}
	entries, err := o.number(ctx)
	if err != nil {
		return nil, fmt.Errorf("org %s: %w", spec.Key, err)
	}
	if o.journal != nil {
		data, err := json.Marshal(stored{Ordinal: deps.Ordinal, Spec: spec})
		if err != nil {
			return nil, fmt.Errorf("org %s: %w", spec.Key, err)
		}
		entries = append(entries, journal.Entry{Key: entryKey(o.Key), Value: data})
	}
	ticket, err := o.commit(Caller{}, func(w *dml.Writer) error {
		w.Import = true
		return o.seed(w, spec.WithDefaults())
	}, entries...)
	if err != nil {
		return nil, fmt.Errorf("org %s: %w", spec.Key, err)
	}
	if ticket != nil {
		return o, ticket.Wait(ctx)
	}
	return o, nil
}

// number gives every table its number in the journal and returns the entries that remember which slot is which field.
func (o *Org) number(ctx context.Context) ([]journal.Entry, error) {
	if o.journal == nil {
		return nil, nil
	}
	var entries []journal.Entry
	for _, object := range o.Schema.Objects() {
		n, err := o.journal.Table(ctx, o.Key+"/"+object.Name)
		if err != nil {
			return nil, err
		}
		o.numbers[o.tables[object]] = n
		names := make([]string, len(object.Fields))
		for i, f := range object.Fields {
			names[i] = f.Name
		}
		value, err := json.Marshal(names)
		if err != nil {
			return nil, err
		}
		entries = append(entries, journal.Entry{Key: fieldsKey(o.Key, object.Name), Value: value})
	}
	return entries, nil
}

// Add puts more records, users and queues of a scenario into the org.
func (o *Org) Add(ctx context.Context, spec scenario.Org) error {
	ticket, err := o.commit(Caller{}, func(w *dml.Writer) error {
		w.Import = true
		s := newSeeder(o, w)
		return s.people(&spec)
	})
	if err != nil || ticket == nil {
		return err
	}
	return ticket.Wait(ctx)
}

// Drop forgets the org in the journal. What is still on its way to it fails with ErrGone.
func (o *Org) Drop(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = true
	if o.journal == nil {
		return nil
	}
	batch := journal.Batch{Entries: []journal.Entry{{Key: entryKey(o.Key)}}, Forget: []string{JobsKey(o.Key), EventsKey(o.Key)}}
	for object, t := range o.tables {
		batch.Drop = append(batch.Drop, o.numbers[t])
		batch.Entries = append(batch.Entries, journal.Entry{Key: fieldsKey(o.Key, object.Name)})
	}
	return o.journal.Append(batch).Wait(ctx)
}

// Loaded is an org as it was kept, with the scenario that it was made from.
type Loaded struct {
	Org     *Org
	Ordinal int
	Spec    scenario.Org
}

// Load reads all orgs from the journal.
func Load(ctx context.Context, deps Deps) ([]Loaded, error) {
	var kept []stored
	err := deps.Journal.Entries(ctx, "org/", func(_ string, value []byte) error {
		var s stored
		if err := json.Unmarshal(value, &s); err != nil {
			return fmt.Errorf("read org: %w", err)
		}
		kept = append(kept, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []Loaded
	for _, s := range kept {
		deps.Ordinal = s.Ordinal
		o, err := Reread(ctx, s.Spec, deps)
		if err != nil {
			return nil, err
		}
		out = append(out, Loaded{Org: o, Ordinal: s.Ordinal, Spec: s.Spec})
	}
	return out, nil
}

// Reread makes an org and fills it with the records that the journal keeps for its key.
func Reread(ctx context.Context, spec scenario.Org, deps Deps) (*Org, error) {
	o, err := build(spec, deps)
	if err == nil {
		err = o.load(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("org %s: %w", spec.Key, err)
	}
	return o, nil
}

// load reads the records. Fields are found by name, so that a program with other fields reads what an older one kept.
func (o *Org) load(ctx context.Context) error {
	names := map[string][]string{}
	prefix := fieldsKey(o.Key, "")
	err := o.journal.Entries(ctx, prefix, func(key string, value []byte) error {
		var list []string
		if err := json.Unmarshal(value, &list); err != nil {
			return fmt.Errorf("read fields: %w", err)
		}
		names[key[len(prefix):]] = list
		return nil
	})
	if err != nil {
		return err
	}
	entries, err := o.number(ctx)
	if err != nil {
		return err
	}
	moved := false
	for object, t := range o.tables {
		slots := make([]int, len(names[object.Name]))
		for i, name := range names[object.Name] {
			slots[i] = object.Slot(name)
			moved = moved || slots[i] != i
		}
		err := o.journal.Rows(ctx, o.numbers[t], func(num uint64, data []byte) error {
			rec := &record.Record{Num: num, Values: make([]record.Value, len(object.Fields))}
			err := record.Decode(data, func(slot int, v record.Value) {
				if slot < len(slots) && slots[slot] >= 0 {
					rec.Values[slots[slot]] = v
				}
			})
			t.Load(rec)
			return err
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", object.Name, err)
		}
	}
	return o.remember(ctx, entries, moved)
}

// remember keeps the present order of fields. When it differs from that of the stored records, those are stored again.
func (o *Org) remember(ctx context.Context, entries []journal.Entry, moved bool) error {
	batch := journal.Batch{Entries: entries}
	if moved {
		for _, t := range o.tables {
			t.All(func(rec *record.Record) bool {
				batch.Rows = append(batch.Rows, journal.Row{Table: o.numbers[t], Num: rec.Num, Data: record.Encode(nil, rec.Values)})
				return true
			})
		}
	}
	return o.journal.Append(batch).Wait(ctx)
}
