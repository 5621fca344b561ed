package integration

import (
	"slices"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// An action with SCOPE_PERSON makes the Lead, Contact or person account of somebody whom the org does not know (XC-41).

// addressField is where an object that can be a person has their address.
var addressField = map[string]string{"Lead": "Email", "Contact": "Email", "Account": "PersonEmail"}

// viewerEmail is the path of the viewer's address.
const viewerEmail = "viewer.email"

func makesPerson(a *configv1.Action) bool { return a.GetScope() == configv1.Scope_SCOPE_PERSON }

// checkPerson makes sure that a person is made once, and found from then on.
func (c *compiler) checkPerson(path string, a *configv1.Action) {
	field, ok := addressField[a.GetObject()]
	if !ok {
		c.add(path+".object", "a person is a Lead, a Contact or, in an org with person accounts, an Account")
		return
	}
	if a.GetOperation() != configv1.ActionOperation_ACTION_OPERATION_UPSERT {
		c.add(path+".operation", "use ACTION_OPERATION_UPSERT with an external id field of %s: a person whose making was not "+
			"confirmed must be recognised", a.GetObject())
	}
	if a.GetWriteUnmatched() {
		c.add(path+".write_unmatched", "a person is only ever made of somebody who was not found; leave this out")
	}
	if !slices.ContainsFunc(a.GetFields(), func(m *configv1.FieldMapping) bool {
		return m.GetField() == field && m.GetPath() == viewerEmail
	}) {
		c.add(path+".fields", "set %s from the path %s; without it the person would not be found by the address afterwards", field, viewerEmail)
	}
}

// matched reports whether a Lead or Contact stands for the viewer.
func (f *frame) matched() bool {
	return f.person != nil || f.resolution.GetLead() != nil || f.resolution.GetContact() != nil
}

// nobodyYet refuses to make a person of somebody who has a record already that only may not be chosen, such as a converted Lead
// whose Contact is hidden from us: another one would be a double.
func (f *frame) nobodyYet() *refusal {
	for _, c := range f.resolution.GetCandidates() {
		if c.GetObject() == "Lead" || c.GetObject() == "Contact" {
			return &refusal{
				reason: streamv1.Reason_REASON_NO_MATCH,
				detail: "the org has a " + c.GetObject() + " with the address that may not be chosen (" + c.GetRule() + "), so nobody was made",
			}
		}
	}
	return nil
}
