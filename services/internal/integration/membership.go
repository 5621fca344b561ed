package integration

import (
	"fmt"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// A campaign member needs no external id and no marker: Salesforce allows one per campaign and person, so that the two ids
// recognise it. Facts: Object Reference, "CampaignMember".
const (
	memberObject   = "CampaignMember"
	campaignField  = "CampaignId"
	leadField      = "LeadId"
	contactField   = "ContactId"
	campaignPrefix = "701"
	// idLength is that of the form with a checksum, which catches a mistyped id.
	idLength = 18
)

// isMembership reports whether an action adds the person to a campaign.
func isMembership(a *configv1.Action) bool {
	return a.GetObject() == memberObject && a.GetOperation() == configv1.ActionOperation_ACTION_OPERATION_INSERT
}

// checkMembership makes sure that the campaign is one (IMM-38), and that nothing else decides who the member is.
func (c *compiler) checkMembership(path string, a *configv1.Action) {
	if a.GetMarkerField() != "" {
		c.add(path+".marker_field", "a campaign member is recognised by its campaign and person; leave this empty")
	}
	if a.GetAssignment() != nil {
		c.add(path+".assignment", "a campaign member has no owner; leave this out")
	}
	if a.GetWriteUnmatched() {
		c.add(path+".write_unmatched", "a campaign member is a Lead or a Contact; without one there is nothing to write")
	}
	found := false
	for n, f := range a.GetFields() {
		switch f.GetField() {
		case campaignField:
			found = true
			if _, err := campaignID(f); err != nil {
				c.add(fieldPath(path, n), "BAD_CAMPAIGN_ID: %s", err)
			}
		case leadField, contactField:
			c.add(fieldPath(path, n)+".field", "%s is set by itself, to the person that was found", f.GetField())
		}
	}
	if !found {
		c.add(path+".fields", "a campaign member needs the constant %s, the campaign's 18-character id", campaignField)
	}
}

// campaignID returns the campaign that a mapping names.
func campaignID(f *configv1.FieldMapping) (string, error) {
	id := f.GetConstant().GetText()
	if len(id) != idLength {
		return "", fmt.Errorf("a campaign's id has %d characters, this has %d", idLength, len(id))
	}
	return salesforce.ID(id, campaignPrefix)
}

// memberFields set the person: exactly one of LeadId and ContactId.
func memberFields(path string) []field {
	person := func(name, object string) field {
		return field{name: name, path: path + ".person", limit: defaultLimit, eval: func(f *frame, _ int) (result, error) {
			if f.person.GetObject() != object {
				return result{}, nil
			}
			return result{value: textValue(f.person.GetRecordId())}, nil
		}}
	}
	return []field{person(contactField, "Contact"), person(leadField, "Lead")}
}

// memberLinks let the writer add the Contact that a Lead became.
func memberLinks() []*streamv1.PersonLink {
	return []*streamv1.PersonLink{{Field: leadField, ContactField: contactField}}
}

// campaign returns the constant campaign of a membership.
func campaign(a *configv1.Action) string {
	for _, f := range a.GetFields() {
		if f.GetField() == campaignField {
			return f.GetConstant().GetText()
		}
	}
	return ""
}

// Identity is how an insert is found again after a lost answer: the text in Field, among the records whose ScopeField has
// ScopeValue.
type Identity struct{ Field, Text, ScopeField, ScopeValue string }

// Membership returns the identity of a campaign member; ok is false for other records.
func (r *Record) Membership() (id Identity, ok bool) {
	if !isMembership(r.Action) {
		return Identity{}, false
	}
	id = Identity{ScopeField: campaignField, ScopeValue: campaign(r.Action)}
	for _, f := range r.Fields {
		if f.GetField() == leadField || f.GetField() == contactField {
			id.Field, id.Text = f.GetField(), f.GetText()
		}
	}
	return id, true
}
