package integration

import (
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// assignment decides whom a record is about and who owns it.
type assignment struct {
	spec  *configv1.Assignment
	chain []configv1.Assignee
	// linked is true for activities, the only objects that have a WhoId.
	linked bool
}

func newAssignment(spec *configv1.Assignment, object string) *assignment {
	chain := spec.GetChain()
	if len(chain) == 0 {
		chain = []configv1.Assignee{configv1.Assignee_ASSIGNEE_RECORD_OWNER}
	}
	return &assignment{spec: spec, chain: chain, linked: object == "Task" || object == "Event"}
}

// WhoField is the field that links an activity to a person; an assignment sets it.
const WhoField = "WhoId"

const ownerField = "OwnerId"

// assigned is what an assignment decided; empty ids mean nobody.
type assigned struct {
	who, owner string
	// language is the locale key of whoever will read the record; empty when unknown.
	language string
}

// fields returns the fields that the assignment sets. An absent one is omitted, so that Salesforce applies its own
// default (IMM-34).
func (a *assignment) fields(path string) []field {
	set := func(name string, id func(assigned) string) field {
		return field{name: name, path: path + ".assignment", limit: defaultLimit, eval: func(f *frame, _ int) (result, error) {
			return result{value: textValue(id(f.assigned))}, nil
		}}
	}
	fields := []field{set(ownerField, func(d assigned) string { return d.owner })}
	if a.linked {
		fields = append(fields, set(WhoField, func(d assigned) string { return d.who }))
	}
	return fields
}

// decide applies IMM-27 to IMM-30, IMM-34 and IMM-36. unmatched lets the record be written for nobody.
func (a *assignment) decide(f *frame, unmatched bool) (assigned, *refusal) {
	known := f.viewer.GetEmail() != ""
	if !known && !a.forUnknown() {
		return assigned{}, identityUnknown()
	}
	d := assigned{}
	if known {
		d.who = f.person.GetRecordId()
	}
	why := a.choose(f, known, &d)
	if d.owner == "" && d.who != "" && a.spec.GetRequireAssignee() {
		// IMM-34: the administrator treats "person only" as nobody.
		return assigned{}, noTarget("a person but no assignee (" + why + "), and this rule requires one")
	}
	if d.owner == "" && d.who == "" && !unmatched {
		return assigned{}, noTarget("neither a person (" + personReason(f) + ") nor an assignee (" + why + ")")
	}
	return d, nil
}

// forUnknown tells whether records are made for viewers without an address: by choice, and for the owner of the
// document only (IMM-36).
func (a *assignment) forUnknown() bool {
	if !a.spec.GetUnknownViewers() {
		return false
	}
	for _, link := range a.chain {
		if link == configv1.Assignee_ASSIGNEE_CONTENT_OWNER {
			return true
		}
	}
	return false
}

// choose walks the chain and takes the first usable owner. It returns why the links before it were not usable.
func (a *assignment) choose(f *frame, known bool, d *assigned) string {
	var why []string
	for n, link := range a.chain {
		id, language, reason := a.try(f, link, known)
		if reason == streamv1.Reason_REASON_UNSPECIFIED {
			d.owner, d.language = id, language
			if n > 0 {
				f.warn("assignee: %s, because %s", linkNames[link], strings.Join(why, ", "))
			}
			return ""
		}
		why = append(why, linkNames[link]+": "+reasonName(reason))
	}
	if d.who != "" {
		f.warn("no assignee: %s", strings.Join(why, ", "))
	}
	return strings.Join(why, ", ")
}

var linkNames = map[configv1.Assignee]string{
	configv1.Assignee_ASSIGNEE_CONTENT_OWNER: "document owner",
	configv1.Assignee_ASSIGNEE_RECORD_OWNER:  "record owner",
}

// try asks one link of the chain; a reason means that it has nobody usable.
func (a *assignment) try(f *frame, link configv1.Assignee, known bool) (id, language string, reason streamv1.Reason) {
	if link == configv1.Assignee_ASSIGNEE_CONTENT_OWNER {
		owner := f.resolution.GetContentOwner()
		if owner.GetRecordId() != "" {
			return owner.GetRecordId(), owner.GetOwnerLanguage(), streamv1.Reason_REASON_UNSPECIFIED
		}
		if reason = f.resolution.GetOwnerReason(); reason == streamv1.Reason_REASON_UNSPECIFIED {
			reason = streamv1.Reason_REASON_OWNER_NOT_FOUND
		}
		return "", "", reason
	}
	if !known || f.person.GetRecordId() == "" {
		return "", "", streamv1.Reason_REASON_NO_MATCH
	}
	return a.recordOwner(f.person)
}

// recordOwner applies IMM-30 to the owner of the matched record.
func (a *assignment) recordOwner(person *streamv1.Person) (id, language string, reason streamv1.Reason) {
	id = person.GetOwnerId()
	switch {
	case id == "":
		return "", "", streamv1.Reason_REASON_OWNER_NOT_FOUND
	case strings.HasPrefix(id, "00G"):
		if !a.spec.GetQueuesAllowed() {
			return "", "", streamv1.Reason_REASON_OWNER_IS_QUEUE
		}
	case !person.GetOwnerActive():
		return "", "", streamv1.Reason_REASON_OWNER_INACTIVE
	}
	return id, person.GetOwnerLanguage(), streamv1.Reason_REASON_UNSPECIFIED
}

// reasonName is the code that people see.
func reasonName(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }

func personReason(f *frame) string {
	if r := f.resolution.GetReason(); r != streamv1.Reason_REASON_UNSPECIFIED {
		return reasonName(r)
	}
	return reasonName(streamv1.Reason_REASON_NO_MATCH)
}
