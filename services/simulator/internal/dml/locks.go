package dml

import (
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Locks returns the ids of the records that Salesforce locks while it writes the input: the record itself, and the parents
// that its object is known to lock. Tasks that are open and dated lock the person and what they are related to; campaign
// members the campaign and the person; contacts and opportunities their account.
func (in *Input) Locks(op Op, data Data) []string {
	old := in.existing(op, data)
	var ids []string
	if old != nil {
		ids = append(ids, old.ID())
	}
	var parents []string
	switch in.Object.Name {
	case "Task":
		if old != nil || (in.text("Status", nil) != "Completed" && in.given("ActivityDate")) {
			parents = []string{"WhoId", "WhatId", "AccountId"}
		}
	case "CampaignMember":
		if old == nil {
			parents = []string{"CampaignId", "LeadId", "ContactId"}
		}
	case "Contact", "Opportunity":
		if old == nil {
			parents = []string{"AccountId"}
		}
	}
	for _, name := range parents {
		if id, err := sfid.Long(in.text(name, old)); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// existing finds the record that the input is about, or nil for a new one.
func (in *Input) existing(op Op, data Data) *record.Record {
	t := data.Table(in.Object)
	if op == Upsert && in.Key != nil && in.Key.Type != schema.ID {
		rec, _ := t.First(in.Key.Slot, in.Key.Key(in.KeyValue))
		return rec
	}
	id := in.ID
	if op == Upsert {
		id = in.KeyValue
	}
	long, err := sfid.Long(id)
	if err != nil {
		return nil
	}
	rec, _ := t.Get(long)
	return rec
}

func (in *Input) given(name string) bool {
	for _, c := range in.cells {
		if c.field.Name == name {
			return c.value != nil
		}
	}
	return false
}

// text returns a field of the input, or of the record as it was.
func (in *Input) text(name string, old *record.Record) string {
	for _, c := range in.cells {
		if c.field.Name == name {
			s, _ := c.value.(string)
			return s
		}
	}
	if old != nil {
		return old.Text(in.Object.Slot(name))
	}
	return ""
}
