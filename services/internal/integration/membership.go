package integration

import (
	"fmt"
	"regexp"
	"strings"

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
	statusField    = "Status"
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
	found, status := false, false
	for n, f := range a.GetFields() {
		switch f.GetField() {
		case statusField:
			status = true
		case campaignField:
			found = true
			if _, err := campaignID(f); err != nil {
				c.add(fieldPath(path, n), "BAD_CAMPAIGN_ID: %s", err)
			}
		case leadField, contactField:
			c.add(fieldPath(path, n)+".field", "%s is set by itself, to the person that was found", f.GetField())
		}
	}
	if a.GetRaiseStatus() && !status {
		c.add(path+".raise_status", "the action sets no Status, so there is none to raise anybody to; map Status or leave this out")
	}
	if !found {
		c.add(path+".fields", "a campaign member needs the constant %s, the campaign's 18-character id", campaignField)
	}
}

// prefixes are the key prefixes of records that people take for campaigns. Source: Salesforce Help, "Standard Field Record ID
// Prefix Decoder".
var prefixes = map[string]string{
	"001": "an Account", "003": "a Contact", "005": "a User", "006": "an Opportunity", "00Q": "a Lead", "00v": "a CampaignMember",
	"00T": "a Task", "00U": "an Event", "00O": "a Report", "00G": "a Group or queue", "01Y": "a CampaignMemberStatus", "500": "a Case",
}

// pastedID finds the id in a record's address, whatever object it is of.
var pastedID = regexp.MustCompile(`^https?://[^/]+/(?:.*/)?([A-Za-z0-9]{18}|[A-Za-z0-9]{15})(?:[/?#].*)?$`)

// otherObject says of what object an id is that is no campaign's; ok is false when it could be one, or is no id.
func otherObject(id string) (what string, ok bool) {
	if m := pastedID.FindStringSubmatch(strings.TrimSpace(id)); m != nil {
		id = m[1]
	}
	if _, err := salesforce.ID(id, ""); err != nil || strings.HasPrefix(id, campaignPrefix) {
		return "", false
	}
	prefix := id[:len(campaignPrefix)]
	if what, ok = prefixes[prefix]; !ok {
		what = "another object, whose ids begin with " + prefix
	}
	return what, true
}

// campaignID returns the campaign that a mapping names.
func campaignID(f *configv1.FieldMapping) (string, error) {
	id := f.GetConstant().GetText()
	if what, other := otherObject(id); other {
		return "", fmt.Errorf("this is the id of %s; a campaign's begins with %s", what, campaignPrefix)
	}
	full, err := salesforce.ID(id, campaignPrefix)
	switch {
	case len(id) == idLength:
		return full, err
	case err == nil:
		return "", fmt.Errorf("a campaign's id has %d characters, this is the form with %d; use %s", idLength, len(id), full)
	default:
		return "", fmt.Errorf("a campaign's id has %d characters, this has %d", idLength, len(id))
	}
}

// Membership is what an action says about the campaign it adds people to.
type Membership struct {
	// Campaign is the campaign's id, 18 characters; Field the index of the mapping that names it.
	Campaign string
	Field    int
	// Status is the label of the member's status, "" for the campaign's default; StatusField the index of its mapping.
	Status      string
	StatusField int
}

// MembershipOf returns what an action says about its campaign; ok is false when it adds nobody to one that can be told.
func MembershipOf(a *configv1.Action) (m Membership, ok bool) {
	if !isMembership(a) {
		return m, false
	}
	for n, f := range a.GetFields() {
		switch f.GetField() {
		case campaignField:
			if id, err := campaignID(f); err == nil {
				m.Campaign, m.Field, ok = id, n, true
			}
		case statusField:
			m.Status, m.StatusField = f.GetConstant().GetText(), n
		}
	}
	return m, ok
}

// recordAddress is the address of a record's page, in Lightning or Classic, with the id in it.
var recordAddress = regexp.MustCompile(`^https://[^/]+/(?:lightning/r/(?:Campaign/)?)?(701[A-Za-z0-9]{15}|701[A-Za-z0-9]{12})(?:[/?#].*)?$`)

// ReduceCampaigns puts the id in the place of a campaign's address that somebody pasted (IMM-38). It changes i.
func ReduceCampaigns(i *configv1.Integration) {
	for _, a := range i.GetActions() {
		if !isMembership(a) {
			continue
		}
		for _, f := range a.GetFields() {
			if f.GetField() != campaignField {
				continue
			}
			m := recordAddress.FindStringSubmatch(strings.TrimSpace(f.GetConstant().GetText()))
			if m == nil {
				continue
			}
			if id, err := salesforce.ID(m[1], campaignPrefix); err == nil {
				f.Source = &configv1.FieldMapping_Constant{Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: id}}}
			}
		}
	}
}

// memberFields set the person: exactly one of LeadId and ContactId.
func memberFields(path string) []field {
	person := func(name, object string) field {
		f := field{name: name, path: path + ".person", limit: defaultLimit, given: given{kind: ValueText, own: true}}
		f.eval = func(f *frame, _ int) (result, error) {
			if f.person.GetObject() != object {
				return result{}, nil
			}
			return result{value: textValue(f.person.GetRecordId())}, nil
		}
		return f
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
