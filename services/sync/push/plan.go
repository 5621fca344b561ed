package push

import (
	"fmt"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/sync/cells"
	"github.com/throughline-dev/throughline/services/sync/keys"
)

// failure is why a run cannot be carried out.
type failure struct {
	reason streamv1.Reason
	detail string
}

// Error is for a person: what is wrong and what to do.
func (f *failure) Error() string { return f.detail }

func fail(reason streamv1.Reason, format string, args ...any) error {
	return &failure{reason, fmt.Sprintf(format, args...)}
}

// plan is what a run does with a row, made of the push, the columns of its delivery and the fields of the org.
type plan struct {
	push     *configv1.ReportPush
	rule     keys.Rule
	policy   keys.Policy
	keyAt    int
	keyField salesforce.FieldDescribe
	columns  int
	fills    []fill
	// leftOut are columns that the delivery lacks.
	leftOut []string
}

// fill is one mapped column.
type fill struct {
	at int
	*cells.Converter
}

// newPlan checks that everything is there before anything is written (WALK-38). The error is a *failure.
func newPlan(claim *configv1.ClaimReportRunResponse, columns []string) (*plan, error) {
	push := claim.GetPush()
	p := &plan{push: push, columns: len(columns), policy: policyOf(push.GetRepeatedKeys()), keyAt: slices.Index(columns, push.GetKeyColumn())}
	if p.keyAt < 0 {
		return nil, fail(streamv1.Reason_REASON_MAPPING_INVALID,
			"the delivery has no column %s, which holds the key; correct the report or the push", push.GetKeyColumn())
	}
	key := field(claim.GetFields(), push.GetKeyField())
	if key == nil {
		return nil, gone(push.GetObject(), push.GetKeyField())
	}
	if !key.GetFilterable() {
		if key.GetEncrypted() {
			return nil, fail(streamv1.Reason_REASON_FIELD_ENCRYPTED_PROBABILISTIC,
				"field %s of %s is encrypted in a way that cannot be searched; choose another key, or deterministic encryption",
				key.GetName(), push.GetObject())
		}
		return nil, fail(streamv1.Reason_REASON_MAPPING_INVALID, "field %s of %s cannot be searched by; choose another key",
			key.GetName(), push.GetObject())
	}
	p.keyField = salesforce.FieldDescribe{Name: key.GetName(), Type: key.GetType(), Filterable: true}
	p.rule = keys.NewRule(keys.Field{Type: key.GetType(), Length: int(key.GetLength())}, push.GetIgnoreCase(), push.GetBlankKeys())
	for _, m := range push.GetColumns() {
		if err := p.fill(m, slices.Index(columns, m.GetColumn()), claim.GetFields()); err != nil {
			return nil, err
		}
	}
	if len(p.fills) == 0 {
		return nil, fail(streamv1.Reason_REASON_MAPPING_INVALID, "the delivery has none of the mapped columns; correct the report or the push")
	}
	return p, nil
}

func (p *plan) fill(m *configv1.ColumnMapping, at int, fields []*configv1.DescribedField) error {
	if at < 0 {
		if p.push.GetLeaveOutFields() {
			p.leftOut = append(p.leftOut, m.GetColumn())
			return nil
		}
		return fail(streamv1.Reason_REASON_MAPPING_INVALID,
			"the delivery has no column %s, which fills %s; correct the report or the push, or choose to go on without", m.GetColumn(), m.GetField())
	}
	f := field(fields, m.GetField())
	if f == nil {
		return gone(p.push.GetObject(), m.GetField())
	}
	c, err := cells.New(m, f)
	if err != nil {
		return fail(streamv1.Reason_REASON_MAPPING_INVALID, "%s; correct the push", err.Error())
	}
	p.fills = append(p.fills, fill{at, c})
	return nil
}

func gone(object, field string) error {
	return fail(streamv1.Reason_REASON_SF_FIELD_GONE,
		"field %s of %s is not there for the integration user; create it or let the user see it, or correct the push", field, object)
}

func field(fields []*configv1.DescribedField, name string) *configv1.DescribedField {
	for _, f := range fields {
		if strings.EqualFold(f.GetName(), name) {
			return f
		}
	}
	return nil
}

func policyOf(r configv1.RepeatedKeys) keys.Policy {
	switch r {
	case configv1.RepeatedKeys_REPEATED_KEYS_FIRST:
		return keys.First
	case configv1.RepeatedKeys_REPEATED_KEYS_LAST:
		return keys.Last
	case configv1.RepeatedKeys_REPEATED_KEYS_AGGREGATE:
		return keys.Aggregate
	}
	return keys.None
}

// readable reports whether a row can be taken apart into the delivery's columns; the reason says why not.
func (p *plan) readable(row *streamv1.Row) (streamv1.Reason, bool) {
	switch {
	case row.GetRefused() == "TOO_LARGE":
		return streamv1.Reason_REASON_TOO_LARGE, false
	case row.GetRefused() != "" || len(row.GetCells()) != p.columns:
		return streamv1.Reason_REASON_BAD_SCHEMA, false
	}
	return 0, true
}

// key reads a row's key; raw is how the source wrote it.
func (p *plan) key(row *streamv1.Row) (raw string, key keys.Key, blank bool) {
	raw = cells.Text(row.GetCells()[p.keyAt])
	key, blank = p.rule.Of(raw)
	return raw, key, blank
}

// content appends what a row says in the mapped columns, so that equal rows have equal contents.
func (p *plan) content(into []byte, row *streamv1.Row) []byte {
	for _, f := range p.fills {
		cell := row.GetCells()[f.at]
		if cells.Empty(cell) {
			into = append(into, 0)
			continue
		}
		text := cells.Text(cell)
		into = append(into, 1)
		into = fmt.Appendf(into, "%d:", len(text))
		into = append(into, text...)
	}
	return into
}

// mapped picks the mapped cells of a row.
func (p *plan) mapped(row *streamv1.Row) []*streamv1.Cell {
	picked := make([]*streamv1.Cell, len(p.fills))
	for i, f := range p.fills {
		picked[i] = row.GetCells()[f.at]
	}
	return picked
}

// values converts mapped cells. The error names the field that one does not fit.
func (p *plan) values(mapped []*streamv1.Cell) ([]cells.Value, error) {
	values := make([]cells.Value, len(mapped))
	for i, cell := range mapped {
		v, err := p.fills[i].Convert(cell)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// changes reports whether a record has to be written to have the values.
func (p *plan) changes(values []cells.Value, rec salesforce.Record) bool {
	for i, v := range values {
		if !p.fills[i].Same(v, rec.Value(p.fills[i].Field())) {
			return true
		}
	}
	return false
}

// anything reports whether the values set any field at all.
func anything(values []cells.Value) bool {
	return slices.ContainsFunc(values, func(v cells.Value) bool { return !v.Keep })
}
