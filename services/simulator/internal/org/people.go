package org

import (
	"context"
	"errors"
	"fmt"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Convert turns a lead into a contact of an account, which is made when account is empty, and returns the contact's id. As
// in Salesforce the lead stays, can no longer be written, and its open tasks move to the contact.
func (o *Org) Convert(ctx context.Context, lead, account string) (contact string, err error) {
	ticket, err := o.commit(o.system(), func(w *dml.Writer) error {
		w.Import = true
		contact, err = o.convert(w, lead, account)
		return err
	})
	if err != nil || ticket == nil {
		return contact, err
	}
	return contact, ticket.Wait(ctx)
}

// system is the caller for what the org does by itself: its first user.
func (o *Org) system() Caller {
	if users := o.ActiveUsers(1); len(users) > 0 {
		return Caller{UserID: users[0].ID}
	}
	return Caller{}
}

func (o *Org) convert(w *dml.Writer, id, account string) (string, error) {
	leads, _ := o.Schema.Object("Lead")
	lead, ok := o.live(leads, id)
	if !ok || lead.True(leads.Slot("IsConverted")) {
		return "", fmt.Errorf("lead %q is not there or converted already", id)
	}
	get := func(name string) record.Value { return lead.Get(leads.Slot(name)) }
	if account == "" {
		res := w.One(o.input("Account", map[string]record.Value{"Name": get("Company"), "OwnerId": get("OwnerId")}), dml.Insert)
		if res.Failed() {
			return "", res.Errors[0]
		}
		account = res.ID
	}
	res := w.One(o.input("Contact", map[string]record.Value{
		"FirstName": get("FirstName"), "LastName": get("LastName"), "Email": get("Email"), "Phone": get("Phone"),
		"Title": get("Title"), "OwnerId": get("OwnerId"), "AccountId": account,
	}), dml.Insert)
	if res.Failed() {
		return "", res.Errors[0]
	}
	changed := o.input("Lead", map[string]record.Value{
		"IsConverted": true, "Status": "Closed - Converted", "ConvertedDate": record.NewDate(o.Now()),
		"ConvertedAccountId": account, "ConvertedContactId": res.ID,
	})
	changed.ID = lead.ID()
	if update := w.One(changed, dml.Update); update.Failed() {
		return "", update.Errors[0]
	}
	return res.ID, o.repoint(w, lead.ID(), res.ID, true)
}

// Merge makes loser part of winner: the loser is deleted and names the winner as its master, and what pointed to it points
// to the winner.
func (o *Org) Merge(ctx context.Context, winner, loser string) error {
	ticket, err := o.commit(o.system(), func(w *dml.Writer) error {
		w.Import = true
		object, ok := o.Schema.ByPrefix(sfid.Prefix(winner))
		if !ok || object.Slot("MasterRecordId") < 0 {
			return errors.New("only leads, contacts and accounts can be merged")
		}
		first, found := o.live(object, winner)
		second, foundToo := o.live(object, loser)
		if !found || !foundToo || first == second {
			return errors.New("winner and loser must be two records of the same object")
		}
		if slot := object.Slot("IsPersonAccount"); slot >= 0 && (first.True(slot) || second.True(slot)) {
			return errors.New("person accounts and their contacts cannot be merged here")
		}
		if err := o.repoint(w, second.ID(), first.ID(), false); err != nil {
			return err
		}
		gone := o.input(object.Name, map[string]record.Value{"MasterRecordId": first.ID(), "IsDeleted": true})
		gone.ID = second.ID()
		if res := w.One(gone, dml.Update); res.Failed() {
			return res.Errors[0]
		}
		return nil
	})
	if err != nil || ticket == nil {
		return err
	}
	return ticket.Wait(ctx)
}

// Undelete takes a record out of the recycle bin. What was deleted with it stays there.
func (o *Org) Undelete(ctx context.Context, id string) error {
	ticket, err := o.commit(o.system(), func(w *dml.Writer) error {
		w.Import = true
		long, err := sfid.Long(id)
		if err != nil {
			return fmt.Errorf("record %q: %w", id, err)
		}
		object, ok := o.Schema.ByPrefix(sfid.Prefix(long))
		if !ok {
			return fmt.Errorf("record %q is of no object", id)
		}
		rec, ok := o.tables[object].Get(long)
		if !ok || !rec.Deleted() || rec.Text(object.Slot("MasterRecordId")) != "" {
			return fmt.Errorf("record %q is not in the recycle bin", id)
		}
		back := &dml.Input{Object: object, ID: long}
		return w.Undelete(back, rec)
	})
	if err != nil || ticket == nil {
		return err
	}
	return ticket.Wait(ctx)
}

func (o *Org) live(object *schema.Object, id string) (*record.Record, bool) {
	long, err := sfid.Long(id)
	if err != nil {
		return nil, false
	}
	rec, ok := o.tables[object].Get(long)
	return rec, ok && !rec.Deleted()
}

func (o *Org) input(object string, values map[string]record.Value) *dml.Input {
	in := &dml.Input{}
	in.Object, _ = o.Schema.Object(object)
	for name, v := range values {
		if f, ok := in.Object.Field(name); ok && v != nil {
			in.Set(f, v)
		}
	}
	return in
}

// repoint lets tasks, or with tasksOnly unset everything that is indexed, point to another record.
func (o *Org) repoint(w *dml.Writer, from, to string, tasksOnly bool) error {
	object, _ := o.Schema.ByPrefix(sfid.Prefix(from))
	for _, c := range object.Children {
		if !c.Field.Indexed || c.Field.Derived || (tasksOnly && c.Object.Name != "Task") {
			continue
		}
		for _, rec := range o.tables[c.Object].Find(c.Field.Slot, from) {
			in := &dml.Input{Object: c.Object, ID: rec.ID()}
			in.Set(c.Field, to)
			if res := w.One(in, dml.Update); res.Failed() {
				return res.Errors[0]
			}
		}
	}
	return nil
}
