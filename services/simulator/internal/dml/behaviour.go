package dml

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// behave applies what the platform does to records of standard objects before it stores them.
func (w *Writer) behave(o *schema.Object, rec, old *record.Record) *Error {
	if old != nil && o.Name == "Lead" && !w.Import && old.True(o.Slot("IsConverted")) {
		return refuse(codeConverted, "cannot reference converted lead")
	}
	if err := w.owner(o, rec, old); err != nil {
		return err
	}
	switch o.Name {
	case "Lead", "Contact", "User":
		w.compound(o, rec)
	case "Task":
		return w.task(o, rec)
	case "CampaignMember":
		return w.member(o, rec, old)
	case "Opportunity":
		stage := record.Fold(rec.Text(o.Slot("StageName")))
		rec.Values[o.Slot("IsWon")] = stage == "closed won"
		rec.Values[o.Slot("IsClosed")] = stage == "closed won" || stage == "closed lost"
	}
	return nil
}

// compound fills Name from its parts, in the order of the org's language.
func (w *Writer) compound(o *schema.Object, rec *record.Record) {
	first, last := rec.Text(o.Slot("FirstName")), rec.Text(o.Slot("LastName"))
	if strings.HasPrefix(w.Rules.Language, "ja") {
		first, last = last, first
	}
	rec.Values[o.Slot("Name")] = strings.TrimSpace(first + " " + last)
}

// owner refuses owners that cannot own: users who are no longer active, and queues where the object has none.
func (w *Writer) owner(o *schema.Object, rec, old *record.Record) *Error {
	f, ok := o.Field("OwnerId")
	if !ok {
		return nil
	}
	id := rec.Text(f.Slot)
	if id == "" {
		rec.Values[f.Slot] = w.User
		return nil
	}
	if old != nil && old.Text(f.Slot) == id {
		return nil
	}
	target, kind := w.target(f, id)
	if target == nil {
		return nil // refused as a reference when it was written
	}
	if kind.Name == "Group" {
		if o.Name == "Task" && !w.Rules.TaskQueues {
			return refuse(codeIntegrity, "Queue not associated with this SObject type", f.Name)
		}
		return nil
	}
	if !w.Import && !target.True(kind.Slot("IsActive")) {
		return refusef(codeInactiveOwner, nil, "operation performed with inactive user [%s] as owner of %s", sfid.Short(id), strings.ToLower(o.Label))
	}
	return nil
}

func (w *Writer) task(o *schema.Object, rec *record.Record) *Error {
	who, what := rec.Text(o.Slot("WhoId")), rec.Text(o.Slot("WhatId"))
	if sfid.Prefix(who) == "00Q" && what != "" {
		return refuse(codeIntegrity, "Related To ID: a task of a lead cannot be related to another record", "WhatId")
	}
	closed := record.Fold(rec.Text(o.Slot("Status"))) == "completed"
	rec.Values[o.Slot("IsClosed")] = closed
	rec.Values[o.Slot("IsHighPriority")] = record.Fold(rec.Text(o.Slot("Priority"))) == "high"
	completed := o.Slot("CompletedDateTime")
	switch {
	case !closed:
		rec.Values[completed] = nil
	case rec.Values[completed] == nil:
		rec.Values[completed] = w.Now
	}
	rec.Values[o.Slot("AccountId")] = w.accountOf(who, what)
	return nil
}

// accountOf derives a task's account: from what it is related to, else from the contact.
func (w *Writer) accountOf(who, what string) record.Value {
	for _, id := range []string{what, who} {
		o, ok := w.Schema.ByPrefix(sfid.Prefix(id))
		if !ok {
			continue
		}
		if o.Name == "Account" {
			return id
		}
		f, ok := o.Field("AccountId")
		if !ok {
			f, ok = o.Field("Account__c")
		}
		if !ok {
			continue
		}
		if rec, found := w.Data.Table(o).Get(id); found && rec.Get(f.Slot) != nil {
			return rec.Get(f.Slot)
		}
	}
	return nil
}

// afterInsert does what follows from a new record.
func (w *Writer) afterInsert(o *schema.Object, rec *record.Record) *Error {
	switch o.Name {
	case "Account":
		return w.makePerson(o, rec)
	case "Campaign":
		return w.defaultStatuses(rec.ID())
	case "CampaignMember":
		w.count(o, rec, 1)
	}
	return nil
}
