package eventsetup_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/eventsetup"
)

func fields(problems []eventsetup.Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Field)
	}
	return out
}

// exporting is a set-up that exports guests, and tells who attended.
func exporting(a *configv1.AttendanceField) *configv1.EventSetup {
	value := func(field string, v configv1.RegistrationValue) *configv1.RegistrationMapping {
		return &configv1.RegistrationMapping{Field: field, Source: &configv1.RegistrationMapping_Value{Value: v}}
	}
	return &configv1.EventSetup{
		Connection: "main", ExportedAttendance: a,
		Export: &configv1.RegistrationExport{Object: "Guest__c", ExternalIdField: "Key__c", Fields: []*configv1.RegistrationMapping{
			value("First__c", configv1.RegistrationValue_REGISTRATION_VALUE_FIRST_NAME),
			value("Last__c", configv1.RegistrationValue_REGISTRATION_VALUE_LAST_NAME),
			value("Email__c", configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL),
		}},
	}
}

// guest is an org's description of the object.
func guest() *configv1.DescribedObject {
	field := func(name, kind string, length int32) *configv1.DescribedField {
		return &configv1.DescribedField{Name: name, Type: kind, Length: length, Createable: true, Updateable: true, Nillable: true}
	}
	key := field("Key__c", "string", 255)
	key.ExternalId, key.Unique = true, true
	fixed := field("Fixed__c", "boolean", 0)
	fixed.Updateable = false
	return &configv1.DescribedObject{
		Name: "Guest__c", Createable: true, Updateable: true, Queryable: true, Fields: []*configv1.DescribedField{
			field("First__c", "string", 40), field("Last__c", "string", 80), field("Email__c", "email", 80), field("Note__c", "string", 4),
			field("At__c", "datetime", 0), field("Day__c", "date", 0), fixed, key,
		},
	}
}

func describe(string) (*configv1.DescribedObject, error) { return guest(), nil }

func TestAttendanceNeedsRecordsToWriteTo(t *testing.T) {
	t.Parallel()
	alone := &configv1.EventSetup{Connection: "main", ExportedAttendance: &configv1.AttendanceField{Field: "At__c"}}
	require.Equal(t, []string{"exported_attendance.field"}, fields(eventsetup.Gaps(alone)))
	require.Empty(t, eventsetup.Gaps(exporting(&configv1.AttendanceField{Field: "At__c"})))
}

func TestAttendanceGoesIntoFieldsThatTakeIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		field *configv1.AttendanceField
		wrong []string
	}{
		"a time":               {&configv1.AttendanceField{Field: "At__c"}, nil},
		"a time takes no text": {&configv1.AttendanceField{Field: "At__c", Absent: "no"}, []string{"exported_attendance.absent"}},
		"a text":               {&configv1.AttendanceField{Field: "Note__c", Attended: "came", Absent: "away"}, nil},
		"a text needs one":     {&configv1.AttendanceField{Field: "Note__c"}, []string{"exported_attendance.attended"}},
		"too long":             {&configv1.AttendanceField{Field: "Note__c", Attended: "attended"}, []string{"exported_attendance.attended"}},
		"a day":                {&configv1.AttendanceField{Field: "Day__c"}, []string{"exported_attendance.field"}},
		"not to be changed":    {&configv1.AttendanceField{Field: "Fixed__c"}, []string{"exported_attendance.field"}},
		"gone":                 {&configv1.AttendanceField{Field: "Gone__c"}, []string{"exported_attendance.field"}},
	} {
		s := exporting(c.field)
		wrong, err := eventsetup.Fit(s, eventsetup.Gaps(s), describe)
		require.NoError(t, err)
		require.Equal(t, c.wrong, fields(wrong), name)
	}
}

func TestWhatNobodyKnowsIsNoAnswer(t *testing.T) {
	t.Parallel()
	away := errors.New("the org is away")
	s := exporting(nil)
	_, err := eventsetup.Fit(s, nil, func(string) (*configv1.DescribedObject, error) { return nil, away })
	require.ErrorIs(t, err, away)
	gone, err := eventsetup.Fit(s, nil, func(string) (*configv1.DescribedObject, error) { return nil, nil })
	require.NoError(t, err)
	require.Equal(t, []string{"export.object"}, fields(gone))
	s.Export.Object = ""
	unasked, err := eventsetup.Fit(s, eventsetup.Gaps(s), func(string) (*configv1.DescribedObject, error) { return nil, away })
	require.NoError(t, err, "a screen with gaps asks nobody")
	require.Empty(t, unasked)
}

func TestNoticesAndPurposesAreInBothLanguages(t *testing.T) {
	t.Parallel()
	all := eventsetup.Notices(&configv1.EventSetup{})
	require.Len(t, all, 1)
	withoutLinks := eventsetup.Notices(&configv1.EventSetup{Import: &configv1.RegistrationImport{RegistrationObject: "Visitor__c"}})
	require.Len(t, withoutLinks, 1)
	all = append(all, withoutLinks...)
	for _, screen := range eventsetup.Reports(&configv1.EventSetup{}, nil) {
		all = append(all, screen.GetPurpose())
	}
	for _, text := range all {
		require.NotEmpty(t, text.GetJa())
		require.NotEmpty(t, text.GetEn())
		require.NotEqual(t, text.GetJa(), text.GetEn())
	}
}
