package directory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/idna"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/match"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// The fields read of each object.
const (
	leadFields    = "Id, Email, OwnerId, LastModifiedDate, CreatedDate, IsConverted, ConvertedContactId"
	contactFields = "Id, Email, OwnerId, AccountId, LastModifiedDate, CreatedDate"
	userFields    = "Id, Email, IsActive, LastLoginDate, LanguageLocaleKey, TimeZoneSidKey, LastModifiedDate, CreatedDate"
)

// fieldEmail holds the address of a Lead, Contact or User.
const fieldEmail = "Email"

// sandboxSuffix is what Salesforce appends to the addresses of users when it makes a sandbox, so that nothing is sent.
const sandboxSuffix = ".invalid"

// fieldList adds fields to a list, each once: a query that names one twice is refused.
func fieldList(list string, more ...[]string) string {
	all := strings.Split(list, ", ")
	for _, fields := range more {
		for _, f := range fields {
			if !slices.ContainsFunc(all, func(have string) bool { return strings.EqualFold(have, f) }) {
				all = append(all, f)
			}
		}
	}
	return strings.Join(all, ", ")
}

// querier asks one org with lists of keys.
type querier struct {
	org   Org
	chunk int
	sent  *atomic.Int64
}

// in returns the records of an object whose field has one of the values, asking as often as the list needs.
func (q querier) in(ctx context.Context, fields, object, field string, values []string) ([]salesforce.Record, error) {
	var all []salesforce.Record
	for chunk := range slices.Chunk(values, q.chunk) {
		records, err := q.one(ctx, "SELECT "+fields+" FROM "+object+" WHERE "+field+" IN ", chunk)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	return all, nil
}

// one asks with one query, or with two of half the values when one is too long or finds too much.
func (q querier) one(ctx context.Context, start string, values []string) ([]salesforce.Record, error) {
	soql := start + salesforce.QuoteList(values)
	if salesforce.QueryFits(soql) || len(values) == 1 {
		q.sent.Add(1)
		records, err := q.org.Query(ctx, soql)
		var e *salesforce.Error
		if err == nil || len(values) == 1 || !errors.As(err, &e) || !e.Split {
			return records, err
		}
	}
	half := len(values) / 2
	first, err := q.one(ctx, start, values[:half])
	if err != nil {
		return nil, err
	}
	second, err := q.one(ctx, start, values[half:])
	return append(first, second...), err
}

// variants returns the spellings under which an org may hold the addresses: as they are, as they were sent, and with the domain
// in its international form (IMM-31). Case does not matter to Salesforce, but for fields that are encrypted deterministically
// with regard to it (ZOOM-4). Source: Salesforce Help, "Filter Encrypted Data with Deterministic Encryption".
func variants(byKey map[string]string, sent map[string]map[string]bool) []string {
	set := make(map[string]bool, len(byKey))
	for _, address := range byKey {
		spell(set, address)
		for other := range sent[address] {
			spell(set, other)
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func spell(set map[string]bool, address string) {
	set[address] = true
	if local, domain, ok := strings.Cut(address, "@"); ok && strings.Contains(domain, "xn--") {
		if international, err := idna.ToUnicode(domain); err == nil {
			set[local+"@"+international] = true
		}
	}
}

func byAddress(byKey map[string]string) map[string][]string {
	keys := make(map[string][]string, len(byKey))
	for key, address := range byKey {
		keys[address] = append(keys[address], key)
	}
	return keys
}

// suffixed adds to addresses the form they have in a sandbox.
func suffixed(addresses []string) []string {
	all := slices.Clone(addresses)
	for _, a := range addresses {
		all = append(all, a+sandboxSuffix)
	}
	return all
}

// normalized returns a record's address in the form in which addresses are compared, "" if it is none.
func normalized(rec salesforce.Record, field string) string {
	address, err := normalize.Email(rec.String(field))
	if err != nil {
		return ""
	}
	return address
}

func candidate(object string, rec salesforce.Record, fields []string) match.Candidate {
	c := match.Candidate{
		ID:                 rec.String("Id"),
		Object:             object,
		OwnerID:            rec.String("OwnerId"),
		AccountID:          rec.String("AccountId"),
		LastModified:       rec.Time("LastModifiedDate"),
		CreatedAt:          rec.Time("CreatedDate"),
		Converted:          rec.Bool("IsConverted"),
		ConvertedContactID: rec.String("ConvertedContactId"),
		Preferences:        preferences(rec),
	}
	for _, f := range fields {
		if c.Extra == nil {
			c.Extra = make(map[string]any, len(fields))
		}
		c.Extra[f] = rec.Value(f)
	}
	asPair(&c, rec)
	return c
}

func user(rec salesforce.Record) match.User {
	return match.User{
		ID:        rec.String("Id"),
		Active:    rec.Bool("IsActive"),
		LastLogin: rec.Time("LastLoginDate"),
		Language:  rec.String("LanguageLocaleKey"),
		TimeZone:  rec.String("TimeZoneSidKey"),
		Modified:  rec.Time("LastModifiedDate"),
		CreatedAt: rec.Time("CreatedDate"),
	}
}

func has(candidates []match.Candidate, id string) bool {
	return slices.ContainsFunc(candidates, func(c match.Candidate) bool { return c.ID == id })
}

func sortedKeys(m map[string][]string) []string { return slices.Sorted(maps.Keys(m)) }
