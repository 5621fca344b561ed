package integration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

const spring = "701SM0000012abCYAQ"

// member is a valid integration that adds the viewer to a campaign.
func member(fields ...*configv1.FieldMapping) *configv1.Integration {
	i := rule(fields...)
	i.Trigger = configv1.Trigger_TRIGGER_VISIT_CLOSED
	i.Actions[0] = &configv1.Action{
		Name: "member", Object: "CampaignMember", Operation: configv1.ActionOperation_ACTION_OPERATION_INSERT,
		Scope: configv1.Scope_SCOPE_ENGAGEMENT, Fields: fields,
	}
	return i
}

func TestACampaignMemberIsThePersonThatWasFound(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-40") // no status is set: the campaign's default
	for object, field := range map[string]string{"Lead": "LeadId", "Contact": "ContactId"} {
		in := integrationtest.Document()
		person := in.Resolved.GetResolution().GetPerson()
		person.Object = object
		fields, r := write(t, member(constant("CampaignId", spring)), in)
		require.Equal(t, map[string]any{"CampaignId": spring, field: person.GetRecordId()}, fields, "and no status: the campaign's default")
		require.Equal(t, spring, r.LockParent)
		id, ok := r.Membership()
		require.True(t, ok)
		require.Equal(t, integration.Identity{Field: field, Text: person.GetRecordId(), ScopeField: "CampaignId", ScopeValue: spring}, id)
		require.Equal(t, "ContactId", r.Links[0].GetContactField(), "a Lead that is converted gives way to its Contact")
	}
	nobody := integrationtest.Document()
	nobody.Resolved.Resolution = &streamv1.Resolution{Reason: streamv1.Reason_REASON_MULTI_MATCH}
	require.Equal(t, streamv1.Reason_REASON_MULTI_MATCH, refused(t, member(constant("CampaignId", spring)), nobody).Reason)
}

// Whatever letters an id has: its 15-character form is refused with the 18-character one to take, and no id of 18 characters with
// one letter's case changed is let through.
func TestOnlyTheFullIdOfACampaignIsTaken(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-38")
	rapid.Check(t, func(t *rapid.T) {
		short := "701" + rapid.StringMatching(`[A-Za-z0-9]{12}`).Draw(t, "id")
		_, err := integration.Compile(member(constant("CampaignId", short)))
		require.ErrorContains(t, err, "BAD_CAMPAIGN_ID")
		_, full, ok := strings.Cut(err.Error(), "use ")
		require.True(t, ok, err)
		full = full[:18]
		_, err = integration.Compile(member(constant("CampaignId", full)))
		require.NoError(t, err)
		pasted := member(constant("CampaignId", "https://acme.lightning.force.com/lightning/r/Campaign/"+short+"/view"))
		integration.ReduceCampaigns(pasted)
		require.Equal(t, full, pasted.GetActions()[0].GetFields()[0].GetConstant().GetText())

		at := rapid.IntRange(3, 14).Draw(t, "at")
		swapped := []byte(full)
		if swapped[at] |= 0x20; string(swapped) == full {
			swapped[at] &^= 0x20
		}
		if full[at] >= '0' && full[at] <= '9' {
			t.Skip("a digit has no case")
		}
		_, err = integration.Compile(member(constant("CampaignId", string(swapped))))
		require.ErrorContains(t, err, "BAD_CAMPAIGN_ID")
	})
}

func TestACampaignThatIsNoneIsRefusedOnSave(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-38")
	for name, c := range map[string]struct {
		i       *configv1.Integration
		problem string
	}{
		"15 characters":  {member(constant("CampaignId", spring[:15])), "actions[0].fields[0]: BAD_CAMPAIGN_ID: a campaign's id has 18 characters, this is the form with 15; use " + spring},
		"checksum":       {member(constant("CampaignId", "701SM0000012abCYAA")), "BAD_CAMPAIGN_ID"},
		"another object": {member(constant("CampaignId", "00QSM000000pQrS2AU")), "BAD_CAMPAIGN_ID"},
		"not constant":   {member(path("CampaignId", "content.title")), "BAD_CAMPAIGN_ID"},
		"none":           {member(), "actions[0].fields: a campaign member needs the constant CampaignId"},
		"person":         {member(constant("CampaignId", spring), path("LeadId", "resolution.lead.record_id")), "set by itself"},
	} {
		_, err := integration.Compile(c.i)
		require.ErrorContains(t, err, c.problem, name)
	}
	raises := member(constant("CampaignId", spring), constant("Status", "Attended"))
	raises.Actions[0].RaiseStatus = true
	_, err := integration.Compile(raises)
	require.NoError(t, err)
	raises.Actions[0].Fields = raises.Actions[0].GetFields()[:1]
	_, err = integration.Compile(raises)
	require.ErrorContains(t, err, "actions[0].raise_status: the action sets no Status")
	task := rule(constant("Status", "Done"))
	task.Actions[0].RaiseStatus = true
	_, err = integration.Compile(task)
	require.ErrorContains(t, err, "actions[0].raise_status: only an action that adds people to a campaign")

	i := member(constant("CampaignId", spring))
	i.Actions[0].MarkerField, i.Actions[0].WriteUnmatched, i.Actions[0].Assignment = "Description", true, &configv1.Assignment{}
	_, err = integration.Compile(i)
	for _, problem := range []string{"marker_field", "write_unmatched", "assignment"} {
		require.ErrorContains(t, err, "actions[0]."+problem)
	}
}
