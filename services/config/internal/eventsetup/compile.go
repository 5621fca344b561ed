package eventsetup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// ExportID is the id of the integration that exports registrations. No integration that is saved has a dot in its id.
const ExportID = "registrations.export"

// exportAction is part of the keys of the records: it never changes.
const exportAction = "registration"

// Export makes of flow 1 the integration that mapping runs (HOPIN-9): of every version one, so that a version without the flow ends
// the one before it (HOPIN-5). It expects a set-up without gaps.
func Export(s *configv1.EventSetup) *configv1.Integration {
	e := s.GetExport()
	i := &configv1.Integration{
		Workspace: s.GetWorkspace(), Id: ExportID, Name: "Export of registrations", Connection: s.GetConnection(),
		Enabled: exports(s), Trigger: configv1.Trigger_TRIGGER_REGISTRATION,
		Version: s.GetVersion(), EffectiveFrom: s.GetEffectiveFrom(),
	}
	if !i.GetEnabled() {
		return i
	}
	a := &configv1.Action{
		Name: exportAction, Object: e.GetObject(), Scope: configv1.Scope_SCOPE_VISIT, WriteUnmatched: true, Duplicates: e.GetDuplicates(),
		Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT, ExternalIdField: e.GetExternalIdField(),
	}
	if e.GetExternalIdField() == "" {
		a.Operation, a.MarkerField = configv1.ActionOperation_ACTION_OPERATION_INSERT, e.GetMarkerField()
	}
	for _, m := range e.GetFields() {
		a.Fields = append(a.Fields, mapping(e, m))
	}
	if status := e.GetStatus(); status.GetField() != "" {
		a.Fields = append(a.Fields, statusMapping(status))
	}
	i.Actions = []*configv1.Action{a}
	for field, length := range e.GetDescribedLengths() {
		if i.DescribedLengths == nil {
			i.DescribedLengths = map[string]int32{}
		}
		i.DescribedLengths[integration.DescribedKey(e.GetObject(), field)] = length
	}
	return i
}

// valuePaths are where mapping finds the values of a registration.
var valuePaths = map[configv1.RegistrationValue]string{
	configv1.RegistrationValue_REGISTRATION_VALUE_FIRST_NAME:    "registrant.first_name",
	configv1.RegistrationValue_REGISTRATION_VALUE_LAST_NAME:     "registrant.last_name",
	configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL:         "viewer.email",
	configv1.RegistrationValue_REGISTRATION_VALUE_HEADLINE:      "registrant.headline",
	configv1.RegistrationValue_REGISTRATION_VALUE_WEBSITE:       "registrant.website",
	configv1.RegistrationValue_REGISTRATION_VALUE_COMPANY:       "registrant.company",
	configv1.RegistrationValue_REGISTRATION_VALUE_TICKET_NAME:   "visit.registration.ticket_name",
	configv1.RegistrationValue_REGISTRATION_VALUE_EVENT_NAME:    "content.title",
	configv1.RegistrationValue_REGISTRATION_VALUE_EVENT_ID:      "content.content_id",
	configv1.RegistrationValue_REGISTRATION_VALUE_REGISTERED_AT: "visit.registration.registered_at",
	configv1.RegistrationValue_REGISTRATION_VALUE_SOURCE_TAGS:   "registrant.source_tags",
}

func mapping(e *configv1.RegistrationExport, m *configv1.RegistrationMapping) *configv1.FieldMapping {
	f := &configv1.FieldMapping{Field: m.GetField(), NullPolicy: nullPolicy(e, m.GetField())}
	switch source := m.GetSource().(type) {
	case *configv1.RegistrationMapping_Value:
		path := valuePaths[source.Value]
		switch source.Value {
		case configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL:
			// A part of an address is another address.
			f.NullPolicy, f.OnTooLong = configv1.NullPolicy_NULL_POLICY_FAIL, configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL
		case configv1.RegistrationValue_REGISTRATION_VALUE_WEBSITE:
			if length := e.GetDescribedLengths()[m.GetField()]; length > 0 {
				path += fmt.Sprintf("|whole:%d", length)
			}
		}
		f.Source = &configv1.FieldMapping_Path{Path: path}
	case *configv1.RegistrationMapping_Answer:
		f.Source = &configv1.FieldMapping_Expression{Expression: "registrant.answers[?" + strconv.Quote(source.Answer) + "]"}
	case *configv1.RegistrationMapping_Constant:
		f.Source = &configv1.FieldMapping_Constant{Constant: source.Constant}
	}
	return f
}

// nullPolicy is what a value that a registration lacks, or lost with a change, does to its field: it is cleared, unless the org
// takes no record without it (HOPIN-12), or fills it in by itself.
func nullPolicy(e *configv1.RegistrationExport, field string) configv1.NullPolicy {
	switch {
	case slices.Contains(e.GetRequiredFields(), field):
		return configv1.NullPolicy_NULL_POLICY_FAIL
	case slices.Contains(e.GetDefaultedFields(), field):
		return configv1.NullPolicy_NULL_POLICY_OMIT
	}
	return configv1.NullPolicy_NULL_POLICY_CLEAR
}

// statusMapping says whether a registration stands (HOPIN-16).
func statusMapping(s *configv1.RegistrationStatus) *configv1.FieldMapping {
	text := func(value string) string {
		if value == "" {
			return "optional.none()"
		}
		return "optional.of(" + strconv.Quote(value) + ")"
	}
	return &configv1.FieldMapping{
		Field: s.GetField(), OnTooLong: configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL,
		Source: &configv1.FieldMapping_Expression{Expression: "visit.registration.change == RegistrationChange.REGISTRATION_CHANGE_CANCELLED ? " +
			text(s.GetCancelled()) + " : " + text(s.GetRegistered())},
	}
}

// Learn notes in a set-up what its org said of the fields that the export fills. The error is that of describe.
func Learn(s *configv1.EventSetup, describe Describe) error {
	e := s.GetExport()
	if e == nil {
		return nil
	}
	e.DescribedLengths, e.RequiredFields, e.DefaultedFields = nil, nil, nil
	if !exports(s) {
		return nil
	}
	o, err := describe(e.GetObject())
	if err != nil {
		return err
	}
	for _, m := range e.GetFields() {
		at := slices.IndexFunc(o.GetFields(), func(d *configv1.DescribedField) bool { return strings.EqualFold(d.GetName(), m.GetField()) })
		if at < 0 {
			continue
		}
		d := o.GetFields()[at]
		if texts[d.GetType()] && d.GetLength() > 0 {
			if e.DescribedLengths == nil {
				e.DescribedLengths = map[string]int32{}
			}
			e.DescribedLengths[m.GetField()] = d.GetLength()
		}
		switch {
		case d.GetNillable():
		case d.GetDefaultedOnCreate():
			e.DefaultedFields = append(e.DefaultedFields, m.GetField())
		default:
			e.RequiredFields = append(e.RequiredFields, m.GetField())
		}
	}
	return nil
}
