package match

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// User is a Salesforce user with the content owner's address.
type User struct {
	// ID has 18 characters.
	ID     string
	Active bool
	// LastLogin is zero for a user who never logged in.
	LastLogin time.Time
	// Language is LanguageLocaleKey, e.g. "ja" or "en_US"; TimeZone is TimeZoneSidKey, an IANA name.
	Language, TimeZone  string
	Modified, CreatedAt time.Time
}

// OwnerFailure says why no user was found.
type OwnerFailure int

// The failures.
const (
	// OwnerFound: there is one.
	OwnerFound OwnerFailure = iota
	// OwnerNotFound: no user has the address.
	OwnerNotFound
	// OwnerInactive: the users with the address are inactive, which counts as none.
	OwnerInactive
)

// ConsideredUser is a user and its fate.
type ConsideredUser struct {
	User
	Chosen bool
	Rule   string
}

// DecideOwner chooses the active user; of several the one who logged in last, then the lowest id (IMM-27, IMM-30).
func DecideOwner(users []User) (owner *User, considered []ConsideredUser, failure OwnerFailure) {
	if len(users) == 0 {
		return nil, nil, OwnerNotFound
	}
	ranked := slices.Clone(users)
	slices.SortFunc(ranked, func(a, b User) int {
		return cmp.Or(compareBool(b.Active, a.Active), b.LastLogin.Compare(a.LastLogin), strings.Compare(a.ID, b.ID))
	})
	ranked = slices.CompactFunc(ranked, func(a, b User) bool { return a.ID == b.ID })
	several := len(ranked) > 1 && ranked[1].Active
	for i, u := range ranked {
		c := ConsideredUser{User: u, Chosen: i == 0 && u.Active}
		switch {
		case !u.Active:
			c.Rule = "IMM-30 inactive"
		case !several:
			c.Rule = "IMM-27 the active user with the owner's address"
		case c.Chosen:
			c.Rule = "IMM-30 several active users: logged in last, then lowest id"
		default:
			c.Rule = "IMM-30 behind another active user"
		}
		considered = append(considered, c)
	}
	if !ranked[0].Active {
		return nil, considered, OwnerInactive
	}
	return &considered[0].User, considered, OwnerFound
}
