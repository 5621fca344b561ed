package directory

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/domain"
	"github.com/throughline-dev/throughline/services/identity/fresh"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// The fields read of accounts, besides the one that the workspace says holds the domain.
const (
	accountFields = "Id, OwnerId, LastModifiedDate, CreatedDate"
	fieldWebsite  = "Website"
)

// domainsPerQuery is the most domains one query looks for: each is a pattern that the org compares every website with.
const domainsPerQuery = 20

// accounts are the accounts that may be a viewer's, and what they depend on.
type accounts struct {
	found []match.Account
	// names are the records and people whose change makes it another answer.
	names []string
	asked fresh.Mark
}

// accountOf is somebody whose account is looked for.
type accountOf struct {
	// viewer is their key among the people, address theirs.
	viewer, address string
}

// addAccount takes the question for a viewer's account into the round.
func (r *round) addAccount(viewer string, p Party) (key string) {
	key = join(viewer, r.how.DomainField, strings.Join(r.how.FreeMail, ","))
	if _, ok := r.accounts[key]; ok {
		return key
	}
	if a, ok := r.dir.accounts.Get(key, r.now); ok && r.fresh(a.asked, len(a.found) > 0, a.names) {
		r.accounts[key] = a.found
		return key
	}
	address, err := p.Address()
	if err != nil || address.Email == "" {
		r.unreadable[viewer] = true
		return key
	}
	r.wantAccounts[key] = accountOf{viewer: viewer, address: address.Email}
	return key
}

// askAccounts learns about the accounts of those whose people are known by now: of their Contacts, and, where one has none, those
// with the domain of their address (IMM-44).
func (r *round) askAccounts(ctx context.Context, q querier) error {
	byID, byDomain := map[string][]string{}, map[string][]string{} // account id, domain → who wants it
	for key, of := range r.wantAccounts {
		settled := false
		candidates := r.people[of.viewer].candidates
		for i := range candidates {
			if c := &candidates[i]; c.Object == match.Contact && c.AccountID != "" {
				settled = true
				byID[c.AccountID] = append(byID[c.AccountID], key)
			}
		}
		alone := slices.ContainsFunc(candidates, func(c match.Candidate) bool { return c.Object == match.Contact && c.AccountID == "" })
		if d := domain.OfAddress(of.address); d != "" && (!settled || alone) && !domain.Free(d, r.how.FreeMail) {
			byDomain[d] = append(byDomain[d], key)
		}
	}
	found := map[string]map[string]match.Account{}
	put := func(key string, a match.Account) {
		if found[key] == nil {
			found[key] = map[string]match.Account{}
		}
		a.ByDomain = a.ByDomain || found[key][a.ID].ByDomain
		found[key][a.ID] = a
	}
	if err := r.accountsByID(ctx, q, byID, put); err != nil {
		return err
	}
	if err := r.accountsByDomain(ctx, q, byDomain, put); err != nil {
		return err
	}
	r.keepAccounts(found)
	return nil
}

func (r *round) accountsByID(ctx context.Context, q querier, wanted map[string][]string, put func(string, match.Account)) error {
	if len(wanted) == 0 {
		return nil
	}
	records, err := q.in(ctx, accountFields, accountObject, "Id", sortedKeys(wanted))
	if invisible(err) {
		return nil
	}
	for _, rec := range records {
		a := account(rec)
		for _, key := range wanted[a.ID] {
			put(key, a)
		}
	}
	return err
}

// accountsByDomain compares in the org only roughly, by text, and exactly here: what people write as their website is of any form.
func (r *round) accountsByDomain(ctx context.Context, q querier, wanted map[string][]string, put func(string, match.Account)) error {
	fields := []string{fieldWebsite}
	if r.how.DomainField != "" && !strings.EqualFold(r.how.DomainField, fieldWebsite) {
		fields = append(fields, r.how.DomainField)
	}
	read := fieldList(accountFields, fields)
	for some := range slices.Chunk(sortedKeys(wanted), domainsPerQuery) {
		records, err := q.containing(ctx, read, accountObject, fields, some)
		if invisible(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, rec := range records {
			a := account(rec)
			a.ByDomain = true
			for _, field := range fields {
				for _, d := range domain.OfWebsite(rec.String(field)) {
					for _, key := range wanted[d] {
						put(key, a)
					}
				}
			}
		}
	}
	return nil
}

func (r *round) keepAccounts(found map[string]map[string]match.Account) {
	for key, of := range r.wantAccounts {
		kept := accounts{asked: r.asked, names: []string{personOf(of.viewer)}}
		kept.found = slices.SortedFunc(maps.Values(found[key]), func(a, b match.Account) int { return cmp.Compare(a.ID, b.ID) })
		for i := range kept.found {
			kept.names = append(kept.names, kept.found[i].ID)
		}
		for i := range r.people[of.viewer].candidates {
			kept.names = append(kept.names, r.people[of.viewer].candidates[i].ID)
		}
		r.accounts[key] = kept.found
		r.dir.accounts.Put(key, kept, r.dir.expiry(len(kept.found) > 0, r.now))
	}
}

// personOf returns the person key in the key of a viewer.
func personOf(viewer string) string {
	parts := strings.SplitN(viewer, "\x00", 4) // workspace, connection, person, manner
	return parts[min(2, len(parts)-1)]
}

// invisible reports that the user may not see accounts at all: then there are none.
func invisible(err error) bool {
	var e *salesforce.Error
	return errors.As(err, &e) && e.Code == "INVALID_TYPE"
}

func account(rec salesforce.Record) match.Account {
	return match.Account{
		ID: rec.String("Id"), OwnerID: rec.String("OwnerId"),
		LastModified: rec.Time("LastModifiedDate"), CreatedAt: rec.Time("CreatedDate"),
	}
}

// containing returns the records of an object any of whose fields contains one of the domains, asking with half of them where the
// query is too long.
func (q querier) containing(ctx context.Context, read, object string, fields, domains []string) ([]salesforce.Record, error) {
	var conditions []string
	for _, d := range domains {
		for _, spelling := range domain.Spellings(d) {
			for _, field := range fields {
				conditions = append(conditions, field+" LIKE "+salesforce.Quote("%"+spelling+"%"))
			}
		}
	}
	soql := "SELECT " + read + " FROM " + object + " WHERE " + strings.Join(conditions, " OR ")
	if salesforce.QueryFits(soql) || len(domains) == 1 {
		q.sent.Add(1)
		return q.org.Query(ctx, soql)
	}
	half := len(domains) / 2
	first, err := q.containing(ctx, read, object, fields, domains[:half])
	if err != nil {
		return nil, err
	}
	second, err := q.containing(ctx, read, object, fields, domains[half:])
	return append(first, second...), err
}
