package world

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// categoryShares adds up to 1. The order is part of what a seed means.
var categoryShares = []struct {
	category Category
	share    float64
}{
	{OneLead, 0.34},
	{OneContact, 0.20},
	{LeadAndContact, 0.09},
	{SeveralLeads, 0.07},
	{SeveralContacts, 0.04},
	{SeveralOfBoth, 0.03},
	{EqualModified, 0.02},
	{EqualDates, 0.02},
	{Converted, 0.03},
	{ConvertedElsewhere, 0.02},
	{ConvertedGone, 0.02},
	{Unknown, 0.12},
}

// mailboxLeads is one more than a single SOQL answer of 200 would hold, and then some.
const mailboxLeads = 230

// viewers makes n viewers with their records. The first of the first workspace is the shared mailbox; the twelve after
// it stand for one category each, so that even a small world has all of them.
func (b *builder) viewers(n int) {
	for i := range n {
		category := b.category(i)
		v := b.viewer(category, i)
		b.ws.Viewers = append(b.ws.Viewers, v)
		b.records(v)
	}
	b.bystanders()
}

func (b *builder) category(i int) Category {
	p := b.rnd.Float64()
	switch {
	case i == 0 && b.index == 0:
		return SharedMailbox
	case i < len(categoryShares):
		return categoryShares[i].category
	}
	for _, c := range categoryShares {
		if p -= c.share; p < 0 {
			return c.category
		}
	}
	return Unknown
}

// viewer draws a person with an address that nobody else in the workspace has. Every seventh address also exists in
// the other workspaces, to whom it must stay unknown from here.
func (b *builder) viewer(category Category, i int) *Viewer {
	first, last := b.names.draw(b.rnd)
	local := b.names.local(b.rnd, first, last)
	domain := fmt.Sprintf("company%02d.example", b.rnd.IntN(60))
	switch {
	case category == SharedMailbox:
		local = "info"
	case i%7 == 3:
		local, domain = fmt.Sprintf("person%04d", i), "everywhere.example"
	case i%29 == 4:
		domain = "bücher.example"
	}
	email := local + "@" + domain
	for n := 2; b.taken[email]; n++ {
		email = fmt.Sprintf("%s.%d@%s", local, n, domain)
	}
	b.taken[email] = true
	return &Viewer{Email: email, Name: b.names.full(first, last), Category: category, Spellings: spellings(email)}
}

// spellings returns the address in the forms that mean the same.
func spellings(email string) []string {
	forms := []string{email, strings.ToUpper(email[:1]) + email[1:], " " + email, email + "  "}
	if strings.Contains(email, "@bücher.") {
		return append(forms, strings.Replace(email, "bücher", "xn--bcher-kva", 1))
	}
	return append(forms, strings.ToUpper(email), "\t"+email+" ")
}

// recordEmail is the address as somebody typed it into Salesforce: mostly as is, now and then in capitals, and with
// an international domain always in the ASCII form that Salesforce stores.
func (b *builder) recordEmail(v *Viewer) string {
	email := strings.Replace(v.Email, "bücher", "xn--bcher-kva", 1)
	if b.chance(0.15) {
		return strings.ToUpper(email[:1]) + email[1:]
	}
	if b.chance(0.03) {
		return strings.ToUpper(email)
	}
	return email
}

func (b *builder) records(v *Viewer) {
	switch v.Category {
	case OneLead:
		b.lead(v)
	case OneContact:
		b.contact(v)
	case LeadAndContact:
		b.lead(v)
		b.contact(v)
	case SeveralLeads:
		b.times(2+b.rnd.IntN(3), func() { b.lead(v) })
	case SeveralContacts:
		b.times(2+b.rnd.IntN(2), func() { b.contact(v) })
	case SeveralOfBoth:
		b.times(2, func() { b.lead(v) })
		b.times(2, func() { b.contact(v) })
	case EqualModified, EqualDates:
		b.equals(v)
	case Converted, ConvertedElsewhere, ConvertedGone:
		b.converted(v)
	case SharedMailbox:
		b.times(mailboxLeads, func() { b.lead(v) })
	case Unknown:
	}
}

func (b *builder) times(n int, f func()) {
	for range n {
		f()
	}
}

// lead adds a lead with dates of its own and returns its index.
func (b *builder) lead(v *Viewer) int {
	first, last := b.names.draw(b.rnd)
	created := b.date(700)
	b.ws.Org.Leads = append(b.ws.Org.Leads, Lead{
		ID: b.id("00Q"), FirstName: first, LastName: last, Company: b.account().Name, Email: b.recordEmail(v),
		OwnerID: b.leadOwner(), CreatedAt: created, ModifiedAt: b.modified(created),
	})
	return len(b.ws.Org.Leads) - 1
}

// contact adds a contact with dates of its own and returns its index. One in twenty has no account.
func (b *builder) contact(v *Viewer) int {
	first, last := b.names.draw(b.rnd)
	created := b.date(700)
	account := b.account().ID
	if b.chance(0.05) {
		account = ""
	}
	b.ws.Org.Contacts = append(b.ws.Org.Contacts, Contact{
		ID: b.id("003"), FirstName: first, LastName: last, Email: b.recordEmail(v),
		OwnerID: b.contactOwner(), AccountID: account, CreatedAt: created, ModifiedAt: b.modified(created),
	})
	return len(b.ws.Org.Contacts) - 1
}

func (b *builder) account() Account {
	return b.ws.Org.Accounts[b.rnd.IntN(len(b.ws.Org.Accounts))]
}

// modified draws a second between creation and today.
func (b *builder) modified(created time.Time) time.Time {
	return created.Add(time.Duration(b.rnd.Int64N(int64(b.today.Sub(created)/time.Second))) * time.Second)
}

// equals adds two leads and two contacts changed in the same second: the later created wins, and where the creation
// dates are equal too, the higher id.
func (b *builder) equals(v *Viewer) {
	org := &b.ws.Org
	l1, l2 := b.lead(v), b.lead(v)
	c1, c2 := b.contact(v), b.contact(v)
	org.Leads[l2].ModifiedAt = org.Leads[l1].ModifiedAt
	org.Contacts[c2].ModifiedAt = org.Contacts[c1].ModifiedAt
	org.Leads[l2].CreatedAt = org.Leads[l1].CreatedAt
	org.Contacts[c2].CreatedAt = org.Contacts[c1].CreatedAt
	if v.Category == EqualModified {
		org.Leads[l1].CreatedAt = org.Leads[l1].CreatedAt.Add(-time.Hour)
		org.Contacts[c2].CreatedAt = org.Contacts[c2].CreatedAt.Add(-time.Hour)
	}
}

// converted adds a converted lead, newer than all else, and what it became.
func (b *builder) converted(v *Viewer) {
	org := &b.ws.Org
	lead := b.lead(v)
	org.Leads[lead].Converted = true
	org.Leads[lead].OwnerID = b.activeUser().ID
	if v.Category == ConvertedGone {
		return
	}
	contact := b.contact(v)
	org.Leads[lead].ConvertedContactID = org.Contacts[contact].ID
	if v.Category == ConvertedElsewhere {
		org.Contacts[contact].Email = "moved." + org.Contacts[contact].Email
	}
}

// bystanders adds people whom no viewer may be taken for: without an address, with a look-alike one, with wildcards.
func (b *builder) bystanders() {
	known := slices.Clone(b.ws.Viewers)
	for i, v := range known {
		if i%10 != 0 {
			continue
		}
		for _, email := range lookalikes(v.Email) {
			if !b.taken[email] {
				org := &b.ws.Org
				org.Leads[b.lead(v)].Email = email
			}
		}
	}
}

// lookalikes returns addresses close to the given one that belong to somebody else: plus tags, dots and everything
// else in an address are significant.
func lookalikes(email string) []string {
	local, domain, _ := strings.Cut(email, "@")
	domain = strings.Replace(domain, "bücher", "xn--bcher-kva", 1)
	return []string{"", local + "+other@" + domain, "x" + local + "@" + domain, local + "@sub." + domain}
}
