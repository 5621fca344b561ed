package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/fresh"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// round is all that one Look wants to know from one org.
type round struct {
	dir                   *Salesforce
	key                   string
	workspace, connection string
	now                   time.Time
	// asked is the moment before anything was asked: what changes later may or may not be in the answers.
	asked   fresh.Mark
	members []member
	how     How
	// manner is how, as a part of keys: what was found in another manner is not what would be found in this.
	manner string
	// named are users asked for by id.
	named map[string]bool

	// What is known, from the caches or from the org.
	people map[string]people
	users  map[string][]match.User
	owners map[string]match.User
	// accounts are of viewers, by a key of their own.
	accounts map[string][]match.Account
	// What must be asked: the key of each address. An address that does not open is in unreadable by its key.
	viewers, contentOwners map[string]string
	// sent are other spellings of those addresses, by address.
	sent         map[string]map[string]bool
	unreadable   map[string]bool
	wantAccounts map[string]accountOf
	persons      persons
	err          error
	// patient: every member of the round waits for the org as long as it may take.
	patient bool
}

// member is one ask's place in the round.
type member struct {
	index         int
	viewer, owner string
	// account is the key of the viewer's account; "" when it is not asked for.
	account string
	users   []string
}

func newRound(dir *Salesforce, key string, first *Ask) *round {
	manner := strings.Join(slices.Concat(first.Fields, []string{"/"}, first.LeadEmails, []string{"/"}, first.ContactEmails,
		[]string{"/", strconv.FormatBool(first.Preferences)}), ",")
	return &round{
		dir: dir, key: key, workspace: first.Workspace, connection: first.Connection, now: dir.clock.Now(),
		asked: dir.changes.Now(),
		how:   first.How, manner: manner, named: map[string]bool{},
		people: map[string]people{}, users: map[string][]match.User{}, owners: map[string]match.User{},
		viewers: map[string]string{}, contentOwners: map[string]string{}, unreadable: map[string]bool{},
		accounts: map[string][]match.Account{}, wantAccounts: map[string]accountOf{},
		sent: map[string]map[string]bool{}, patient: true,
	}
}

// add takes an ask into the round and looks up what the caches know about it.
func (r *round) add(index int, a *Ask) {
	m := member{index: index}
	r.patient = r.patient && a.Patient
	if a.Viewer.Key != "" {
		m.viewer = join(r.key, a.Viewer.Key, r.manner)
		if a.Anew {
			r.dir.people.Drop(m.viewer)
			delete(r.people, m.viewer)
		}
		if _, ok := r.people[m.viewer]; !ok {
			if p, ok := r.dir.people.Get(m.viewer, r.now); ok && r.holds(p, a.Viewer.Key) {
				r.people[m.viewer] = p
				r.dir.stats.Hits.Add(1)
			} else {
				r.open(m.viewer, a.Viewer, r.viewers)
			}
		}
	}
	if a.Owner.Key != "" {
		m.owner = join(r.key, a.Owner.Key, strconv.FormatBool(r.how.SandboxSuffix))
		if a.Anew {
			r.dir.users.Drop(m.owner)
			delete(r.users, m.owner)
		}
		if _, ok := r.users[m.owner]; !ok {
			if u, ok := r.dir.users.Get(m.owner, r.now); ok && r.usersHold(u, a.Owner.Key) {
				r.users[m.owner] = u.found
			} else {
				r.open(m.owner, a.Owner, r.contentOwners)
			}
		}
	}
	if m.viewer != "" && a.Account {
		m.account = r.addAccount(m.viewer, a.Viewer)
	}
	for _, id := range a.Users {
		r.named[id] = true
	}
	m.users = a.Users
	r.members = append(r.members, m)
}

// open adds the address of p to those that must be asked for.
func (r *round) open(key string, p Party, missing map[string]string) {
	if _, ok := missing[key]; ok || r.unreadable[key] {
		return
	}
	r.dir.stats.Misses.Add(1)
	address, err := p.Address()
	if err != nil || address.Email == "" {
		r.unreadable[key] = true
		return
	}
	missing[key] = address.Email
	if address.AsSent != "" {
		if r.sent[address.Email] == nil {
			r.sent[address.Email] = map[string]bool{}
		}
		r.sent[address.Email][address.AsSent] = true
	}
}

// known reports whether the org need not be asked.
func (r *round) known() bool {
	unknownOwners := r.unknownOwners() // It also notes those who are remembered, which the answers need.
	return len(r.viewers) == 0 && len(r.contentOwners) == 0 && len(r.wantAccounts) == 0 && len(unknownOwners) == 0
}

// ask learns from the org what is missing, and remembers it.
func (r *round) ask(ctx context.Context, org Org) error {
	q := querier{org: org, chunk: r.dir.cfg.Addresses, sent: &r.dir.stats.Queries}
	if len(r.viewers) > 0 {
		var err error
		if r.persons, err = r.dir.persons(ctx, r.key, org); err != nil {
			return err
		}
	}
	var leads, contacts, accounts, users []salesforce.Record
	g, gctx := errgroup.WithContext(ctx)
	aside := func(f func() error) { g.Go(func() error { return guarded(f) }) }
	if addresses := variants(r.viewers, r.sent); len(addresses) > 0 {
		aside(func() (err error) {
			leads, err = r.having(gctx, q, match.Lead, addresses)
			return err
		})
		aside(func() (err error) {
			contacts, err = r.having(gctx, q, match.Contact, addresses)
			return err
		})
		aside(func() (err error) {
			accounts, err = r.askPairs(gctx, q, addresses)
			return err
		})
	}
	if addresses := variants(r.contentOwners, r.sent); len(addresses) > 0 {
		if r.how.SandboxSuffix {
			addresses = suffixed(addresses)
		}
		aside(func() (err error) {
			users, err = q.in(gctx, userFields, "User", fieldEmail, addresses)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	found := r.byViewer(leads, contacts)
	if err := r.pair(ctx, q, accounts, found); err != nil {
		return err
	}
	if err := r.follow(ctx, q, found); err != nil {
		return err
	}
	r.keepPeople(found)
	r.keepUsers(users)
	if err := r.askAccounts(ctx, q); err != nil {
		return err
	}
	return r.askOwners(ctx, q)
}

// having returns the records of an object that have one of the addresses, in whatever field. One that has several of
// them is there several times.
func (r *round) having(ctx context.Context, q querier, object string, addresses []string) ([]salesforce.Record, error) {
	var all []salesforce.Record
	for _, field := range r.emailFields(object) {
		records, err := q.in(ctx, r.fieldsOf(object), object, field, addresses)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}

// emailFields returns the fields of an object that may hold an address.
func (r *round) emailFields(object string) []string {
	if object == match.Lead {
		return append([]string{fieldEmail}, r.how.LeadEmails...)
	}
	return append([]string{fieldEmail}, r.how.ContactEmails...)
}

// fieldsOf returns what is read of an object: what is read anyway, where addresses may be, and what the ranking needs.
func (r *round) fieldsOf(object string) string {
	base := r.persons.contactFields()
	if object == match.Lead {
		base = leadFields
	}
	return fieldList(base, r.emailFields(object), r.how.Fields, r.preferenceFields(object))
}

// byViewer assigns records to those who asked for their address. Different spellings of one address are one address.
func (r *round) byViewer(leads, contacts []salesforce.Record) map[string][]match.Candidate {
	keys := byAddress(r.viewers)
	found := make(map[string][]match.Candidate, len(r.viewers))
	for object, records := range map[string][]salesforce.Record{match.Lead: leads, match.Contact: contacts} {
		for _, rec := range records {
			c := candidate(object, rec, r.how.Fields)
			for _, field := range r.emailFields(object) {
				for _, key := range keys[normalized(rec, field)] {
					if !has(found[key], c.ID) {
						found[key] = append(found[key], c)
					}
				}
			}
		}
	}
	return found
}

// follow adds the Contacts of converted Leads, whatever address those have (IMM-35).
func (r *round) follow(ctx context.Context, q querier, found map[string][]match.Candidate) error {
	wanted := map[string][]string{} // contact id → who wants it
	for key, candidates := range found {
		for i := range candidates {
			if c := &candidates[i]; c.Converted && c.ConvertedContactID != "" && !has(candidates, c.ConvertedContactID) {
				wanted[c.ConvertedContactID] = append(wanted[c.ConvertedContactID], key)
			}
		}
	}
	return r.addContacts(ctx, q, wanted, func(key string, c match.Candidate) {
		c.ViaConversion = true
		if !has(found[key], c.ID) {
			found[key] = append(found[key], c)
		}
	})
}

// addContacts reads Contacts by their ids and hands each to those who want it.
func (r *round) addContacts(ctx context.Context, q querier, wanted map[string][]string, add func(key string, c match.Candidate)) error {
	if len(wanted) == 0 {
		return nil
	}
	records, err := q.in(ctx, r.fieldsOf(match.Contact), match.Contact, "Id", sortedKeys(wanted))
	if err != nil {
		return err
	}
	for _, rec := range records {
		c := candidate(match.Contact, rec, r.how.Fields)
		for _, key := range wanted[c.ID] {
			add(key, c)
		}
	}
	return nil
}

func (r *round) keepPeople(found map[string][]match.Candidate) {
	for key := range r.viewers {
		p := people{candidates: found[key], askedAt: r.now, asked: r.asked}
		r.people[key] = p
		r.dir.people.Put(key, p, r.dir.expiry(len(p.candidates) > 0, r.now))
	}
}

// answer fills in the answers of the round's members, with the owners as they are known.
func (r *round) answer(answers []Answer, owners map[string]match.User) {
	for _, m := range r.members {
		a := &answers[m.index]
		p, known := r.people[m.viewer]
		users, ownerKnown := r.users[m.owner]
		accounts, accountKnown := r.accounts[m.account]
		switch {
		case r.unreadable[m.viewer] || r.unreadable[m.owner]:
			a.Err = ErrUnreadable
		case m.viewer != "" && !known, m.owner != "" && !ownerKnown, m.account != "" && !accountKnown,
			!r.ownersKnown(p.candidates, accounts, m.users):
			a.Err = r.trouble()
		default:
			*a = Answer{Candidates: p.candidates, OwnerUsers: users, Accounts: accounts, RecordOwners: owners, AskedAt: p.askedAt}
		}
	}
}

func (r *round) trouble() error {
	return fmt.Errorf("look people up in connection %s of workspace %s: %w", r.connection, r.workspace, r.err)
}
