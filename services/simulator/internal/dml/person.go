package dml

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// personOnly are the fields of a person account that a business account does not have, and those of its contact that hold
// the same values.
var personOnly = [][2]string{
	{"LastName", "LastName"},
	{"FirstName", "FirstName"},
	{"Salutation", "Salutation"},
	{"PersonEmail", "Email"},
	{"PersonMobilePhone", "MobilePhone"},
	{"PersonHomePhone", "HomePhone"},
	{"PersonOtherPhone", "OtherPhone"},
	{"PersonTitle", "Title"},
	{"PersonDepartment", "Department"},
	{"PersonBirthdate", "Birthdate"},
	{"PersonHasOptedOutOfEmail", "HasOptedOutOfEmail"},
	{"PersonDoNotCall", "DoNotCall"},
}

// personShared are the fields that both sides of a person account have under one name.
var personShared = []string{"Phone", "Fax", "OwnerId"}

// hasPersons reports whether o is an account or contact of an org with person accounts.
func hasPersons(o *schema.Object) bool {
	_, ok := o.Field("IsPersonAccount")
	return ok
}

// person decides what kind of account a record is, and refuses what only the other kind may have, before required fields
// are looked at.
func (w *Writer) person(in *Input, rec, old *record.Record) *Error {
	o := in.Object
	if !hasPersons(o) {
		return nil
	}
	if o.Name == "Contact" {
		return w.personContact(o, rec, old)
	}
	if err := w.personKind(o, rec, old); err != nil {
		return err
	}
	if !rec.True(o.Slot("IsPersonAccount")) {
		for _, pair := range personOnly {
			if v := rec.Get(o.Slot(pair[0])); v != nil && v != false {
				return badFields(old, pair[0])
			}
		}
		return nil
	}
	for _, c := range in.cells {
		if c.field.Name == "Name" && c.value != nil {
			return badFields(old, "Name")
		}
	}
	if rec.Text(o.Slot("LastName")) == "" {
		return refuse(codeRequired, "Required fields are missing: [LastName]", "LastName")
	}
	w.compound(o, rec)
	return nil
}

// personKind sets the record type of a new account, by its last name when none is given, and keeps the kind of an old one.
func (w *Writer) personKind(o *schema.Object, rec, old *record.Record) *Error {
	kind := o.Slot("RecordTypeId")
	if rec.Text(kind) == "" {
		rec.Values[kind] = schema.BusinessRecordType
		if rec.Text(o.Slot("LastName")) != "" || (old != nil && old.True(o.Slot("IsPersonAccount"))) {
			rec.Values[kind] = schema.PersonRecordType
		}
	}
	person := isPersonType(rec.Text(kind))
	if old != nil && old.True(o.Slot("IsPersonAccount")) != person {
		return refuse(codeIntegrity, "Record Type ID: an account cannot change between business and person account", "RecordTypeId")
	}
	rec.Values[o.Slot("IsPersonAccount")] = person
	return nil
}

// isPersonType reports whether a record type, of 15 or 18 characters, is that of person accounts.
func isPersonType(id string) bool {
	const short = 15
	return len(id) >= short && id[:short] == schema.PersonRecordType[:short]
}

// personContact refuses contacts of person accounts other than the account's own, and taking that one away from it.
func (w *Writer) personContact(o *schema.Object, rec, old *record.Record) *Error {
	account := o.Slot("AccountId")
	if rec.True(o.Slot("IsPersonAccount")) {
		if old != nil && old.Text(account) != rec.Text(account) {
			return badFields(old, "AccountId")
		}
		return nil
	}
	parent, kind := w.target(o.Fields[account], rec.Text(account))
	if parent != nil && parent.True(kind.Slot("IsPersonAccount")) {
		return refuse(codeIntegrity, "Account ID: a person account cannot have contacts", "AccountId")
	}
	return nil
}

func badFields(old *record.Record, names ...string) *Error {
	verb := "insert"
	if old != nil {
		verb = "update"
	}
	return refusef(codeReadOnly, names, "Account: bad field names on %s call: %s", verb, strings.Join(names, ", "))
}

// makePerson gives a new person account its contact.
func (w *Writer) makePerson(o *schema.Object, rec *record.Record) *Error {
	if !hasPersons(o) || !rec.True(o.Slot("IsPersonAccount")) {
		return nil
	}
	contacts, _ := w.Schema.Object("Contact")
	in := Input{Object: contacts}
	set := func(name string, v record.Value) {
		f, _ := contacts.Field(name)
		in.Set(f, v)
	}
	for _, pair := range personOnly {
		set(pair[1], rec.Get(o.Slot(pair[0])))
	}
	for _, name := range personShared {
		set(name, rec.Get(o.Slot(name)))
	}
	set("AccountId", rec.ID())
	set("IsPersonAccount", true)
	inner := *w
	inner.Access, inner.Import = nil, true // the account's permissions and rules have been applied
	res := inner.insert(&in)
	if res.Failed() {
		return res.Errors[0]
	}
	paired := rec.Clone(len(o.Fields))
	paired.Values[o.Slot("PersonContactId")] = res.ID
	w.Tx.Put(w.Data.Table(o), paired)
	return nil
}

// mirror brings a change of one side of a person account to the other.
func (w *Writer) mirror(o *schema.Object, rec *record.Record) {
	if !hasPersons(o) || !rec.True(o.Slot("IsPersonAccount")) {
		return
	}
	from, to, link, other := 0, 1, "PersonContactId", "Contact"
	if o.Name == "Contact" {
		from, to, link, other = 1, 0, "AccountId", "Account"
	}
	kind, _ := w.Schema.Object(other)
	t := w.Data.Table(kind)
	old, ok := t.Get(rec.Text(o.Slot(link)))
	if !ok {
		return
	}
	twin := old.Clone(len(kind.Fields))
	for _, pair := range personOnly {
		twin.Values[kind.Slot(pair[to])] = rec.Get(o.Slot(pair[from]))
	}
	for _, name := range personShared {
		twin.Values[kind.Slot(name)] = rec.Get(o.Slot(name))
	}
	w.compound(kind, twin)
	w.stamp(twin)
	w.Tx.Put(t, twin)
}

// removePerson deletes the contact of a deleted person account.
func (w *Writer) removePerson(o *schema.Object, rec *record.Record) {
	if o.Name != "Account" || !hasPersons(o) {
		return
	}
	contacts, _ := w.Schema.Object("Contact")
	if contact, ok := w.Data.Table(contacts).Get(rec.Text(o.Slot("PersonContactId"))); ok && !contact.Deleted() {
		w.remove(contacts, contact)
	}
}
