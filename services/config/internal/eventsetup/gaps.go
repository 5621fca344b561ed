package eventsetup

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// problems collects what is missing or wrong.
type problems []Problem

func (p *problems) add(screen configv1.EventScreen, field, format string, args ...any) {
	*p = append(*p, Problem{screen, field, fmt.Sprintf(format, args...)})
}

// need adds a gap where a value is missing.
func (p *problems) need(screen configv1.EventScreen, field, value, what string) {
	if value == "" {
		p.add(screen, field, "say %s, or clear the screen to skip it", what)
	}
}

// Gaps returns what is missing in a set-up and what contradicts itself, whatever the org (HOPIN-6).
func Gaps(s *configv1.EventSetup) []Problem {
	var p problems
	if exports(s) {
		p.export(s.GetExport())
	}
	if imports(s) {
		p.code(s.GetImport())
		p.registrations(s.GetImport())
	}
	if s.GetMagicLinkField() != "" && !imports(s) {
		p.add(screenRegistrations, "magic_link_field", "links are of invitations, and those are of imported registrations: fill in the import, or leave this empty")
	}
	p.attendance(screenRegistrations, "imported_attendance", s.GetImportedAttendance(), imports(s))
	p.attendance(screenExport, "exported_attendance", s.GetExportedAttendance(), exports(s))
	if !Empty(s) {
		p.need(screenFinish, "connection", s.GetConnection(), "whose org it is about")
	}
	return p
}

// base are the values that every export maps (HOPIN-10).
var base = []configv1.RegistrationValue{
	configv1.RegistrationValue_REGISTRATION_VALUE_FIRST_NAME, configv1.RegistrationValue_REGISTRATION_VALUE_LAST_NAME,
	configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL,
}

func (p *problems) export(e *configv1.RegistrationExport) {
	p.need(screenExport, "export.object", e.GetObject(), "which object registrations become")
	if strings.EqualFold(e.GetObject(), "CampaignMember") {
		p.add(screenExport, "export.object", "registrations cannot become campaign members yet: who the person is has to be found first; choose another object")
	}
	for _, value := range base {
		mapped := slices.ContainsFunc(e.GetFields(), func(m *configv1.RegistrationMapping) bool { return m.GetField() != "" && m.GetValue() == value })
		if !mapped {
			p.add(screenExport, "export.fields", "map %s to a field, or clear the screen to skip it", nameOf(value))
		}
	}
	first := map[string]int{}
	for n, m := range e.GetFields() {
		path := fmt.Sprintf("export.fields[%d]", n)
		p.need(screenExport, path+".field", m.GetField(), "which field it goes into")
		p.source(path, m)
		name := strings.ToLower(m.GetField())
		if at, twice := first[name]; twice && name != "" {
			p.add(screenExport, path+".field", "%s is set twice, here and at export.fields[%d]", m.GetField(), at)
			continue
		}
		first[name] = n
	}
	p.recognised(e, first)
}

// recognised checks how a registration's record is found again (HOPIN-14), and that nothing else fills what that takes.
func (p *problems) recognised(e *configv1.RegistrationExport, mapped map[string]int) {
	own := func(path, field string) {
		if n, twice := mapped[strings.ToLower(field)]; twice && field != "" {
			p.add(screenExport, path, "%s is set twice, here and at export.fields[%d]", field, n)
		}
	}
	switch external, marker := e.GetExternalIdField(), e.GetMarkerField(); {
	case external == "" && marker == "":
		p.add(screenExport, "export.external_id_field", "say which external id field takes the registration's id; "+
			"or, in marker_field, which text field takes a line by which the record is recognised")
	case external != "" && marker != "":
		p.add(screenExport, "export.marker_field", "a record with an external id is recognised by it; leave this empty")
	default:
		own("export.external_id_field", external)
		own("export.marker_field", marker)
	}
	s := e.GetStatus()
	switch {
	case s.GetField() == "" && (s.GetRegistered() != "" || s.GetCancelled() != ""):
		p.add(screenExport, "export.status.field", "say which field tells whether a registration stands")
	case s.GetField() != "":
		p.need(screenExport, "export.status.cancelled", s.GetCancelled(), "what the field gets when the registration is cancelled")
		own("export.status.field", s.GetField())
		for path, other := range map[string]string{"external_id_field": e.GetExternalIdField(), "marker_field": e.GetMarkerField()} {
			if strings.EqualFold(other, s.GetField()) {
				p.add(screenExport, "export.status.field", "%s is the %s, too; choose another field", s.GetField(), path)
			}
		}
	}
}

// source checks that a mapping says where its value comes from.
func (p *problems) source(path string, m *configv1.RegistrationMapping) {
	switch source := m.GetSource().(type) {
	case *configv1.RegistrationMapping_Value:
		if _, known := configv1.RegistrationValue_name[int32(source.Value)]; !known || source.Value == 0 {
			p.add(screenExport, path+".value", "MAPPING_INVALID: a registration has no such value")
		}
	case *configv1.RegistrationMapping_Answer:
		p.need(screenExport, path+".answer", source.Answer, "which question of the form it answers")
	case *configv1.RegistrationMapping_Constant:
		if source.Constant.GetValue() == nil {
			p.add(screenExport, path+".constant", "say which value it has always")
		}
	default:
		p.add(screenExport, path, "say where the value comes from: a value of the registration, an answer, or a constant")
	}
}

func (p *problems) code(i *configv1.RegistrationImport) {
	onEvent := i.GetEventObject() != "" || i.GetEventCodeField() != ""
	switch {
	case onEvent:
		p.need(screenCode, "import.event_object", i.GetEventObject(), "which object stands for events")
		p.need(screenCode, "import.event_code_field", i.GetEventCodeField(), "which of its fields has the integration code")
	case i.GetRegistrationCodeField() == "":
		p.add(screenCode, "import.event_object", "say which object and field have the integration code, or clear the import to skip it")
	}
}

func (p *problems) registrations(i *configv1.RegistrationImport) {
	p.need(screenRegistrations, "import.registration_object", i.GetRegistrationObject(), "which object stands for registrations")
	for _, path := range paths(i) {
		if len(path.texts) == 0 {
			p.add(screenRegistrations, path.field, "say where %s comes from, or clear the screen to skip it", path.what)
		}
	}
	onEvent := i.GetEventObject() != "" || i.GetEventCodeField() != ""
	switch {
	case onEvent && i.GetTicketObjectField() == "":
		p.add(screenRegistrations, "import.ticket_object_field", "say which field of a registration leads to its event")
	case !onEvent && i.GetTicketObjectField() != "":
		p.add(screenRegistrations, "import.ticket_object_field", "there is no event object for it to lead to: choose one for the integration code, or leave this empty")
	}
}

// mapped is one value of an imported person and where it may come from.
type mapped struct {
	field, what string
	texts       []string
	types       map[string]bool
}

// paths are the values that an import maps (HOPIN-22).
func paths(i *configv1.RegistrationImport) []mapped {
	return []mapped{
		{"import.first_name_paths", "the first name", i.GetFirstNamePaths(), texts},
		{"import.last_name_paths", "the last name", i.GetLastNamePaths(), texts},
		{"import.address_paths", "the e-mail address", i.GetAddressPaths(), addresses},
	}
}

func (p *problems) attendance(screen configv1.EventScreen, path string, a *configv1.AttendanceField, of bool) {
	if !attends(a) {
		return
	}
	p.need(screen, path+".field", a.GetField(), "which field tells who attended")
	if !of {
		p.add(screen, path+".field", "there are no records to write it to: fill in their screen, or leave this empty")
	}
}

// nameOf names a value as people would.
func nameOf(v configv1.RegistrationValue) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(v.String(), "REGISTRATION_VALUE_")), "_", " ")
}
