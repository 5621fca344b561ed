package oracle

import (
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/generator/world"
)

// person is a Lead or Contact that stands for a viewer.
type person struct {
	id, owner, account string
	modified, created  time.Time
}

// people answers who in an org has an address.
type people struct {
	org      *world.Org
	leads    map[string]*person
	contacts map[string]*person
	users    map[string]*world.User // by id
	byEmail  map[string]*world.User // the usable one per address
}

// newPeople decides for every address of the org, following IMM-31 to IMM-33 and IMM-35.
func newPeople(org *world.Org) *people {
	p := &people{
		org: org, leads: make(map[string]*person), contacts: make(map[string]*person),
		users: make(map[string]*world.User), byEmail: make(map[string]*world.User),
	}
	contacts := make(map[string]*world.Contact)
	for i := range org.Contacts {
		c := &org.Contacts[i]
		contacts[c.ID] = c
		consider(p.contacts, c.Email, contactPerson(c))
	}
	for i := range org.Leads {
		l := &org.Leads[i]
		switch became := contacts[l.ConvertedContactID]; {
		case !l.Converted:
			consider(p.leads, l.Email, &person{id: l.ID, owner: l.OwnerID, modified: l.ModifiedAt, created: l.CreatedAt})
		case became != nil:
			consider(p.contacts, l.Email, contactPerson(became))
		}
	}
	for i := range org.Users {
		p.considerUser(&org.Users[i])
	}
	return p
}

func contactPerson(c *world.Contact) *person {
	return &person{id: c.ID, owner: c.OwnerID, account: c.AccountID, modified: c.ModifiedAt, created: c.CreatedAt}
}

// consider keeps the better of two: the latest change, then the later creation, then the higher id (IMM-33).
func consider(best map[string]*person, email string, candidate *person) {
	email = address(email)
	if email == "" {
		return
	}
	have := best[email]
	switch {
	case have == nil:
	case !candidate.modified.Equal(have.modified):
		if candidate.modified.Before(have.modified) {
			return
		}
	case !candidate.created.Equal(have.created):
		if candidate.created.Before(have.created) {
			return
		}
	case candidate.id < have.id:
		return
	}
	best[email] = candidate
}

// considerUser keeps, among active users with one address, the one who logged in last, then the lowest id (IMM-30).
func (p *people) considerUser(u *world.User) {
	p.users[u.ID] = u
	email := address(u.Email)
	if !u.Active || email == "" {
		return
	}
	have := p.byEmail[email]
	if have == nil || u.LastLoginAt.After(have.LastLoginAt) || (u.LastLoginAt.Equal(have.LastLoginAt) && u.ID < have.ID) {
		p.byEmail[email] = u
	}
}

// task decides whom a to-do is about and who owns it (IMM-27 to IMM-34); ok is false when nobody is there to tell.
// language is that of the owner, "" without one.
func (p *people) task(chain []world.Assignee, viewer, contentOwner string) (who, owner, language string, ok bool) {
	found := p.leads[viewer]
	if found == nil {
		found = p.contacts[viewer] // IMM-32: a Lead beats a Contact
	}
	if found != nil {
		who = found.id
	}
	for _, link := range chain {
		var u *world.User
		switch link {
		case world.ContentOwner:
			u = p.byEmail[address(contentOwner)]
		case world.RecordOwner:
			if found != nil {
				u = p.users[found.owner] // a queue is no user
			}
		}
		if u != nil && u.Active {
			language, _, _ = strings.Cut(u.Language, "_")
			return who, u.ID, language, true
		}
	}
	return who, "", "", who != ""
}
