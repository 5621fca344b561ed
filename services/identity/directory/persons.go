package directory

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// XC-41: in an org with person accounts a person is a pair, an Account and a Contact that share name, addresses and owner and
// are deleted together. Activities and members hang on the Contact, everything that is about accounts on the Account.

// The fields by which a pair is told. In an org without person accounts a query that names one is refused with
// INVALID_FIELD, so none is named there.
const (
	fieldIsPerson      = "IsPersonAccount"
	fieldPersonEmail   = "PersonEmail"
	fieldPersonContact = "PersonContactId"
	accountObject      = "Account"
	accountOwner       = "Account.OwnerId"
	accountModified    = "Account.LastModifiedDate"
	pairContactFields  = contactFields + ", " + fieldIsPerson
	pairParentFields   = accountOwner + ", " + accountModified
	pairAccountFields  = "Id, " + fieldPersonEmail + ", " + fieldPersonContact
)

// persons is what an org's describe says about person accounts and privacy records, as the integration user sees it.
type persons struct {
	// enabled orgs have pairs; the user sees which Contacts belong to one.
	enabled bool
	// accounts may be read; email says that they can be looked for by PersonEmail.
	accounts, email bool
	// preferences are the fields of privacy records that can be read, by the object they are read through.
	preferences map[string][]string
	// until is when it is to be asked again.
	until time.Time
}

// contactFields returns what is read of every Contact.
func (p persons) contactFields() string {
	switch {
	case !p.enabled:
		return contactFields
	case !p.accounts:
		return pairContactFields
	}
	return pairContactFields + ", " + pairParentFields
}

// persons tells what an org's describe says, and asks for it when it is not known or too old. While that fails, what is
// known is used, however old.
func (s *Salesforce) persons(ctx context.Context, key string, org Org) (persons, error) {
	now := s.clock.Now()
	s.mu.Lock()
	known, ok := s.described[key]
	s.mu.Unlock()
	if ok && now.Before(known.until) {
		return known, nil
	}
	found, err := describePersons(ctx, org)
	switch {
	case err == nil:
		found.until = now.Add(s.cfg.DescribeAge)
	case ok:
		return known, nil
	default:
		return persons{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.described[key] = found
	return found, nil
}

// undescribe forgets what an org's describe said, after a query was refused that was made by it: fields may have been hidden.
func (s *Salesforce) undescribe(key string, err error) {
	var e *salesforce.Error
	if !errors.As(err, &e) || (e.Code != "INVALID_FIELD" && e.Code != "INVALID_TYPE") {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.described, key)
}

func describePersons(ctx context.Context, org Org) (persons, error) {
	contact, err := describe(ctx, org, match.Contact)
	if err != nil {
		return persons{}, err
	}
	preferences, err := describePreferences(ctx, org, contact)
	if err != nil {
		return persons{}, err
	}
	if _, ok := contact.Field(fieldIsPerson); !ok {
		return persons{preferences: preferences}, nil
	}
	account, err := describe(ctx, org, accountObject)
	if err != nil {
		return persons{}, err
	}
	email, visible := account.Field(fieldPersonEmail)
	_, paired := account.Field(fieldPersonContact)
	return persons{
		enabled: true, accounts: account.Queryable, email: account.Queryable && visible && email.Filterable && paired, preferences: preferences,
	}, nil
}

// describe returns an object without fields when the user must not see the object: what is asked of it then is refused by
// the org, which says so better.
func describe(ctx context.Context, org Org, object string) (*salesforce.ObjectDescribe, error) {
	d, err := org.Describe(ctx, object)
	var e *salesforce.Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		return &salesforce.ObjectDescribe{Name: object}, nil
	}
	return d, err
}

// askPairs looks for persons by the address of their account.
func (r *round) askPairs(ctx context.Context, q querier, addresses []string) ([]salesforce.Record, error) {
	if !r.persons.email {
		return nil, nil
	}
	return q.in(ctx, pairAccountFields, accountObject, fieldPersonEmail, addresses)
}

// pair adds the Contacts of person accounts that were found by the account's address only: both sides have the same one
// unless the user may read only one of them.
func (r *round) pair(ctx context.Context, q querier, accounts []salesforce.Record, found map[string][]match.Candidate) error {
	keys := byAddress(r.viewers)
	wanted := map[string][]string{} // contact id → who wants it
	for _, account := range accounts {
		contact := account.String(fieldPersonContact)
		if contact == "" {
			continue
		}
		for _, key := range keys[normalized(account, fieldPersonEmail)] {
			if !has(found[key], contact) {
				wanted[contact] = append(wanted[contact], key)
			}
		}
	}
	return r.addContacts(ctx, q, wanted, func(key string, c match.Candidate) {
		if !has(found[key], c.ID) {
			found[key] = append(found[key], c)
		}
	})
}

// asPair completes a candidate by what its account says: it has one owner, and has changed when either side has.
func asPair(c *match.Candidate, rec salesforce.Record) {
	if c.Object != match.Contact || !rec.Bool(fieldIsPerson) {
		return
	}
	c.PersonAccount = true
	if owner := rec.String(accountOwner); owner != "" {
		c.OwnerID = owner
	}
	if changed := rec.Time(accountModified); changed.After(c.LastModified) {
		c.LastModified = changed
	}
}
