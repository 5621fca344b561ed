package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// eventObject describes the objects of the fake org that the event flows use; nil for others.
func eventObject(name string) map[string]any {
	field := func(name, kind string, length int, to ...string) map[string]any {
		return map[string]any{
			"name": name, "type": kind, "length": length, "createable": true, "updateable": true, "nillable": true, "referenceTo": to,
		}
	}
	needed := func(f map[string]any) map[string]any { f["nillable"] = false; return f }
	status := field("Status__c", "picklist", 255)
	status["restrictedPicklist"] = true
	status["picklistValues"] = []map[string]any{{"value": "Came", "active": true}, {"value": "Away", "active": true}}
	external := field("Key__c", "string", 255)
	external["externalId"], external["unique"] = true, true
	fields := map[string][]map[string]any{
		"Guest__c": {
			external, field("Note__c", "textarea", 32000), field("State__c", "string", 20),
			field("First__c", "string", 40), needed(field("Last__c", "string", 80)), field("Email__c", "email", 80),
			field("At__c", "datetime", 0), field("Here__c", "boolean", 0), field("Size__c", "double", 0),
		},
		"Strict__c": {
			field("First__c", "string", 40), field("Last__c", "string", 80), field("Email__c", "email", 80), needed(field("Company__c", "string", 80)), external,
		},
		"Event__c": {field("Code__c", "string", 255), field("Start__c", "datetime", 0)},
		"Human__c": {field("First__c", "string", 40), field("Last__c", "string", 80), field("Email__c", "email", 80)},
		"Visitor__c": {
			field("Event__c", "reference", 18, "Event__c"), field("Human__c", "reference", 18, "Human__c"),
			field("Any__c", "reference", 18, "Event__c", "Human__c"), field("Link__c", "url", 255), field("Short__c", "string", 80),
			field("Code__c", "string", 80), field("Seen__c", "boolean", 0), field("Age__c", "double", 0), field("Email__c", "email", 80), status,
		},
	}[name]
	if fields == nil {
		return nil
	}
	return map[string]any{"name": name, "createable": true, "updateable": true, "queryable": true, "fields": fields}
}

type eventBundle struct {
	*testBundle

	events configv1.EventSetupServiceClient
	drafts configv1.DraftServiceClient
}

func setupEvents(t *testing.T) *eventBundle {
	t.Helper()
	b := setup(t)
	b.workspace(t, "acme")
	conn := b.dial(t, acmeToken)
	return &eventBundle{b, configv1.NewEventSetupServiceClient(conn), configv1.NewDraftServiceClient(conn)}
}

func mapValue(field string, value configv1.RegistrationValue) *configv1.RegistrationMapping {
	return &configv1.RegistrationMapping{Field: field, Source: &configv1.RegistrationMapping_Value{Value: value}}
}

// allFlows is a set-up with everything on.
func allFlows() *configv1.EventSetup {
	return &configv1.EventSetup{
		Workspace: "acme", Connection: "main",
		Export: &configv1.RegistrationExport{Object: "Guest__c", ExternalIdField: "Key__c", Fields: []*configv1.RegistrationMapping{
			mapValue("First__c", configv1.RegistrationValue_REGISTRATION_VALUE_FIRST_NAME),
			mapValue("Last__c", configv1.RegistrationValue_REGISTRATION_VALUE_LAST_NAME),
			mapValue("Email__c", configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL),
		}},
		Import: &configv1.RegistrationImport{
			EventObject: "Event__c", EventCodeField: "Code__c", RegistrationObject: "Visitor__c", TicketObjectField: "Event__c",
			FirstNamePaths: []string{"Human__r.First__c"}, LastNamePaths: []string{"Human__r.Last__c"}, AddressPaths: []string{"Email__c", "Human__r.Email__c"},
		},
		MagicLinkField:     "Link__c",
		ImportedAttendance: &configv1.AttendanceField{Field: "Status__c", Attended: "Came", Absent: "Away"},
	}
}

func (e *eventBundle) put(t *testing.T, s *configv1.EventSetup) (*configv1.PutEventSetupResponse, error) {
	t.Helper()
	return e.events.PutEventSetup(t.Context(), &configv1.PutEventSetupRequest{Setup: s})
}

func (e *eventBundle) get(t *testing.T, req *configv1.GetEventSetupRequest) (*configv1.GetEventSetupResponse, error) {
	t.Helper()
	req.Workspace = "acme"
	return e.events.GetEventSetup(t.Context(), req)
}

const (
	flowExport     = configv1.EventFlow_EVENT_FLOW_EXPORT
	flowImport     = configv1.EventFlow_EVENT_FLOW_IMPORT
	flowLinks      = configv1.EventFlow_EVENT_FLOW_MAGIC_LINKS
	flowAttendance = configv1.EventFlow_EVENT_FLOW_ATTENDANCE
)

func TestTheScreensComeInTheirOrderAndSayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-4")
	e := setupEvents(t)
	s := allFlows()
	s.Export = nil
	got, err := e.events.CheckEventSetup(t.Context(), &configv1.CheckEventSetupRequest{Setup: s, AskOrg: true})
	require.NoError(t, err)
	var order []configv1.EventScreen
	var states []configv1.EventScreenState
	for _, screen := range got.GetScreens() {
		order, states = append(order, screen.GetScreen()), append(states, screen.GetState())
		for _, text := range []string{screen.GetPurpose().GetJa(), screen.GetPurpose().GetEn()} {
			require.Equal(t, 1, strings.Count(text, "。")+strings.Count(text, "."), "one sentence: %s", text)
		}
	}
	require.Equal(t, []configv1.EventScreen{
		configv1.EventScreen_EVENT_SCREEN_EXPORT, configv1.EventScreen_EVENT_SCREEN_IMPORT_CODE,
		configv1.EventScreen_EVENT_SCREEN_IMPORT_REGISTRATIONS, configv1.EventScreen_EVENT_SCREEN_FINISH,
	}, order)
	const off, on = configv1.EventScreenState_EVENT_SCREEN_STATE_OFF, configv1.EventScreenState_EVENT_SCREEN_STATE_ON
	require.Equal(t, []configv1.EventScreenState{off, on, on, on}, states)
	require.Equal(t, []configv1.EventFlow{flowImport, flowLinks, flowAttendance}, got.GetOn())

	// What was entered is kept as a draft, so that going back finds it.
	draft := &configv1.Draft{Workspace: "acme", Kind: "event-setup", Id: "first", Content: protojson.Format(s)}
	_, err = e.drafts.PutDraft(t.Context(), &configv1.PutDraftRequest{Draft: draft})
	require.NoError(t, err)
	kept, err := e.drafts.GetDraft(t.Context(), &configv1.GetDraftRequest{Workspace: "acme", Kind: "event-setup", Id: "first"})
	require.NoError(t, err)
	again := &configv1.EventSetup{}
	require.NoError(t, protojson.Unmarshal([]byte(kept.GetDraft().GetContent()), again))
	require.True(t, proto.Equal(s, again))
}

func TestAnyCombinationOfFlowsMayBeOn(t *testing.T) {
	t.Parallel()
	e := setupEvents(t)
	version := int64(0)
	for n, c := range []struct {
		change func(*configv1.EventSetup)
		on     []configv1.EventFlow
	}{
		{func(*configv1.EventSetup) {}, []configv1.EventFlow{flowExport, flowImport, flowLinks, flowAttendance}},
		{func(s *configv1.EventSetup) { s.Export, s.MagicLinkField = nil, "" }, []configv1.EventFlow{flowImport, flowAttendance}},
		{func(s *configv1.EventSetup) { s.Import, s.MagicLinkField, s.ImportedAttendance = nil, "", nil }, []configv1.EventFlow{flowExport}},
		{func(s *configv1.EventSetup) {
			s.Import, s.MagicLinkField, s.ImportedAttendance = nil, "", nil
			s.ExportedAttendance = &configv1.AttendanceField{Field: "Here__c"}
		}, []configv1.EventFlow{flowExport, flowAttendance}},
		{func(s *configv1.EventSetup) {
			s.Export, s.MagicLinkField, s.ImportedAttendance = nil, "", nil
			s.Import.EventObject, s.Import.EventCodeField, s.Import.TicketObjectField = "", "", ""
			s.Import.RegistrationCodeField = "Code__c"
		}, []configv1.EventFlow{flowImport}},
	} {
		s := allFlows()
		c.change(s)
		s.Version = version
		saved, err := e.put(t, s)
		require.NoError(t, err, n)
		require.Equal(t, c.on, saved.GetOn(), n)
		version = saved.GetSetup().GetVersion()
	}
	saved, err := e.put(t, &configv1.EventSetup{Workspace: "acme", Connection: "main", Version: version})
	require.NoError(t, err, "all four skipped")
	require.Empty(t, saved.GetOn())
	require.Len(t, saved.GetNotices(), 1)
	require.Equal(t, "Connected, nothing will be exchanged.", saved.GetNotices()[0].GetEn())
	require.NotEmpty(t, saved.GetNotices()[0].GetJa())

	links := allFlows()
	links.Version, links.Import, links.ImportedAttendance = version+1, nil, nil
	_, err = e.put(t, links)
	require.Equal(t, []string{"setup.magic_link_field"}, fieldsOf(t, err), "there are no links without imports")
}

func TestHalfAFlowIsRefusedWithAllItsGaps(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-6")
	e := setupEvents(t)
	half := &configv1.EventSetup{
		Workspace: "acme",
		Export:    &configv1.RegistrationExport{Fields: []*configv1.RegistrationMapping{{}, mapValue("Email__c", 99), mapValue("email__c", 0)}},
		Import:    &configv1.RegistrationImport{EventObject: "Event__c", LastNamePaths: []string{"Last__c"}},
		ImportedAttendance: &configv1.AttendanceField{
			Attended: "Came",
		},
	}
	_, err := e.put(t, half)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	want := []string{
		"setup.export.object", "setup.export.fields", "setup.export.fields", "setup.export.fields", // first name, last name, e-mail
		"setup.export.fields[0].field", "setup.export.fields[0]", "setup.export.fields[1].value", "setup.export.fields[2].value",
		"setup.export.fields[2].field", // twice
		"setup.export.external_id_field",
		"setup.import.event_code_field", "setup.import.registration_object", "setup.import.first_name_paths", "setup.import.address_paths",
		"setup.import.ticket_object_field", "setup.imported_attendance.field", "setup.connection",
	}
	require.Equal(t, want, fieldsOf(t, err))
	require.ErrorContains(t, err, "MAPPING_INVALID")
	_, err = e.get(t, &configv1.GetEventSetupRequest{})
	require.Equal(t, codes.NotFound, status.Code(err), "nothing was saved")

	checked, err := e.events.CheckEventSetup(t.Context(), &configv1.CheckEventSetupRequest{Setup: half})
	require.NoError(t, err)
	var gaps []string
	for _, screen := range checked.GetScreens() {
		require.Equal(t, configv1.EventScreenState_EVENT_SCREEN_STATE_INCOMPLETE, screen.GetState())
		for _, p := range screen.GetProblems() {
			gaps = append(gaps, "setup."+p.GetField())
		}
	}
	slices.Sort(gaps)
	slices.Sort(want)
	require.Equal(t, want, gaps, "each on its screen")
}

func TestFinishingAsksTheOrgAndSwitchesOnAllOrNothing(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-7")
	e := setupEvents(t)
	for name, c := range map[string]struct {
		change func(*configv1.EventSetup)
		field  string
		says   string
	}{
		"no such connection": {func(s *configv1.EventSetup) { s.Connection = "other" }, "connection", "no connection other"},
		"no such field":      {func(s *configv1.EventSetup) { s.Export.Fields[0].Field = "Gone__c" }, "export.fields[0].field", "SF_FIELD_GONE"},
		"another type":       {func(s *configv1.EventSetup) { s.Export.Fields[0].Field = "Size__c" }, "export.fields[0]", "TYPE_MISMATCH"},
		"needed and missing": {func(s *configv1.EventSetup) { s.Export.Object = "Strict__c" }, "export.fields", "REQUIRED_FIELD_MISSING"},
		"a member":           {func(s *configv1.EventSetup) { s.Export.Object = "CampaignMember" }, "export.object", "campaign members"},
		"not readable":       {func(s *configv1.EventSetup) { s.Import.RegistrationObject = unseen }, "import.registration_object", "SF_NO_PERMISSION"},
		"code of no text":    {func(s *configv1.EventSetup) { s.Import.EventCodeField = "Start__c" }, "import.event_code_field", "TYPE_MISMATCH"},
		"leads elsewhere":    {func(s *configv1.EventSetup) { s.Import.TicketObjectField = "Human__c" }, "import.ticket_object_field", "does not lead to Event__c"},
		"leads to several":   {func(s *configv1.EventSetup) { s.Import.TicketObjectField = "Any__c" }, "import.ticket_object_field", "not only to it"},
		"no relationship":    {func(s *configv1.EventSetup) { s.Import.FirstNamePaths = []string{"Lead.FirstName"} }, "import.first_name_paths[0]", "no relationship Lead"},
		"to several":         {func(s *configv1.EventSetup) { s.Import.FirstNamePaths = []string{"Any__r.First__c"} }, "import.first_name_paths[0]", "several objects"},
		"behind it nothing":  {func(s *configv1.EventSetup) { s.Import.FirstNamePaths = []string{"Human__r.None__c"} }, "import.first_name_paths[0]", "SF_FIELD_GONE"},
		"no address":         {func(s *configv1.EventSetup) { s.Import.AddressPaths[0] = "Age__c" }, "import.address_paths[0]", "TYPE_MISMATCH"},
		"links are not cut":  {func(s *configv1.EventSetup) { s.MagicLinkField = "Short__c" }, "magic_link_field", "never cut"},
		"not a value":        {func(s *configv1.EventSetup) { s.ImportedAttendance.Attended = "Here" }, "imported_attendance.attended", "it has Came, Away"},
		"not for attendance": {func(s *configv1.EventSetup) { s.ImportedAttendance.Field = "Age__c" }, "imported_attendance.field", "UNSUPPORTED_FIELD_TYPE"},
		"a ticked text": {func(s *configv1.EventSetup) {
			s.ImportedAttendance = &configv1.AttendanceField{Field: "Seen__c", Attended: "x"}
		}, "imported_attendance.attended", "leave this empty"},
	} {
		s := allFlows()
		c.change(s)
		_, err := e.put(t, s)
		require.Equal(t, []string{"setup." + c.field}, fieldsOf(t, err), name)
		require.ErrorContains(t, err, c.says, name)
		_, err = e.get(t, &configv1.GetEventSetupRequest{})
		require.Equal(t, codes.NotFound, status.Code(err), "%s: three good flows are not switched on without the fourth", name)
	}
	e.org.refuseWith("invalid_grant")
	other := e.connection("acme")
	other.Id = "away"
	_, err := e.admin.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: other})
	require.NoError(t, err)
	away := allFlows()
	away.Connection = "away"
	_, err = e.put(t, away)
	require.Contains(t, []codes.Code{codes.FailedPrecondition, codes.Unavailable}, status.Code(err), "an org that cannot be asked confirms nothing: %v", err)
	_, err = e.get(t, &configv1.GetEventSetupRequest{})
	require.Equal(t, codes.NotFound, status.Code(err))
	e.org.refuseWith("")

	saved, err := e.put(t, allFlows())
	require.NoError(t, err)
	require.Equal(t, int64(1), saved.GetSetup().GetVersion())
	require.Equal(t, []configv1.EventFlow{flowExport, flowImport, flowLinks, flowAttendance}, saved.GetOn())
	_, err = configv1.NewEventSetupServiceClient(e.dial(t, acmeViewer)).PutEventSetup(t.Context(), &configv1.PutEventSetupRequest{Setup: allFlows()})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}

func TestALaterVersionCountsForLaterEvents(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-8")
	e := setupEvents(t)
	first, err := e.put(t, allFlows())
	require.NoError(t, err)
	e.clock.Advance(time.Hour)
	reopened, err := e.get(t, &configv1.GetEventSetupRequest{})
	require.NoError(t, err)
	require.True(t, proto.Equal(first.GetSetup(), reopened.GetSetup()), "the screens are filled as they were saved")

	next := reopened.GetSetup()
	next.Import.RegistrationObject, next.Import.TicketObjectField = "Guest__c", ""
	next.Import.EventObject, next.Import.EventCodeField, next.Import.RegistrationCodeField = "", "", "First__c"
	next.Import.FirstNamePaths, next.Import.LastNamePaths, next.Import.AddressPaths = []string{"First__c"}, []string{"Last__c"}, []string{"Email__c"}
	next.MagicLinkField, next.ImportedAttendance = "", &configv1.AttendanceField{Field: "Here__c"}
	second, err := e.put(t, next)
	require.NoError(t, err)
	require.Equal(t, int64(2), second.GetSetup().GetVersion())
	require.Equal(t, epoch.Add(time.Hour), second.GetSetup().GetEffectiveFrom().AsTime())
	former := second.GetSetup().GetFormerRegistrations()
	require.Len(t, former, 1, "attendance of earlier people still finds its record")
	require.Equal(t, "Visitor__c", former[0].GetObject())
	require.Equal(t, "Status__c", former[0].GetAttendance().GetField())
	require.Equal(t, int64(1), former[0].GetVersion())
	require.Equal(t, epoch.Add(time.Hour), former[0].GetUntil().AsTime())

	for at, version := range map[time.Time]int64{
		epoch: 1, epoch.Add(time.Hour - 1): 1, epoch.Add(time.Hour): 2, epoch.Add(48 * time.Hour): 2,
	} {
		got, err := e.get(t, &configv1.GetEventSetupRequest{At: timestamppb.New(at)})
		require.NoError(t, err)
		require.Equal(t, version, got.GetSetup().GetVersion(), at)
	}
	_, err = e.get(t, &configv1.GetEventSetupRequest{At: timestamppb.New(epoch.Add(-time.Second))})
	require.Equal(t, codes.NotFound, status.Code(err), "before it was set up")
	old, err := e.get(t, &configv1.GetEventSetupRequest{Version: 1})
	require.NoError(t, err)
	require.Equal(t, "Visitor__c", old.GetSetup().GetImport().GetRegistrationObject())
	_, err = e.put(t, next)
	require.Equal(t, codes.Aborted, status.Code(err), "a stale version")

	e.clock.Advance(time.Hour)
	back := allFlows()
	back.Version = 2
	third, err := e.put(t, back)
	require.NoError(t, err)
	require.Len(t, third.GetSetup().GetFormerRegistrations(), 1)
	require.Equal(t, "Guest__c", third.GetSetup().GetFormerRegistrations()[0].GetObject(), "what is in use is not a former one")
}

func TestDraftsAreKeptAndDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	e := setupEvents(t)
	ctx := t.Context()
	draft := func(version int64, content string) *configv1.PutDraftRequest {
		return &configv1.PutDraftRequest{Draft: &configv1.Draft{
			Workspace: "acme", Kind: "report", Id: "weekly", Version: version, Content: content,
		}}
	}
	read := &configv1.GetDraftRequest{Workspace: "acme", Kind: "report", Id: "weekly"}
	saved, err := e.drafts.PutDraft(ctx, draft(0, "one"))
	require.NoError(t, err)
	require.Equal(t, epoch.Add(30*24*time.Hour), saved.GetDraft().GetExpiresAt().AsTime())
	require.Equal(t, "aoi", saved.GetDraft().GetSavedBy())
	_, err = e.drafts.PutDraft(ctx, draft(1, "tab one"))
	require.NoError(t, err)
	_, err = e.drafts.PutDraft(ctx, draft(1, "tab two"))
	require.Equal(t, codes.Aborted, status.Code(err))
	require.ErrorContains(t, err, "read that version, put your changes into it, and save it with version 2")
	info := status.Convert(err).Details()[0].(*errdetails.ErrorInfo)
	require.Equal(t, "DRAFT_CHANGED", info.GetReason())
	require.Equal(t, map[string]string{"version": "2", "saved_by": "aoi", "saved_at": "2026-03-01T09:00:00Z"}, info.GetMetadata())
	_, err = e.drafts.PutDraft(ctx, draft(2, "both"))
	require.NoError(t, err)
	got, err := e.drafts.GetDraft(ctx, read)
	require.NoError(t, err)
	require.Equal(t, "both", got.GetDraft().GetContent())
	listed, err := e.drafts.ListDrafts(ctx, &configv1.ListDraftsRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, listed.GetDrafts(), 1)
	require.Empty(t, listed.GetDrafts()[0].GetContent())

	e.clock.Advance(29 * 24 * time.Hour)
	_, err = e.drafts.GetDraft(ctx, read)
	require.NoError(t, err)
	e.clock.Advance(24 * time.Hour)
	_, err = e.drafts.GetDraft(ctx, read)
	require.Equal(t, codes.NotFound, status.Code(err), "30 days are over")
	_, err = e.drafts.PutDraft(ctx, draft(3, "late"))
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = e.drafts.PutDraft(ctx, draft(0, "anew"))
	require.NoError(t, err)
	_, err = e.drafts.DeleteDraft(ctx, &configv1.DeleteDraftRequest{Workspace: "acme", Kind: "report", Id: "weekly"})
	require.NoError(t, err)
	_, err = e.drafts.GetDraft(ctx, read)
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestWatchersGetTheExportOfEveryVersion(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "HOPIN-5")
	e := setupEvents(t)
	first := allFlows()
	first.Export.Duplicates = configv1.DuplicatePolicy_DUPLICATE_POLICY_SAVE
	_, err := e.put(t, first)
	require.NoError(t, err)
	e.clock.Advance(time.Hour)
	_, err = e.put(t, &configv1.EventSetup{Workspace: "acme", Version: 1})
	require.NoError(t, err)
	got := receive(t, e.watch(t, 0)).GetWorkspaces()[0].GetIntegrations()
	require.Len(t, got, 2, "of the other flows there is nothing to run")
	require.Equal(t, []bool{true, false}, []bool{got[0].GetEnabled(), got[1].GetEnabled()})
	require.Equal(t, epoch.Add(time.Hour), got[1].GetEffectiveFrom().AsTime())
	action := got[0].GetActions()[0]
	require.Equal(t, configv1.Trigger_TRIGGER_REGISTRATION, got[0].GetTrigger())
	require.Equal(t, []string{"Guest__c", "Key__c"}, []string{action.GetObject(), action.GetExternalIdField()})
	require.Equal(t, configv1.DuplicatePolicy_DUPLICATE_POLICY_SAVE, action.GetDuplicates())
	require.Equal(t, map[string]int32{"Guest__c.First__c": 40, "Guest__c.Last__c": 80, "Guest__c.Email__c": 80}, got[0].GetDescribedLengths())
	require.Equal(t, configv1.NullPolicy_NULL_POLICY_FAIL, action.GetFields()[1].GetNullPolicy(), "the object demands a last name")

	by, err := e.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: func() *configv1.Integration {
		i := proto.CloneOf(got[0])
		i.Id, i.Version = "by-hand", 0
		return i
	}()})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "the trigger is the set-up's: %v", by)
}

func TestSavingSaysWhatNoServiceRuns(t *testing.T) {
	t.Parallel()
	e := setupEvents(t)
	saved, err := e.put(t, allFlows())
	require.NoError(t, err)
	require.Len(t, saved.GetNotices(), 1)
	require.Contains(t, saved.GetNotices()[0].GetEn(), "no service acts upon it yet")
	checked, err := e.events.CheckEventSetup(t.Context(), &configv1.CheckEventSetupRequest{Setup: allFlows()})
	require.NoError(t, err)
	require.True(t, slices.EqualFunc(saved.GetNotices(), checked.GetNotices(), func(a, b *configv1.EventText) bool { return proto.Equal(a, b) }))
}
