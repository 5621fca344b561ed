package eventsetup

import (
	"maps"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// attendance judges a field that tells who attended (HOPIN-35).
func (f *fitter) attendance(screen configv1.EventScreen, path string, o *configv1.DescribedObject, a *configv1.AttendanceField) {
	d := f.writable(screen, path+".field", o, a.GetField())
	if d == nil {
		return
	}
	switch d.GetType() {
	case "boolean", "datetime":
		for field, value := range map[string]string{".attended": a.GetAttended(), ".absent": a.GetAbsent()} {
			if value != "" {
				f.add(screen, path+field, "%s is of type %s, which takes no text: leave this empty", d.GetName(), d.GetType())
			}
		}
	case "string", "picklist":
		f.need(screen, path+".attended", a.GetAttended(), "what the field gets when the person attends")
		f.value(screen, path+".attended", d, a.GetAttended())
		f.value(screen, path+".absent", d, a.GetAbsent())
	default:
		f.add(screen, path+".field", "UNSUPPORTED_FIELD_TYPE: %s is of type %s; choose a check box, a picklist, a text or a date/time", d.GetName(), d.GetType())
	}
}

// value refuses a text that the field does not take.
func (f *fitter) value(screen configv1.EventScreen, path string, d *configv1.DescribedField, text string) {
	known := slices.ContainsFunc(d.GetPicklist(), func(c *configv1.PicklistChoice) bool { return c.GetValue() == text })
	switch {
	case text == "":
	case d.GetType() == "picklist" && d.GetRestrictedPicklist() && !known:
		f.add(screen, path, "TYPE_MISMATCH: %s has no active value %q; it has %s", d.GetName(), text, choices(d))
	case d.GetLength() > 0 && integration.Units(text) > int(d.GetLength()):
		f.add(screen, path, "TYPE_MISMATCH: %s takes %d characters; shorten the text", d.GetName(), d.GetLength())
	}
}

// maxChoices bounds how many values a problem names.
const maxChoices = 20

func choices(d *configv1.DescribedField) string {
	var out []string
	for _, c := range d.GetPicklist() {
		if len(out) == maxChoices {
			out = append(out, "…")
			break
		}
		out = append(out, c.GetValue())
	}
	return strings.Join(out, ", ")
}

// names lists a set in order.
func names(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
