package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
	"github.com/throughline-dev/throughline/services/internal/topic"
	"github.com/throughline-dev/throughline/services/simulator"
)

// registering is a platform with one customer whose registrations become Leads.
type registering struct {
	*rig.Rig

	t       *testing.T
	process *rig.Process
	events  configv1.EventSetupServiceClient
}

func setupRegistering(t *testing.T) *registering {
	t.Helper()
	r := &registering{t: t, Rig: rig.New(t, rig.Options{})}
	r.StartConfig()
	r.events = r.EventSetup()
	r.process = r.Start("all")
	for _, id := range []string{"acme", "skipped", "marked"} {
		r.Add(rig.Customer{ID: id, Org: func(o *simulator.Org) {
			o.Objects = []simulator.Object{{Name: "Lead", Fields: []simulator.Field{
				{Name: "Registration__c", Type: "string", Length: 64, ExternalID: true, Unique: true},
				{Name: "Topics__c", Type: "string", Length: 30},
				{Name: "State__c", Type: "string", Length: 20},
				{Name: "At__c", Type: "datetime"},
				{Name: "Event__c", Type: "string", Length: 40},
				{Name: "Ticket__c", Type: "string", Length: 40},
				{Name: "Tags__c", Type: "string", Length: 40},
			}}}
		}})
	}
	r.put(exportToLeads("acme"))
	return r
}

// exportToLeads is a set-up with flow 1 alone.
func exportToLeads(workspace string) *configv1.EventSetup {
	value := func(field string, v configv1.RegistrationValue) *configv1.RegistrationMapping {
		return &configv1.RegistrationMapping{Field: field, Source: &configv1.RegistrationMapping_Value{Value: v}}
	}
	return &configv1.EventSetup{
		Workspace: workspace, Connection: rig.Connection,
		Export: &configv1.RegistrationExport{
			Object: "Lead", ExternalIdField: "Registration__c",
			Fields: []*configv1.RegistrationMapping{
				value("FirstName", configv1.RegistrationValue_REGISTRATION_VALUE_FIRST_NAME),
				value("LastName", configv1.RegistrationValue_REGISTRATION_VALUE_LAST_NAME),
				value("Email", configv1.RegistrationValue_REGISTRATION_VALUE_EMAIL),
				value("Company", configv1.RegistrationValue_REGISTRATION_VALUE_COMPANY),
				value("Title", configv1.RegistrationValue_REGISTRATION_VALUE_HEADLINE),
				value("Website", configv1.RegistrationValue_REGISTRATION_VALUE_WEBSITE),
				value("At__c", configv1.RegistrationValue_REGISTRATION_VALUE_REGISTERED_AT),
				value("Event__c", configv1.RegistrationValue_REGISTRATION_VALUE_EVENT_NAME),
				value("Ticket__c", configv1.RegistrationValue_REGISTRATION_VALUE_TICKET_NAME),
				value("Tags__c", configv1.RegistrationValue_REGISTRATION_VALUE_SOURCE_TAGS),
				{Field: "Topics__c", Source: &configv1.RegistrationMapping_Answer{Answer: "q-topics"}},
				{Field: "LeadSource", Source: &configv1.RegistrationMapping_Constant{Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: "Event"}}}},
			},
			Status: &configv1.RegistrationStatus{Field: "State__c", Registered: "registered", Cancelled: "cancelled"},
		},
	}
}

func (r *registering) put(s *configv1.EventSetup) *configv1.PutEventSetupResponse {
	r.t.Helper()
	saved, err := r.events.PutEventSetup(r.t.Context(), &configv1.PutEventSetupRequest{Setup: s})
	require.NoError(r.t, err)
	r.process.AwaitSettings()
	return saved
}

// registration is an event of one registration; change its data as needed.
func registration(workspace, kind, id, email string, at time.Time, more map[string]any) *rig.Event {
	data := map[string]any{
		"id": id, "registeredAt": "2026-11-23T10:00:00Z", "firstName": "Plantedfirst", "lastName": "Plantedlast", "headline": "CTO",
		"website": "www.viewer.example", "company": "Plantedco", "tags": []string{"mail", "partner"},
		"ticket":  map[string]any{"id": "t-1", "name": "Early bird", "integrationCode": "SPRING"},
		"answers": []any{map[string]any{"questionId": "q-topics", "values": []string{"security", "Plantedanswer"}}},
	}
	for k, v := range more {
		data[k] = v
	}
	return &rig.Event{
		Workspace: workspace, Type: "registration." + kind, Time: at, Content: "summit", Title: "Summit 2027", Email: email, Session: id,
		Data: map[string]any{"registration": data},
	}
}

// lead is the record of a registration, which must be one.
func (r *registering) lead(workspace, id string) map[string]any {
	r.t.Helper()
	var found []map[string]any
	for _, lead := range r.Records(workspace, "Lead") {
		if lead["Registration__c"] == id {
			found = append(found, lead)
		}
	}
	require.Len(r.t, found, 1, id)
	return found[0]
}

func TestRegistrations(t *testing.T) {
	rig.Parallel(t)
	r := setupRegistering(t)
	now := time.Now().UTC()

	t.Run("EachBecomesOneRecordWithWhatIsMapped", func(t *testing.T) {
		for _, id := range []string{"HOPIN-9", "HOPIN-11", "HOPIN-14"} {
			t.Attr("requirement", id)
		}
		first := registration("acme", "created", "r-1", "mia@viewer.example", now, nil)
		again, second := *first, registration("acme", "created", "r-2", "mia@viewer.example", now, nil)
		nobody := registration("acme", "created", "r-3", "", now, nil)
		trial := registration("acme", "created", "r-4", "mia@viewer.example", now, map[string]any{"test": true})
		first.JSON() // which gives it its id
		again.ID = first.ID
		r.Send(first, second, &again, nobody, trial)
		r.Quiet()
		require.Len(t, r.Records("acme", "Lead"), 2, "one for each ticket of one person, however often it is told of")
		lead := r.lead("acme", "r-1")
		for field, want := range map[string]any{
			"FirstName": "Plantedfirst", "LastName": "Plantedlast", "Email": "mia@viewer.example", "Company": "Plantedco", "Title": "CTO",
			"Website": "https://www.viewer.example", "At__c": "2026-11-23T10:00:00.000+0000", "Event__c": "Summit 2027", "Ticket__c": "Early bird",
			"Tags__c": "mail;partner", "Topics__c": "security;Plantedanswer", "LeadSource": "Event", "State__c": "registered",
		} {
			require.Equal(t, want, lead[field], field)
		}
		require.Equal(t, []string{"ingest REJECTED(BAD_EMAIL)"}, r.Ended("acme", nobody.ID))
		require.Equal(t, []string{"ingest SKIPPED(FLOW_SKIPPED)"}, r.Ended("acme", trial.ID))
		require.Contains(t, r.Ended("acme", first.ID), "writer WRITTEN")
	})

	t.Run("TheLatestChangeCountsWhateverComesFirst", func(t *testing.T) {
		at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
		created := registration("acme", "created", "r-10", "ken@viewer.example", at(0), nil)
		changed := registration("acme", "changed", "r-10", "ken@viewer.example", at(5), map[string]any{"headline": nil, "company": "Newco"})
		r.Send(changed)
		r.Quiet()
		require.Equal(t, "Newco", r.lead("acme", "r-10")["Company"], "a change of what is unknown makes the record")
		r.Send(created)
		r.Quiet()
		lead := r.lead("acme", "r-10")
		require.Equal(t, []any{"Newco", nil, "registered"}, []any{lead["Company"], lead["Title"], lead["State__c"]})
		require.Contains(t, r.Ended("acme", created.ID), "writer SKIPPED(SUPERSEDED)")
		r.Send(registration("acme", "cancelled", "r-10", "ken@viewer.example", at(9), map[string]any{"company": "Newco"}))
		r.Quiet()
		require.Equal(t, "cancelled", r.lead("acme", "r-10")["State__c"], "the record stays")
	})

	t.Run("WithoutAnExternalIdTheLedgerKnowsTheRecord", func(t *testing.T) {
		t.Attr("requirement", "HOPIN-14")
		s := exportToLeads("marked")
		s.Export.ExternalIdField, s.Export.MarkerField = "", "Description"
		r.put(s)
		at := time.Now()
		created := registration("marked", "created", "r-60", "mia@viewer.example", at, nil)
		r.Send(created)
		r.Quiet()
		again := *created
		r.Send(&again, registration("marked", "changed", "r-60", "mia@viewer.example", at.Add(time.Second), map[string]any{"company": "Newco"}))
		r.Quiet()
		leads := r.Records("marked", "Lead")
		require.Len(t, leads, 1)
		require.Equal(t, "Newco", leads[0]["Company"])
		require.Contains(t, leads[0]["Description"], "Ref: tl-")
		r.Send(registration("marked", "cancelled", "r-60", "mia@viewer.example", at.Add(2*time.Second), nil), &again)
		r.Quiet()
		leads = r.Records("marked", "Lead")
		require.Len(t, leads, 1)
		require.Equal(t, "cancelled", leads[0]["State__c"])
	})

	t.Run("WhatCameFromSalesforceDoesNotGoBack", func(t *testing.T) {
		t.Attr("requirement", "HOPIN-15")
		origin := "00Q000000000001"
		linked := registration("acme", "created", "r-20", "other@viewer.example", now, map[string]any{"origin": map[string]any{"recordId": origin, "invitationId": "i-1"}})
		before := len(r.Records("acme", "Lead"))
		r.Send(linked)
		r.Quiet()
		require.Len(t, r.Records("acme", "Lead"), before)
		require.Equal(t, []string{"ingest SKIPPED(LOOP_ORIGIN)"}, r.Ended("acme", linked.ID))
		outcomes := r.Outcomes(&configv1.ListOutcomesRequest{Workspace: "acme", EventId: linked.ID})
		require.True(t, strings.HasPrefix(outcomes[0].GetRecordId(), origin), "and is linked to its record")
	})

	t.Run("AFlowThatIsOffTakesNone", func(t *testing.T) {
		t.Attr("requirement", "HOPIN-5")
		off := registration("skipped", "created", "r-30", "mia@viewer.example", time.Time{}, nil)
		r.Send(off)
		r.Quiet()
		require.Equal(t, []string{"identity SKIPPED(FLOW_SKIPPED)"}, r.Ended("skipped", off.ID))
		saved := r.put(exportToLeads("skipped"))
		on := registration("skipped", "created", "r-31", "mia@viewer.example", time.Time{}, nil)
		r.Send(on)
		r.Quiet()
		r.lead("skipped", "r-31")
		r.put(&configv1.EventSetup{Workspace: "skipped", Version: saved.GetSetup().GetVersion()})
		again := registration("skipped", "created", "r-32", "mia@viewer.example", time.Time{}, nil)
		r.Send(again)
		r.Quiet()
		require.Equal(t, []string{"identity SKIPPED(FLOW_SKIPPED)"}, r.Ended("skipped", again.ID))
		require.Len(t, r.Records("skipped", "Lead"), 1)
	})

	t.Run("WhatAFieldNeedsIsToldOf", func(t *testing.T) {
		t.Attr("requirement", "HOPIN-12")
		without := registration("acme", "created", "r-40", "zoe@viewer.example", now, map[string]any{"company": nil})
		r.Send(without)
		r.Quiet()
		require.Contains(t, r.Ended("acme", without.ID), "mapping FAILED(REQUIRED_FIELD_MISSING)")
	})

	t.Run("ATraceTellsTheWholeWay", func(t *testing.T) {
		traced := registration("acme", "created", "r-50", "mia@viewer.example", now, map[string]any{"lastName": strings.Repeat("L", 100)})
		r.Send(traced)
		r.Quiet()
		p := &platform{Rig: r.Rig, process: r.process}
		j, text := p.follow("acme", traced.ID)
		require.Len(t, j.Writes, 1)
		require.Equal(t, streamv1.Operation_OPERATION_UPSERT, j.Writes[0].Write.GetOperation())
		for _, want := range []string{"accepted: registration", "VALUE_TRUNCATED LastName", "WRITTEN Lead"} {
			require.Contains(t, text, want)
		}
		require.NotContains(t, text, "mia@")
	})

	t.Run("WhatThePersonSaidTravelsSealed", func(t *testing.T) {
		for _, name := range []string{topic.Activities, topic.Visits, topic.Engagements, topic.Resolved, topic.Writes, topic.Outcomes} {
			records := r.Topic(name)
			require.NotEmpty(t, records, name)
			for _, rec := range records {
				require.NotContains(t, string(rec.Value), "Planted", name)
				require.NotContains(t, string(rec.Key), "viewer.example", name)
			}
		}
	})
}
