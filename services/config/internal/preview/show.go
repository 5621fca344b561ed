package preview

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// show turns a write into what people see of it.
func (r *runner) show(action single, w *streamv1.Write) (*configv1.PreviewWrite, error) {
	fields, err := r.open(w)
	if err != nil {
		return nil, err
	}
	spec := action.program.Integration().GetActions()[0]
	out := &configv1.PreviewWrite{
		Action: spec.GetName(), Object: w.GetObject(), Operation: w.GetOperation(),
		ExternalIdField: w.GetExternalIdField(), ExternalId: w.GetExternalId(), Warnings: w.GetWarnings(),
	}
	for _, f := range fields {
		shown := &configv1.PreviewField{Value: f}
		shown.Source, shown.Mapping = origin(spec, action.path, f.GetField())
		if f.GetField() == w.GetMarkerField() && w.GetMarker() != "" && strings.HasSuffix(f.GetText(), w.GetMarker()) {
			shown.Source = strings.TrimPrefix(shown.Source+" and the line by which the record is found again", " and ")
		}
		out.Fields = append(out.Fields, shown)
	}
	return out, nil
}

// origin tells where a field's value comes from, and the path of its mapping.
func origin(spec *configv1.Action, path, field string) (source, mapping string) {
	for n, m := range spec.GetFields() {
		if m.GetField() == field {
			return sourceOf(m), fmt.Sprintf("%s.fields[%d]", path, n)
		}
	}
	switch {
	case field == spec.GetMarkerField():
		return "", ""
	case spec.GetAssignment() != nil && (field == "OwnerId" || field == "WhoId"):
		return "assignment", path + ".assignment"
	default:
		return "the person who was found", ""
	}
}

func sourceOf(m *configv1.FieldMapping) string {
	switch s := m.GetSource().(type) {
	case *configv1.FieldMapping_Path:
		return "path " + s.Path
	case *configv1.FieldMapping_Expression:
		return "expression " + s.Expression
	case *configv1.FieldMapping_Template:
		return "template (" + strings.Join(slices.Sorted(maps.Keys(s.Template.GetTexts())), ", ") + ")"
	default:
		return "constant"
	}
}

func reasonName(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }
