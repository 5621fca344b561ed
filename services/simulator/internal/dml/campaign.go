package dml

import (
	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// member applies the rules of campaign members: one per campaign and person, a contact wins over a lead, and a status
// that the campaign does not have becomes its default.
func (w *Writer) member(o *schema.Object, rec, old *record.Record) *Error {
	lead, contact := o.Slot("LeadId"), o.Slot("ContactId")
	if rec.Text(contact) != "" && old == nil {
		rec.Values[lead] = nil
	}
	person := contact
	if rec.Text(contact) == "" {
		person = lead
	}
	if rec.Text(person) == "" {
		return refuse(codeRequired, "Required fields are missing: [LeadOrContactId]", "LeadOrContactId")
	}
	campaign := o.Slot("CampaignId")
	if old == nil {
		for _, other := range w.Data.Table(o).Find(person, rec.Text(person)) {
			if other.Text(campaign) == rec.Text(campaign) {
				return refuse(codeDuplicate, "Already a campaign member.")
			}
		}
	}
	w.memberPerson(o, rec, person)
	w.memberStatus(o, rec)
	if old != nil {
		w.responded(o, rec, old)
	}
	return nil
}

// memberPerson copies name and address of the person.
func (w *Writer) memberPerson(o *schema.Object, rec *record.Record, person int) {
	target, kind := w.target(o.Fields[person], rec.Text(person))
	if target == nil {
		return
	}
	rec.Values[o.Slot("Name")] = target.Get(kind.Slot("Name"))
	rec.Values[o.Slot("Email")] = target.Get(kind.Slot("Email"))
}

func (w *Writer) memberStatus(o *schema.Object, rec *record.Record) {
	statuses, ok := w.Schema.Object("CampaignMemberStatus")
	if !ok {
		return
	}
	label, isDefault, has := statuses.Slot("Label"), statuses.Slot("IsDefault"), statuses.Slot("HasResponded")
	var chosen, fallback *record.Record
	want := record.Fold(rec.Text(o.Slot("Status")))
	link := statuses.Slot("CampaignId")
	for _, s := range w.Data.Table(statuses).Find(link, rec.Text(o.Slot("CampaignId"))) {
		if record.Fold(s.Text(label)) == want {
			chosen = s
		}
		if s.True(isDefault) {
			fallback = s
		}
	}
	if chosen == nil {
		chosen = fallback
	}
	responded := false
	if chosen != nil {
		rec.Values[o.Slot("Status")] = chosen.Get(label)
		responded = chosen.True(has)
	}
	rec.Values[o.Slot("HasResponded")] = responded
	if first := o.Slot("FirstRespondedDate"); responded && rec.Values[first] == nil {
		rec.Values[first] = record.NewDate(w.Now.Time())
	}
}

// defaultStatuses gives a campaign the member statuses that a new one has.
func (w *Writer) defaultStatuses(campaign string) *Error {
	o, ok := w.Schema.Object("CampaignMemberStatus")
	if !ok {
		return nil
	}
	inner := *w
	inner.Access = nil
	for i, label := range []string{"Sent", "Responded"} {
		in := Input{Object: o}
		for name, v := range map[string]record.Value{
			"CampaignId": campaign, "Label": label, "SortOrder": int64(i + 1), "IsDefault": i == 0, "HasResponded": i == 1,
		} {
			f, _ := o.Field(name)
			in.Set(f, v)
		}
		if res := inner.insert(&in); res.Failed() {
			return res.Errors[0]
		}
	}
	return nil
}

// count adds a member to, or takes one from, the campaign's counters.
func (w *Writer) count(o *schema.Object, member *record.Record, by int64) {
	counters := map[string]bool{
		"NumberOfLeads":     member.Text(o.Slot("LeadId")) != "",
		"NumberOfContacts":  member.Text(o.Slot("ContactId")) != "",
		"NumberOfResponses": member.True(o.Slot("HasResponded")),
	}
	w.adjust(member.Text(o.Slot("CampaignId")), func(campaign *schema.Object, rec *record.Record) {
		for name, counts := range counters {
			if counts {
				add(campaign, rec, name, by)
			}
		}
	})
}

func (w *Writer) responded(o *schema.Object, rec, old *record.Record) {
	has := o.Slot("HasResponded")
	if rec.True(has) == old.True(has) {
		return
	}
	by := int64(1)
	if old.True(has) {
		by = -1
	}
	w.adjust(rec.Text(o.Slot("CampaignId")), func(campaign *schema.Object, rec *record.Record) {
		add(campaign, rec, "NumberOfResponses", by)
	})
}

func add(o *schema.Object, rec *record.Record, name string, by int64) {
	slot := o.Slot(name)
	n, _ := rec.Values[slot].(int64)
	rec.Values[slot] = n + by
}

// adjust changes a campaign without counting as a modification by the user.
func (w *Writer) adjust(campaign string, change func(*schema.Object, *record.Record)) {
	o, ok := w.Schema.Object("Campaign")
	if !ok {
		return
	}
	t := w.Data.Table(o)
	old, ok := t.Get(campaign)
	if !ok {
		return
	}
	rec := old.Clone(len(o.Fields))
	change(o, rec)
	rec.Values[record.SlotSystemModstamp] = w.Now
	w.Tx.Put(t, rec)
}
