package integration

import (
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// The paths whose value may be the id of a Lead, and the one of the Contact beside it.
const (
	personPath  = "person.record_id"
	leadPath    = "resolution.lead.record_id"
	contactPath = "resolution.contact.record_id"
)

// personLinks tells which of an action's fields may hold a Lead, and which field takes the Contact that the Lead becomes
// if it is converted before the record is written (IMM-35, LOOM-35).
func personLinks(spec *configv1.Action, assign *assignment) []*streamv1.PersonLink {
	var links []*streamv1.PersonLink
	if assign != nil && assign.linked {
		links = append(links, &streamv1.PersonLink{Field: WhoField, ContactField: WhoField})
	}
	contact := ""
	for _, m := range spec.GetFields() {
		if m.GetPath() == contactPath {
			contact = m.GetField()
		}
	}
	for _, m := range spec.GetFields() {
		switch m.GetPath() {
		case personPath:
			links = append(links, &streamv1.PersonLink{Field: m.GetField(), ContactField: m.GetField()})
		case leadPath:
			links = append(links, &streamv1.PersonLink{Field: m.GetField(), ContactField: contact})
		}
	}
	return links
}
