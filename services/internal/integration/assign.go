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
	// fixed is the id of the user that FIXED_USER stands for.
	fixed string
	// linked is true for activities, the only objects that have a WhoId.
	linked bool
	// unknown is true when records are made for viewers without an address (IMM-36).
	unknown bool
}

func newAssignment(a *configv1.Action, trigger configv1.Trigger) *assignment {
	spec := a.GetAssignment()
	chain := spec.GetChain()
	if len(chain) == 0 {
		chain = []configv1.Assignee{configv1.Assignee_ASSIGNEE_RECORD_OWNER}
	}
	fixed, _ := FixedUser(spec)
	return &assignment{
		spec: spec, chain: chain, fixed: fixed, unknown: tellsUnknown(a, trigger),
		linked: a.GetObject() == "Task" || a.GetObject() == "Event",
	}
}

// WhoField is the field that links an activity to a person; an assignment sets it.
const WhoField = "WhoId"

const ownerField = "OwnerId"

// assigned is what an assignment decided; empty ids mean nobody.
type assigned struct {
	who, owner string
	// language is the locale key of whoever will read the record, timeZone their zone (IANA); empty when unknown.
	language, timeZone string
}

// assign makes a user or the owner of a record the assignee.
func (d *assigned) assign(owner *streamv1.Person) {
	d.owner, d.language, d.timeZone = owner.GetOwnerId(), owner.GetOwnerLanguage(), owner.GetOwnerTimeZone()
}

// fields returns the fields that the assignment sets. An absent one is omitted, so that Salesforce applies its own
// default (IMM-34).
func (a *assignment) fields(path string) []field {
	set := func(name string, id func(assigned) string) field {
		f := field{name: name, path: path + ".assignment", limit: defaultLimit, given: given{kind: ValueText, own: true}}
		f.eval = func(f *frame, _ int) (result, error) { return result{value: textValue(id(f.assigned))}, nil }
		return f
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
	if !known && !a.unknown {
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

// choose walks the chain and takes the first usable owner. It notes which link decided where there was a choice
// (IMM-29), and returns why no link was usable.
func (a *assignment) choose(f *frame, known bool, d *assigned) string {
	var why []string
	for n, link := range a.chain {
		owner, reason := a.try(f, link, known)
		if reason == streamv1.Reason_REASON_UNSPECIFIED {
			d.assign(owner)
			switch {
			case n > 0:
				f.warn("assignee: %s, because %s", linkNames[link], strings.Join(why, ", "))
			case len(a.chain) > 1:
				f.warn("assignee: %s, the first of the chain", linkNames[link])
			}
			if owner.GetOneOfSeveral() {
				f.warn("several active users have the %s's address; the one who logged in last was taken", linkNames[link])
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
	configv1.Assignee_ASSIGNEE_FIXED_USER:    "fixed user",
	configv1.Assignee_ASSIGNEE_ACCOUNT_OWNER: "account owner",
}

// try asks one link of the chain; a reason means that it has nobody usable.
func (a *assignment) try(f *frame, link configv1.Assignee, known bool) (owner *streamv1.Person, reason streamv1.Reason) {
	switch link {
	case configv1.Assignee_ASSIGNEE_CONTENT_OWNER:
		if owner = f.resolution.GetContentOwner(); owner.GetRecordId() != "" {
			return owner, streamv1.Reason_REASON_UNSPECIFIED
		}
		if reason = f.resolution.GetOwnerReason(); reason == streamv1.Reason_REASON_UNSPECIFIED {
			reason = streamv1.Reason_REASON_OWNER_NOT_FOUND
		}
		return nil, reason
	case configv1.Assignee_ASSIGNEE_FIXED_USER:
		return a.fixedUser(f)
	case configv1.Assignee_ASSIGNEE_ACCOUNT_OWNER:
		if f.resolution.GetAccount().GetRecordId() == "" {
			return nil, streamv1.Reason_REASON_NO_MATCH
		}
		return a.recordOwner(f.resolution.GetAccount())
	default:
		if !known || f.person.GetRecordId() == "" {
			return nil, streamv1.Reason_REASON_NO_MATCH
		}
		return a.recordOwner(f.person)
	}
}

// fixedUser passes over a user who was deleted or made inactive since the rule was saved (IMM-29).
func (a *assignment) fixedUser(f *frame) (*streamv1.Person, streamv1.Reason) {
	for _, user := range f.resolution.GetFixedUsers() {
		switch {
		case user.GetRecordId() != a.fixed:
		case !user.GetOwnerActive():
			return nil, streamv1.Reason_REASON_OWNER_INACTIVE
		default:
			return user, streamv1.Reason_REASON_UNSPECIFIED
		}
	}
	return nil, streamv1.Reason_REASON_OWNER_NOT_FOUND
}

// recordOwner applies IMM-30 to the owner of the matched record or account.
func (a *assignment) recordOwner(person *streamv1.Person) (*streamv1.Person, streamv1.Reason) {
	switch id := person.GetOwnerId(); {
	case id == "":
		return nil, streamv1.Reason_REASON_OWNER_NOT_FOUND
	case strings.HasPrefix(id, "00G"):
		if !a.spec.GetQueuesAllowed() {
			return nil, streamv1.Reason_REASON_OWNER_IS_QUEUE
		}
	case !person.GetOwnerActive():
		return nil, streamv1.Reason_REASON_OWNER_INACTIVE
	}
	return person, streamv1.Reason_REASON_UNSPECIFIED
}

// reasonName is the code that people see.
func reasonName(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }

func personReason(f *frame) string {
	if r := f.resolution.GetReason(); r != streamv1.Reason_REASON_UNSPECIFIED {
		return reasonName(r)
	}
	return reasonName(streamv1.Reason_REASON_NO_MATCH)
}
