package eventsetup_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/eventsetup"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

func program(t *testing.T, s *configv1.EventSetup) *integration.Program {
	t.Helper()
	require.Empty(t, eventsetup.Gaps(s))
	p, err := integration.Compile(eventsetup.Export(s))
	require.NoError(t, err)
	return p
}

// registration is one to be exported, of a person whom the org does not know.
func registration(change streamv1.RegistrationChange, r *streamv1.Registrant) *integration.Input {
	in := integrationtest.Document()
	in.Resolved.Resolution = &streamv1.Resolution{Reason: streamv1.Reason_REASON_NO_MATCH}
	in.Resolved.Engagement.Visit.Registration = &streamv1.Registration{
		RegistrationId: "r-1", Change: change, TicketName: "Early", RegisteredAt: timestamppb.New(integrationtest.Left),
	}
	in.Registrant = r
	return in
}

const (
	created   = streamv1.RegistrationChange_REGISTRATION_CHANGE_CREATED
	changed   = streamv1.RegistrationChange_REGISTRATION_CHANGE_CHANGED
	cancelled = streamv1.RegistrationChange_REGISTRATION_CHANGE_CANCELLED
)

func evaluated(t *testing.T, p *integration.Program, in *integration.Input) (fields map[string]any, warnings []string) {
	t.Helper()
	require.True(t, p.Applies(in.Resolved.GetEngagement()))
	d := p.Evaluate(in)
	require.Empty(t, d.Refusals)
	require.Len(t, d.Records, 1)
	require.False(t, d.Records[0].Once)
	return integrationtest.Fields(d.Records[0].Fields), d.Records[0].Warnings
}

func TestEveryValueOfARegistrationCanBeMapped(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-11")
	s := exporting(nil)
	for number, name := range configv1.RegistrationValue_name {
		if number > 3 {
			s.Export.Fields = append(s.Export.Fields, &configv1.RegistrationMapping{
				Field: name, Source: &configv1.RegistrationMapping_Value{Value: configv1.RegistrationValue(number)},
			})
		}
	}
	for field, question := range map[string]string{"Answer__c": `q "1"`, "None__c": "q-2"} {
		s.Export.Fields = append(s.Export.Fields, &configv1.RegistrationMapping{Field: field, Source: &configv1.RegistrationMapping_Answer{Answer: question}})
	}
	s.Export.Fields = append(s.Export.Fields, &configv1.RegistrationMapping{Field: "Flag__c", Source: &configv1.RegistrationMapping_Constant{
		Constant: &configv1.Constant{Value: &configv1.Constant_Flag{Flag: true}},
	}})
	fields, warnings := evaluated(t, program(t, s), registration(created, &streamv1.Registrant{
		FirstName: "Hanako", LastName: "Sato", Headline: "CTO", Website: "https://x.example", Company: "X", SourceTags: "a;b",
		Answers: map[string]string{`q "1"`: "x;y"},
	}))
	require.Empty(t, warnings)
	require.Equal(t, map[string]any{
		"First__c": "Hanako", "Last__c": "Sato", "Email__c": integrationtest.Viewer,
		"REGISTRATION_VALUE_HEADLINE": "CTO", "REGISTRATION_VALUE_WEBSITE": "https://x.example", "REGISTRATION_VALUE_COMPANY": "X",
		"REGISTRATION_VALUE_TICKET_NAME": "Early", "REGISTRATION_VALUE_EVENT_NAME": "Price list 2026", "REGISTRATION_VALUE_EVENT_ID": "doc-1",
		"REGISTRATION_VALUE_REGISTERED_AT": "2026-03-01T15:30:00.000Z", "REGISTRATION_VALUE_SOURCE_TAGS": "a;b",
		"Answer__c": "x;y", "None__c": nil, "Flag__c": true,
	}, fields)
}

func TestNamesAreCutToTheirFieldsAndAddressesNever(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-10")
	s := exporting(nil)
	require.NoError(t, eventsetup.Learn(s, describe))
	require.EqualValues(t, 40, s.GetExport().GetDescribedLengths()["First__c"])
	p := program(t, s)
	in := registration(created, &streamv1.Registrant{FirstName: strings.Repeat("花", 41), LastName: "Sato"})
	fields, warnings := evaluated(t, p, in)
	require.Equal(t, strings.Repeat("花", 39)+"…", fields["First__c"])
	require.Equal(t, []string{"VALUE_TRUNCATED First__c: 41 characters cut to 40"}, warnings)
	in.Viewer.Email = strings.Repeat("a", 80) + "@x.example"
	d := p.Evaluate(in)
	require.Empty(t, d.Records)
	require.Len(t, d.Refusals, 1)
	require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, d.Refusals[0].Reason)
}

func TestWhatTheObjectDemandsFailsAndWhatItFillsInStays(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-12")
	s := exporting(nil)
	demanding := func(string) (*configv1.DescribedObject, error) {
		o := guest()
		o.Fields[0].Nillable, o.Fields[0].DefaultedOnCreate = false, true
		o.Fields[1].Nillable = false
		return o, nil
	}
	require.NoError(t, eventsetup.Learn(s, demanding))
	require.Equal(t, []string{"Last__c"}, s.GetExport().GetRequiredFields())
	require.Equal(t, []string{"First__c"}, s.GetExport().GetDefaultedFields())
	p := program(t, s)
	fields, _ := evaluated(t, p, registration(created, &streamv1.Registrant{LastName: "Sato"}))
	require.NotContains(t, fields, "First__c")
	d := p.Evaluate(registration(created, &streamv1.Registrant{FirstName: "Hanako"}))
	require.Len(t, d.Refusals, 1)
	require.True(t, d.Refusals[0].Failed)
	require.Equal(t, streamv1.Reason_REASON_REQUIRED_FIELD_MISSING, d.Refusals[0].Reason)
}

func TestACancelledRegistrationSaysSo(t *testing.T) {
	t.Parallel()
	s := exporting(nil)
	s.Export.Status = &configv1.RegistrationStatus{Field: "Note__c", Cancelled: `say "no"`}
	both := exporting(nil)
	both.Export.Status = &configv1.RegistrationStatus{Field: "Note__c", Cancelled: "no", Registered: "yes"}
	who := &streamv1.Registrant{LastName: "Sato"}
	for _, c := range []struct {
		setup  *configv1.EventSetup
		change streamv1.RegistrationChange
		want   any
	}{
		{s, cancelled, `say "no"`}, {both, created, "yes"}, {both, changed, "yes"}, {both, cancelled, "no"},
	} {
		fields, _ := evaluated(t, program(t, c.setup), registration(c.change, who))
		require.Equal(t, c.want, fields["Note__c"])
	}
	fields, _ := evaluated(t, program(t, s), registration(created, who))
	require.NotContains(t, fields, "Note__c")
}

func TestAVersionWithoutTheFlowEndsTheOneBefore(t *testing.T) {
	t.Parallel()
	off := eventsetup.Export(&configv1.EventSetup{Workspace: "acme", Version: 2})
	on := eventsetup.Export(exporting(nil))
	require.Equal(t, off.GetId(), on.GetId())
	require.False(t, off.GetEnabled())
	require.True(t, on.GetEnabled())
	require.False(t, program(t, exporting(nil)).Applies(integrationtest.Document().Resolved.GetEngagement()), "views are no registrations")
}

func TestARegistrationsRecordIsFoundAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*configv1.RegistrationExport)
		gaps   []string
	}{
		"by neither":  {func(e *configv1.RegistrationExport) { e.ExternalIdField = "" }, []string{"export.external_id_field"}},
		"by both":     {func(e *configv1.RegistrationExport) { e.MarkerField = "Note__c" }, []string{"export.marker_field"}},
		"mapped, too": {func(e *configv1.RegistrationExport) { e.ExternalIdField = "email__c" }, []string{"export.external_id_field"}},
		"status mapped": {func(e *configv1.RegistrationExport) {
			e.Status = &configv1.RegistrationStatus{Field: "Last__c", Cancelled: "x"}
		}, []string{"export.status.field"}},
		"status is the key": {func(e *configv1.RegistrationExport) {
			e.Status = &configv1.RegistrationStatus{Field: "Key__c", Cancelled: "x"}
		}, []string{"export.status.field"}},
		"half a status": {func(e *configv1.RegistrationExport) { e.Status = &configv1.RegistrationStatus{Field: "Note__c"} }, []string{"export.status.cancelled"}},
		"no field":      {func(e *configv1.RegistrationExport) { e.Status = &configv1.RegistrationStatus{Cancelled: "x"} }, []string{"export.status.field"}},
	} {
		s := exporting(nil)
		c.change(s.GetExport())
		require.Equal(t, c.gaps, fields(eventsetup.Gaps(s)), name)
	}
	s := exporting(nil)
	s.Export.ExternalIdField, s.Export.MarkerField = "", "Long__c"
	p := program(t, s)
	require.Equal(t, configv1.ActionOperation_ACTION_OPERATION_INSERT, p.Integration().GetActions()[0].GetOperation())
	require.Empty(t, eventsetup.Notices(s))
	s.Export.MarkerField = "Email__c"
	require.Equal(t, []string{"export.marker_field"}, fields(eventsetup.Gaps(s)), "it takes nothing else")
}

func TestFlowsThatNoServiceRunsSaySo(t *testing.T) {
	t.Parallel()
	require.Empty(t, eventsetup.Notices(exporting(nil)))
	s := exporting(&configv1.AttendanceField{Field: "At__c"})
	s.Import, s.MagicLinkField = &configv1.RegistrationImport{RegistrationObject: "Visitor__c"}, "Link__c"
	all := eventsetup.Notices(s)
	require.Len(t, all, 1)
	require.Equal(t, "Saved, but no service acts upon it yet, so nothing is exchanged by it: import of registrations, magic links, attendance", all[0].GetEn())
	require.Contains(t, all[0].GetJa(), "登録の取り込み、招待リンク、出欠")
}
