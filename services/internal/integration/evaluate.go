package integration

import (
	"fmt"
	"math"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Decision is what a program makes of one input.
type Decision struct {
	// Holds is the condition's answer. When false, Records is empty and Refusals holds at most the condition's fault.
	Holds bool
	// Records are to be written, in the order of their actions.
	Records []Record
	// Refusals are the actions that write nothing, and why.
	Refusals []Refusal
}

// Record is one record to write.
type Record struct {
	// Action asked for it.
	Action *configv1.Action
	// Fields are in ascending order of name, without repeats.
	Fields []*streamv1.FieldValue
	// Volatile names the fields whose change alone is no change worth writing, e.g. the trace id.
	Volatile []string
	// Once is true when the first confirmed write is the last.
	Once bool
	// Business is what the record stands for, as the part of its key that tells it from the action's other records.
	Business string
	// Who and Owner are the ids the assignment chose; empty for none.
	Who, Owner string
	// Activity is true when the object has a WhoId that the assignment decides.
	Activity bool
	// Links are the fields that may hold a Lead; shared between records, not to be changed.
	Links []*streamv1.PersonLink
	// LockParent is the record that Salesforce locks besides this one; empty when unknown.
	LockParent string
	// Warnings name fields and lengths, never values.
	Warnings []string
}

// Refusal is an action that writes nothing.
type Refusal struct {
	// Action is its name; empty when the condition failed and so every action.
	Action string
	// Object is what it would have written.
	Object string
	// Business is what the record would have stood for; see Record.
	Business string
	// Reason is the code.
	Reason streamv1.Reason
	// Failed is true when somebody must correct the integration or its data: FAILED rather than SKIPPED.
	Failed bool
	// Detail is one sentence for a person: what, and what to do next. It quotes no value.
	Detail string
}

// refusal is a Refusal that does not know its action yet.
type refusal struct {
	reason streamv1.Reason
	failed bool
	detail string
}

func identityUnknown() *refusal {
	return &refusal{
		reason: streamv1.Reason_REASON_IDENTITY_UNKNOWN,
		detail: "nobody knows who the viewer was; allow unknown viewers in the action's assignment to tell the owner anyway",
	}
}

func noTarget(what string) *refusal {
	return &refusal{
		reason: streamv1.Reason_REASON_NO_TARGET,
		detail: what + "; nothing was written because there is nobody to tell",
	}
}

// Evaluate decides what one input asks for. It does not look at Applies. Safe for concurrent use.
func (p *Program) Evaluate(in *Input) Decision {
	f := newFrame(in)
	if p.condition != nil {
		holds, err := run(p.condition, f)
		if err != nil {
			return Decision{Refusals: []Refusal{{
				Reason: streamv1.Reason_REASON_MAPPING_INVALID,
				Failed: true,
				Detail: p.at("condition") + ": " + err.Error() + "; correct the condition",
			}}}
		}
		if !holds.flag {
			return Decision{}
		}
	}
	d := Decision{Holds: true}
	for i := range p.actions {
		a := &p.actions[i]
		if a.spec.GetDisabled() {
			continue
		}
		if makesPerson(a.spec) && f.matched() {
			continue // There is nobody to make; it is as if the action were not there.
		}
		record, refused := p.act(f, a)
		if refused != nil {
			d.Refusals = append(d.Refusals, Refusal{
				Action: a.spec.GetName(), Object: a.spec.GetObject(), Business: a.business(f),
				Reason: refused.reason, Failed: refused.failed, Detail: p.at(a.spec.GetName()) + ": " + refused.detail,
			})
			continue
		}
		d.Records = append(d.Records, *record)
	}
	return d
}

// at names the integration, its version and a part of it.
func (p *Program) at(part string) string {
	return fmt.Sprintf("integration %s version %d, %s", p.integration.GetId(), p.integration.GetVersion(), part)
}

// act runs one action.
func (p *Program) act(f *frame, a *action) (*Record, *refusal) {
	f.warnings = nil
	f.useZone(a)
	if refused := p.address(f, a); refused != nil {
		return nil, refused
	}
	f.useAssigneesZone()
	p.speak(f, a)
	r := &Record{
		Action: a.spec, Once: a.once, Business: a.business(f), Who: f.assigned.who, Owner: f.assigned.owner,
		Activity:   a.assignment != nil && a.assignment.linked,
		Links:      a.links,
		LockParent: lockParent(f, a), Fields: make([]*streamv1.FieldValue, 0, len(a.fields)),
	}
	f.sheet = newSheet(len(a.fields))
	for i := range a.fields {
		set, refused := a.fields[i].evaluate(f)
		if refused != nil {
			return nil, refused
		}
		if set == nil {
			continue
		}
		r.Fields = append(r.Fields, set)
		if a.fields[i].volatile {
			r.Volatile = append(r.Volatile, a.fields[i].name)
		}
	}
	r.Warnings = f.warnings
	return r, nil
}

// address decides whom the record is about and who owns it, or that there is nobody.
func (p *Program) address(f *frame, a *action) *refusal {
	f.assigned = assigned{}
	if a.assignment != nil {
		decided, refused := a.assignment.decide(f, a.spec.GetWriteUnmatched() || makesPerson(a.spec))
		f.assigned = decided
		if refused == nil && makesPerson(a.spec) {
			return f.nobodyYet()
		}
		return refused
	}
	f.assigned.language = f.person.GetOwnerLanguage()
	if f.viewer.GetEmail() == "" {
		return identityUnknown()
	}
	if makesPerson(a.spec) {
		return f.nobodyYet()
	}
	if f.matched() || a.spec.GetWriteUnmatched() {
		return nil
	}
	reason := f.resolution.GetReason()
	if reason == streamv1.Reason_REASON_UNSPECIFIED {
		reason = streamv1.Reason_REASON_NO_MATCH
	}
	return &refusal{reason: reason, detail: "no Lead or Contact stands for the viewer in this org; " +
		"create one, or let the action write unmatched viewers too"}
}

// speak picks the language: the integration's, else the reader's, else the workspace's, else English (XC-34).
func (p *Program) speak(f *frame, a *action) {
	for _, key := range [...]string{p.language, f.assigned.language, f.input.Language} {
		if key == "" {
			continue
		}
		l, ok := parseLanguage(key)
		f.language = l
		if !ok && hasTemplate(a.spec) {
			f.warn("no texts in the reader's language; English was used")
		}
		return
	}
	f.language = english
}

func hasTemplate(a *configv1.Action) bool {
	return slices.ContainsFunc(a.GetFields(), func(m *configv1.FieldMapping) bool { return m.GetTemplate() != nil })
}

// lockParent is what Salesforce locks besides the record: the Account of the Contact it hangs on. An activity locks the
// person it is about where there is no Account, a campaign member its campaign.
func lockParent(f *frame, a *action) string {
	if isMembership(a.spec) {
		return campaign(a.spec) // its counters change with every member
	}
	if a.assignment == nil {
		return f.resolution.GetContact().GetAccountId()
	}
	if account := f.person.GetAccountId(); account != "" && f.assigned.who != "" {
		return account
	}
	return f.assigned.who
}

// evaluate yields the field to set, or nil to leave it as it is.
func (t *field) evaluate(f *frame) (*streamv1.FieldValue, *refusal) {
	out, err := t.eval(f, t.limit)
	if err != nil {
		return nil, t.refuse(streamv1.Reason_REASON_MAPPING_INVALID, err.Error()+"; correct the mapping")
	}
	if out.kind == text && !out.fitted {
		out.text, out.cutFrom = fit(f.clean(out.text, false), t.limit)
	}
	if out.kind == text && strings.TrimSpace(out.text) == "" {
		out.value = value{}
	}
	if out.cutFrom > 0 {
		if t.tooLong == configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL {
			return nil, t.refuse(streamv1.Reason_REASON_MAPPING_INVALID, fmt.Sprintf("the text has %d characters, the field takes %d, "+
				"and the mapping says that it must not be cut; shorten the text or relax on_too_long", out.cutFrom, t.limit))
		}
		f.warn("VALUE_TRUNCATED %s: %d characters cut to %d", t.name, out.cutFrom, units(out.text))
	}
	switch {
	case out.kind == number && (math.IsNaN(out.number) || math.IsInf(out.number, 0)):
		return nil, t.refuse(streamv1.Reason_REASON_TYPE_MISMATCH, "the value is not a finite number; correct the mapping")
	case out.kind != absent || t.policy == configv1.NullPolicy_NULL_POLICY_CLEAR:
		return f.sheet.add(t.name, out.value), nil
	case t.policy == configv1.NullPolicy_NULL_POLICY_FAIL:
		return nil, t.refuse(streamv1.Reason_REASON_REQUIRED_FIELD_MISSING,
			"no value, and the mapping says that the record needs one; complete the data or relax null_policy")
	default:
		return nil, nil
	}
}

func (t *field) refuse(reason streamv1.Reason, what string) *refusal {
	return &refusal{reason: reason, failed: true, detail: fmt.Sprintf("field %s (%s): %s", t.name, t.path, what)}
}

// Mark appends the marker line of an insert to its field, which has kept room for it. The line is the last one.
func (r *Record) Mark(line string) {
	name := r.Action.GetMarkerField()
	at, found := slices.BinarySearchFunc(r.Fields, name, func(f *streamv1.FieldValue, n string) int {
		return strings.Compare(f.GetField(), n)
	})
	if !found {
		r.Fields = slices.Insert(r.Fields, at, &streamv1.FieldValue{Field: name})
	}
	if body := r.Fields[at].GetText(); body != "" {
		line = body + "\n" + line
	}
	r.Fields[at].Value = &streamv1.FieldValue_Text{Text: line}
}
