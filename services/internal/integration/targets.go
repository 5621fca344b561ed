package integration

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// ValueKind is what sort of value a mapping gives.
type ValueKind uint8

// The kinds. A time is written as text in the form that Salesforce takes for a datetime.
const (
	ValueUnknown ValueKind = iota // only known at run time
	ValueText
	ValueNumber
	ValueFlag
	ValueTime
)

// String names the kind as in "it gives a text".
func (k ValueKind) String() string {
	return [...]string{"a value of any type", "a text", "a number", "yes or no", "a time"}[k]
}

var valueKinds = map[kind]ValueKind{text: ValueText, number: ValueNumber, flag: ValueFlag, instant: ValueTime}

// Target is what an action asks of its object: what has to be there for its records to be written.
type Target struct {
	// Path names the action, e.g. actions[0]; Object is what it writes.
	Path, Object string
	// Changes is true for an upsert, which may find its record there already: by a later revision, or by its own repetition
	// after a lost answer. An insert makes its record once and never changes it.
	Changes bool
	// ExternalIDField is the key of an upsert; empty for an insert.
	ExternalIDField string
	// MarkerField takes the marker line of an insert; empty for others. MarkerRoom is how many characters the line needs.
	MarkerField string
	MarkerRoom  int
	// Fields are what it sets, in ascending order of name.
	Fields []TargetField
}

// TargetField is one field that an action sets.
type TargetField struct {
	// Name is the field's API name; Path names the mapping, or the part of the action that sets the field by itself.
	Name, Path string
	// Own is true for what the action sets by itself: the assignment, the members of a campaign.
	Own bool
	// Kind is what the mapping gives. Literal is a constant text; empty for others.
	Kind    ValueKind
	Literal string
	// Sure is true when there is always a value, or no record without one.
	Sure bool
	// Clears is true when an absent value clears the field.
	Clears bool
	// MaxLength is what the mapping says, 0 for nothing.
	MaxLength int
}

// Targets returns what the integration's actions ask of their objects, in the order of the actions. Those that are switched
// off ask for nothing.
func (p *Program) Targets() []Target {
	targets := make([]Target, 0, len(p.actions))
	for n := range p.actions {
		a := &p.actions[n]
		if a.spec.GetDisabled() {
			continue
		}
		target := Target{
			Path: a.path, Object: a.spec.GetObject(),
			Changes:         a.spec.GetOperation() == configv1.ActionOperation_ACTION_OPERATION_UPSERT,
			ExternalIDField: a.spec.GetExternalIdField(), MarkerField: a.spec.GetMarkerField(), MarkerRoom: MarkerRoom,
			Fields: make([]TargetField, len(a.fields)),
		}
		for i := range a.fields {
			target.Fields[i] = a.target(&a.fields[i])
		}
		targets = append(targets, target)
	}
	return targets
}

func (a *action) target(f *field) TargetField {
	t := TargetField{
		Name: f.name, Path: f.path, Own: f.given.own, Kind: f.given.kind, Literal: f.given.literal,
		Sure:   f.given.sure || f.policy == configv1.NullPolicy_NULL_POLICY_FAIL,
		Clears: f.policy == configv1.NullPolicy_NULL_POLICY_CLEAR,
	}
	for _, m := range a.spec.GetFields() {
		if m.GetField() == f.name && !f.given.own {
			t.MaxLength = int(m.GetMaxLength())
		}
	}
	return t
}

// DescribedKey is the key of Integration.described_lengths for a field.
func DescribedKey(object, field string) string { return object + "." + field }

// Units counts a text as Salesforce counts at its strictest: in UTF-16 units (XC-37).
func Units(s string) int { return units(s) }

// Fit cuts s to at most limit Units, at a grapheme boundary and with an ellipsis that counts as one of them. It returns the length
// s had, or 0 when nothing was cut.
func Fit(s string, limit int) (fitted string, cutFrom int) { return fit(s, limit) }

// kindOfCEL tells what an expression gives. What is optional may be absent.
func kindOfCEL(t *cel.Type) given {
	if t.Kind() == types.OpaqueKind && len(t.Parameters()) == 1 {
		return given{kind: kindOfCEL(t.Parameters()[0]).kind}
	}
	switch t.Kind() {
	case types.StringKind: // an empty text counts as absent
		return given{kind: ValueText}
	case types.IntKind, types.UintKind, types.DoubleKind, types.DurationKind:
		return given{kind: ValueNumber, sure: true}
	case types.BoolKind:
		return given{kind: ValueFlag, sure: true}
	case types.TimestampKind:
		return given{kind: ValueTime, sure: true}
	default:
		return given{}
	}
}
