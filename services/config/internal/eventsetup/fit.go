package eventsetup

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Describe returns what an org has of an object, nil if it has none that it lets the integration user see. An error means that
// nobody knows.
type Describe func(object string) (*configv1.DescribedObject, error)

// Field types as describe names them. Source: Object Reference, "Field Types".
var (
	texts     = set("string", "textarea", "email", "phone", "url", "picklist", "combobox", "encryptedstring")
	addresses = set("email", "string")
	codeTypes = set("string", "textarea")
	linkTypes = set("string", "textarea", "url")
)

// linkLength is the least length of a field that takes links, which are never cut (HOPIN-28).
const linkLength = 255

// Fit returns what an org lacks of what a set-up asks for (HOPIN-7). Screens that have gaps already are not judged. The error is
// that of describe.
func Fit(s *configv1.EventSetup, gaps []Problem, describe Describe) ([]Problem, error) {
	f := &fitter{describe: describe}
	gap := func(screens ...configv1.EventScreen) bool {
		return slices.ContainsFunc(gaps, func(p Problem) bool { return slices.Contains(screens, p.Screen) })
	}
	if exports(s) && !gap(screenExport) {
		f.export(s)
	}
	if imports(s) && !gap(screenCode, screenRegistrations) {
		f.imported(s)
	}
	return f.problems, f.err
}

type fitter struct {
	problems

	describe Describe
	err      error
}

// object describes one that is to be read or changed; nil when it is not there, or when nothing can be said.
func (f *fitter) object(screen configv1.EventScreen, field, name string) *configv1.DescribedObject {
	if f.err != nil {
		return nil
	}
	o, err := f.describe(name)
	switch {
	case err != nil:
		f.err = err
		return nil
	case o == nil:
		f.add(screen, field, "SF_FIELD_GONE: the org has no object %s that it lets the integration user see", name)
		return nil
	case !o.GetQueryable():
		f.add(screen, field, "SF_NO_PERMISSION: the integration user may not read %s", name)
		return nil
	}
	return o
}

// field finds one of an object's fields; nil, with a problem, when it is not there.
func (f *fitter) field(screen configv1.EventScreen, path string, o *configv1.DescribedObject, name string) *configv1.DescribedField {
	at := slices.IndexFunc(o.GetFields(), func(d *configv1.DescribedField) bool { return strings.EqualFold(d.GetName(), name) })
	if at < 0 {
		f.add(screen, path, "SF_FIELD_GONE: %s has no field %s that the org lets the integration user see", o.GetName(), name)
		return nil
	}
	return o.GetFields()[at]
}

// writable finds a field of existing records that is to be changed.
func (f *fitter) writable(screen configv1.EventScreen, path string, o *configv1.DescribedObject, name string) *configv1.DescribedField {
	d := f.field(screen, path, o, name)
	switch {
	case d == nil:
		return nil
	case !o.GetUpdateable():
		f.add(screen, path, "SF_NO_PERMISSION: the integration user may not change %s", o.GetName())
		return nil
	case !d.GetUpdateable():
		f.add(screen, path, "SF_NO_PERMISSION: the integration user may not change %s", d.GetName())
		return nil
	}
	return d
}

// typed reports a field whose type does not fit.
func (f *fitter) typed(screen configv1.EventScreen, path string, d *configv1.DescribedField, types map[string]bool) bool {
	if d == nil || types[d.GetType()] {
		return d != nil
	}
	f.add(screen, path, "TYPE_MISMATCH: %s is of type %s; choose a field of the type %s", d.GetName(), d.GetType(), strings.Join(names(types), ", "))
	return false
}

// export judges flow 1 as integrations are judged: registrations are created, and changed when they change.
func (f *fitter) export(s *configv1.EventSetup) {
	e := s.GetExport()
	o, err := f.describe(e.GetObject())
	if err != nil {
		f.err = err
		return
	}
	target := integration.Target{
		Path: "export", Object: e.GetObject(), Changes: true, ExternalIDField: e.GetExternalIdField(),
		MarkerField: e.GetMarkerField(), MarkerRoom: integration.MarkerRoom,
	}
	for n, m := range e.GetFields() {
		target.Fields = append(target.Fields, targetOf(fmt.Sprintf("export.fields[%d]", n), m))
	}
	if status := e.GetStatus(); status.GetField() != "" {
		target.Fields = append(target.Fields, integration.TargetField{Name: status.GetField(), Path: "export.status", Kind: integration.ValueText})
	}
	for _, p := range conform.CheckTarget(target, o).Problems {
		f.add(screenExport, p.Path, "%s", p.Message)
	}
	if o != nil {
		f.status(e.GetStatus(), o)
	}
	if a := s.GetExportedAttendance(); a.GetField() != "" && o != nil {
		f.attendance(screenExport, "exported_attendance", o, a)
	}
}

// status judges the values that tell whether a registration stands.
func (f *fitter) status(s *configv1.RegistrationStatus, o *configv1.DescribedObject) {
	at := slices.IndexFunc(o.GetFields(), func(d *configv1.DescribedField) bool { return strings.EqualFold(d.GetName(), s.GetField()) })
	if at < 0 {
		return // said already, or there is none
	}
	f.value(screenExport, "export.status.registered", o.GetFields()[at], s.GetRegistered())
	f.value(screenExport, "export.status.cancelled", o.GetFields()[at], s.GetCancelled())
}

// targetOf is a mapping as conform judges it.
func targetOf(path string, m *configv1.RegistrationMapping) integration.TargetField {
	t := integration.TargetField{Name: m.GetField(), Path: path, Kind: integration.ValueText}
	switch source := m.GetSource().(type) {
	case *configv1.RegistrationMapping_Value:
		t.Sure = sure[source.Value]
		if source.Value == configv1.RegistrationValue_REGISTRATION_VALUE_REGISTERED_AT {
			t.Kind = integration.ValueTime
		}
	case *configv1.RegistrationMapping_Constant:
		t.Sure = true
		switch v := source.Constant.GetValue().(type) {
		case *configv1.Constant_Text:
			t.Literal, t.Sure = v.Text, v.Text != ""
		case *configv1.Constant_Number:
			t.Kind = integration.ValueNumber
		case *configv1.Constant_Flag:
			t.Kind = integration.ValueFlag
		}
	}
	return t
}

// sure are the values that every registration has.
var sure = map[configv1.RegistrationValue]bool{
	configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL: true, configv1.RegistrationValue_REGISTRATION_VALUE_EVENT_ID: true,
	configv1.RegistrationValue_REGISTRATION_VALUE_REGISTERED_AT: true,
}

// imported judges flows 2 to 4.
func (f *fitter) imported(s *configv1.EventSetup) {
	i := s.GetImport()
	if i.GetEventObject() != "" {
		if event := f.object(screenCode, "import.event_object", i.GetEventObject()); event != nil {
			f.typed(screenCode, "import.event_code_field", f.field(screenCode, "import.event_code_field", event, i.GetEventCodeField()), codeTypes)
		}
	}
	o := f.object(screenRegistrations, "import.registration_object", i.GetRegistrationObject())
	if o == nil {
		return
	}
	if name := i.GetRegistrationCodeField(); name != "" {
		f.typed(screenCode, "import.registration_code_field", f.field(screenCode, "import.registration_code_field", o, name), codeTypes)
	}
	if i.GetTicketObjectField() != "" {
		f.lookup(o, i)
	}
	for _, value := range paths(i) {
		for n, path := range value.texts {
			f.path(fmt.Sprintf("%s[%d]", value.field, n), o, path, value.types)
		}
	}
	if s.GetMagicLinkField() != "" {
		f.link(o, s.GetMagicLinkField())
	}
	if a := s.GetImportedAttendance(); a.GetField() != "" {
		f.attendance(screenRegistrations, "imported_attendance", o, a)
	}
}

// lookup judges the ticket object id: a look-up to the event object and to nothing else (HOPIN-23, HOPIN-26).
func (f *fitter) lookup(o *configv1.DescribedObject, i *configv1.RegistrationImport) {
	const path = "import.ticket_object_field"
	d := f.field(screenRegistrations, path, o, i.GetTicketObjectField())
	if d == nil {
		return
	}
	to := d.GetReferenceTo()
	if d.GetType() == "reference" && len(to) == 1 && strings.EqualFold(to[0], i.GetEventObject()) {
		return
	}
	f.add(screenRegistrations, path, "TYPE_MISMATCH: %s of %s does not lead to %s, or not only to it; choose a look-up to %s",
		d.GetName(), o.GetName(), i.GetEventObject(), i.GetEventObject())
}

// path judges where a value of a person comes from: a field, or a field of the record that a look-up leads to.
func (f *fitter) path(at string, o *configv1.DescribedObject, path string, types map[string]bool) {
	relation, name, related := strings.Cut(path, ".")
	if !related {
		f.typed(screenRegistrations, at, f.field(screenRegistrations, at, o, path), types)
		return
	}
	n := slices.IndexFunc(o.GetFields(), func(d *configv1.DescribedField) bool {
		return d.GetType() == "reference" && strings.EqualFold(relationOf(d.GetName()), relation)
	})
	if n < 0 {
		f.add(screenRegistrations, at, "SF_FIELD_GONE: %s has no relationship %s that the org lets the integration user see", o.GetName(), relation)
		return
	}
	to := o.GetFields()[n].GetReferenceTo()
	if len(to) != 1 {
		f.add(screenRegistrations, at, "TYPE_MISMATCH: %s may lead to several objects; choose a relationship that leads to one", relation)
		return
	}
	if other := f.object(screenRegistrations, at, to[0]); other != nil {
		f.typed(screenRegistrations, at, f.field(screenRegistrations, at, other, name), types)
	}
}

// relationOf is the name by which queries follow a look-up. Source: SOQL and SOSL Reference, "Understanding Relationship Names".
func relationOf(field string) string {
	if custom, ok := strings.CutSuffix(field, "__c"); ok {
		return custom + "__r"
	}
	return strings.TrimSuffix(field, "Id")
}

// link judges the field that takes magic links.
func (f *fitter) link(o *configv1.DescribedObject, name string) {
	const path = "magic_link_field"
	d := f.writable(screenRegistrations, path, o, name)
	if f.typed(screenRegistrations, path, d, linkTypes) && d.GetLength() < linkLength {
		f.add(screenRegistrations, path, "TYPE_MISMATCH: %s takes %d characters, and a link may have %d and is never cut; choose a longer field",
			d.GetName(), d.GetLength(), linkLength)
	}
}

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, name := range names {
		out[name] = true
	}
	return out
}
