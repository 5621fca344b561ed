package match

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Account is a Salesforce account that may be the viewer's.
type Account struct {
	// ID has 18 characters.
	ID, OwnerID             string
	LastModified, CreatedAt time.Time
	// ByDomain says that the account has the domain of the viewer's address.
	ByDomain bool
}

// ConsideredAccount is an account and its fate.
type ConsideredAccount struct {
	Account
	Chosen bool
	Rule   string
}

// DecideAccount chooses the viewer's account (IMM-44): that of the chosen Contact if it may be seen, else, of those with the domain
// of the address, the one that was changed last, then the later created, then the higher id. contact may be nil, for a Lead
// or nobody.
func DecideAccount(contact *Candidate, accounts []Account) (account *Account, considered []ConsideredAccount) {
	ranked := slices.Clone(accounts)
	own := func(a *Account) bool { return contact != nil && contact.AccountID != "" && a.ID == contact.AccountID }
	slices.SortFunc(ranked, func(a, b Account) int {
		return cmp.Or(compareBool(own(&b), own(&a)), compareBool(b.ByDomain, a.ByDomain), b.LastModified.Compare(a.LastModified),
			b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
	})
	ranked = slices.CompactFunc(ranked, func(a, b Account) bool { return a.ID == b.ID })
	for i := range ranked {
		a := &ranked[i]
		c := ConsideredAccount{Account: *a}
		switch {
		case own(a):
			c.Chosen, c.Rule = true, "IMM-44 the matched Contact's account"
		case !a.ByDomain:
			c.Rule = "IMM-44 the account of a Contact who was not chosen"
		case i == 0 && (len(ranked) == 1 || !ranked[1].ByDomain):
			c.Chosen, c.Rule = true, "IMM-44 the account with the address's domain"
		case i == 0:
			c.Chosen, c.Rule = true, "IMM-44 first by LastModifiedDate DESC of those with the address's domain"
		case own(&ranked[0]):
			c.Rule = "IMM-44 behind the matched Contact's account"
		default:
			c.Rule = "IMM-44 behind by LastModifiedDate DESC"
		}
		considered = append(considered, c)
	}
	if len(considered) == 0 || !considered[0].Chosen {
		return nil, considered
	}
	return &considered[0].Account, considered
}
