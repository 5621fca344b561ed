package recipe

import (
	"fmt"
	"maps"
	"slices"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// checkTexts refuses texts for fields that have none. Placeholders and languages are checked when the result is compiled.
func (r *Recipe) checkTexts(p Params) error {
	for _, field := range slices.Sorted(maps.Keys(p.Texts)) {
		known := slices.ContainsFunc(r.base.GetActions(), func(a *configv1.Action) bool { return textOf(a, field) != nil })
		if !known {
			return fmt.Errorf("texts: the recipe has no text for the field %s", field)
		}
	}
	return nil
}

// textOf returns the template of a field, nil if it has none.
func textOf(a *configv1.Action, field string) *configv1.Template {
	for _, m := range a.GetFields() {
		if m.GetField() == field {
			return m.GetTemplate()
		}
	}
	return nil
}

// fill puts the workspace's own texts and fixed values into an action. A fixed value takes the place of what the recipe
// has for the field.
func fill(a *configv1.Action, p Params) {
	for field, texts := range p.Texts {
		if t := textOf(a, field); t != nil {
			maps.Copy(t.GetTexts(), texts)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(p.Constants)) {
		a.Fields = slices.DeleteFunc(a.Fields, func(m *configv1.FieldMapping) bool { return m.GetField() == field })
		a.Fields = append(a.Fields, &configv1.FieldMapping{
			Field: field, Source: &configv1.FieldMapping_Constant{Constant: constant(p.Constants[field])},
		})
	}
}

// constant returns a fixed value, nil for what is none.
func constant(v any) *configv1.Constant {
	switch v := v.(type) {
	case string:
		return &configv1.Constant{Value: &configv1.Constant_Text{Text: v}}
	case float64:
		return &configv1.Constant{Value: &configv1.Constant_Number{Number: v}}
	case bool:
		return &configv1.Constant{Value: &configv1.Constant_Flag{Flag: v}}
	default:
		return nil
	}
}
