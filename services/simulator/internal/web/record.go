package web

import (
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// recordView is a record's page.
type recordView struct {
	Object   string
	ID       string
	Deleted  bool
	Master   link
	Details  []detail
	Media    []medium
	HasMedia bool
	Timeline []activity
	// HasTimeline says that records of this kind can have activities.
	HasTimeline bool
	Campaigns   []membership
	Contacts    []row
}

// detail is one field.
type detail struct {
	Label string
	shown
}

// shown is a value: text, or a link to the record that it names.
type shown struct {
	Text, Path string
	Long       bool
}

// medium is one video or document that somebody looked at.
type medium struct {
	link
	Viewer                       link
	Kind, Last, Identity, CTAWas string
	Views, Dwell, CTA            string
	Percent                      int
	Video                        bool
	order                        string
}

// activity is one task.
type activity struct {
	link
	Lines      []string
	Due, Made  string
	Owner, Who link
	Status     string
	Closed     bool
}

type membership struct {
	Campaign     link
	Status, Made string
}

func (v *view) record(o *schema.Object, rec *record.Record) {
	data := recordView{Object: o.Title(v.page.language), ID: rec.ID(), Deleted: rec.Deleted()}
	v.page.Title = v.linkTo(o, rec).Name
	if master := rec.Text(o.Slot("MasterRecordId")); master != "" {
		data.Master = v.nameOf(master)
	}
	for _, f := range o.Fields[record.SystemSlots:] {
		if rec.Get(f.Slot) != nil {
			data.Details = append(data.Details, detail{f.Title(v.page.language), v.value(f, rec)})
		}
	}
	for _, slot := range []int{record.SlotCreatedDate, record.SlotCreatedByID, record.SlotLastModifiedDate, record.SlotLastModifiedByID} {
		data.Details = append(data.Details, detail{o.Fields[slot].Title(v.page.language), v.value(o.Fields[slot], rec)})
	}
	v.media(&data, o, rec)
	v.timeline(&data, o, rec)
	v.related(&data, o, rec)
	v.page.Data = data
}

// value writes one field.
func (v *view) value(f *schema.Field, rec *record.Record) shown {
	text := v.text(rec.Get(f.Slot))
	if f.Type == schema.Reference && text != "" {
		to := v.nameOf(text)
		return shown{Text: to.Name, Path: to.Path}
	}
	if f.Type == schema.URL && (strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")) {
		return shown{Text: text, Path: text}
	}
	if f.Type == schema.Percent && text != "" {
		text += " %"
	}
	return shown{Text: text, Long: strings.Contains(text, "\n") || len(text) > 120}
}

// media lists the engagement rows of a person, of an account, of an opportunity's account, or of a user's own contents.
func (v *view) media(data *recordView, o *schema.Object, rec *record.Record) {
	rows, ok := v.Org.Schema.Object("Engagement__c")
	if !ok {
		return
	}
	field, key := "", rec.ID()
	switch o.Name {
	case "Lead":
		field = "Lead__c"
	case "Contact":
		field = "Contact__c"
	case "Account":
		field = "Account__c"
	case "Content__c":
		field = "Content__c"
	case "Opportunity":
		field, key = "Account__c", rec.Text(o.Slot("AccountId"))
	case "User":
		field, key = "Creator_Email__c", rec.Text(o.Slot("Email"))
	default:
		return
	}
	data.HasMedia = true
	f, ok := rows.Field(field)
	if !ok || key == "" {
		return
	}
	found := v.Org.Table(rows).Find(f.Slot, f.Key(key))
	for _, r := range found {
		data.Media = append(data.Media, v.medium(rows, r))
	}
	slices.SortStableFunc(data.Media, func(a, b medium) int { return strings.Compare(b.order, a.order) })
	data.Media = data.Media[:min(len(data.Media), relatedLength)]
}

func (v *view) medium(o *schema.Object, r *record.Record) medium {
	get := func(name string) record.Value { return r.Get(o.Slot(name)) }
	m := medium{
		link: v.linkTo(o, r), Kind: v.text(get("Content_Kind__c")), Last: v.text(get("Last_Viewed_At__c")),
		Identity: v.text(get("Identity_Method__c")), CTAWas: v.text(get("Last_CTA_Label__c")), Views: v.text(get("View_Count__c")),
		CTA: v.text(get("CTA_Clicks__c")), order: record.Text(get("Last_Viewed_At__c")),
	}
	m.Video = m.Kind == "Video"
	if percent, ok := get("Percent_Watched__c").(float64); ok {
		m.Percent = min(max(int(percent+0.5), 0), 100)
	}
	if dwell, ok := get("Dwell_Seconds__c").(float64); ok && dwell > 0 {
		m.Dwell = clock(dwell)
	} else if watched, ok := get("Watch_Seconds__c").(float64); ok {
		m.Dwell = clock(watched)
	}
	for _, name := range []string{"Contact__c", "Lead__c"} {
		if id := r.Text(o.Slot(name)); id != "" {
			m.Viewer = v.nameOf(id)
			return m
		}
	}
	m.Viewer = link{Name: v.text(get("Viewer_Email__c"))}
	return m
}

// timeline lists the tasks of a person, of what they are related to, or of their owner, newest first.
func (v *view) timeline(data *recordView, o *schema.Object, rec *record.Record) {
	tasks, ok := v.Org.Schema.Object("Task")
	if !ok || o == tasks {
		return
	}
	var found []*record.Record
	switch o.Name {
	case "Lead", "Contact":
		found = v.Org.Table(tasks).Find(tasks.Slot("WhoId"), rec.ID())
	case "Account":
		found = v.Org.Table(tasks).Find(tasks.Slot("AccountId"), rec.ID())
	case "Opportunity", "Campaign", "Engagement__c", "Content__c":
		found = v.Org.Table(tasks).Find(tasks.Slot("WhatId"), rec.ID())
	case "User", "Group":
		found = v.owned(tasks, rec.ID())
	default:
		return
	}
	data.HasTimeline = true
	slices.SortStableFunc(found, func(a, b *record.Record) int {
		return record.Compare(b.Get(record.SlotCreatedDate), a.Get(record.SlotCreatedDate))
	})
	for _, r := range found[:min(len(found), relatedLength)] {
		data.Timeline = append(data.Timeline, v.activity(tasks, r))
	}
}

// owned finds the newest tasks of an owner; owners have no index.
func (v *view) owned(tasks *schema.Object, owner string) []*record.Record {
	var found []*record.Record
	slot := tasks.Slot("OwnerId")
	v.Org.Table(tasks).Backward(func(r *record.Record) bool {
		if !r.Deleted() && r.Text(slot) == owner {
			found = append(found, r)
		}
		return len(found) < relatedLength
	})
	return found
}

func (v *view) activity(o *schema.Object, r *record.Record) activity {
	get := func(name string) string { return v.text(r.Get(o.Slot(name))) }
	a := activity{
		link: v.linkTo(o, r), Due: get("ActivityDate"), Made: v.text(r.Get(record.SlotCreatedDate)), Status: get("Status"),
		Closed: r.True(o.Slot("IsClosed")), Owner: v.nameOf(r.Text(o.Slot("OwnerId"))),
	}
	if who := r.Text(o.Slot("WhoId")); who != "" {
		a.Who = v.nameOf(who)
	}
	for line := range strings.Lines(r.Text(o.Slot("Description"))) {
		a.Lines = append(a.Lines, strings.TrimRight(line, "\r\n"))
	}
	return a
}

// related lists the campaigns of a person and the contacts of an account.
func (v *view) related(data *recordView, o *schema.Object, rec *record.Record) {
	members, ok := v.Org.Schema.Object("CampaignMember")
	if ok && (o.Name == "Lead" || o.Name == "Contact") {
		for _, m := range v.Org.Table(members).Find(members.Slot(o.Name+"Id"), rec.ID()) {
			data.Campaigns = append(data.Campaigns, membership{
				Campaign: v.nameOf(m.Text(members.Slot("CampaignId"))), Status: m.Text(members.Slot("Status")),
				Made: v.text(m.Get(record.SlotCreatedDate)),
			})
		}
	}
	contacts, ok := v.Org.Schema.Object("Contact")
	if !ok || o.Name != "Account" {
		return
	}
	email, _ := contacts.Field("Email")
	for _, c := range v.Org.Table(contacts).Find(contacts.Slot("AccountId"), rec.ID()) {
		if len(data.Contacts) == relatedLength {
			break
		}
		data.Contacts = append(data.Contacts, v.row(contacts, c, []*schema.Field{email}))
	}
}
