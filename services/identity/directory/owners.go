package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/identity/match"
)

// unknownOwners returns the users who own candidates or were named, and are not known yet.
func (r *round) unknownOwners() []string {
	var ids []string
	for _, p := range r.people {
		for i := range p.candidates {
			if id := p.candidates[i].OwnerID; strings.HasPrefix(id, "005") && !r.recall(id) {
				ids = append(ids, id)
			}
		}
	}
	for _, all := range r.accounts {
		for i := range all {
			if id := all[i].OwnerID; strings.HasPrefix(id, "005") && !r.recall(id) {
				ids = append(ids, id)
			}
		}
	}
	for id := range r.named {
		if !r.recall(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// recall reports whether a user is known, from this round or from before.
func (r *round) recall(id string) bool {
	if _, ok := r.owners[id]; ok {
		return true
	}
	u, ok := r.dir.owners.Get(join(r.key, id), r.now)
	if ok = ok && r.dir.changes.Fresh(r.connectionKey(), u.asked, u.ID != "", id); ok {
		r.owners[id] = u.User
	}
	return ok
}

func (r *round) keepUsers(records []salesforce.Record) {
	keys := byAddress(r.contentOwners)
	found := make(map[string][]match.User, len(r.contentOwners))
	for _, rec := range records {
		address := normalized(rec, fieldEmail)
		if r.how.SandboxSuffix {
			address = strings.TrimSuffix(address, sandboxSuffix)
		}
		for _, key := range keys[address] {
			found[key] = append(found[key], user(rec))
		}
	}
	for key := range r.contentOwners {
		r.users[key] = found[key]
		r.dir.users.Put(key, users{found[key], r.asked}, r.dir.expiry(len(found[key]) > 0, r.now))
	}
}

// askOwners learns about the users who own candidates or were named.
func (r *round) askOwners(ctx context.Context, q querier) error {
	ids := r.unknownOwners()
	if len(ids) == 0 {
		return nil
	}
	records, err := q.in(ctx, userFields, "User", "Id", ids)
	if err != nil {
		return err
	}
	found := make(map[string]match.User, len(records))
	for _, rec := range records {
		found[rec.String("Id")] = user(rec)
	}
	for _, id := range ids {
		u, ok := found[id]
		r.owners[id] = u // One that is not visible is known as nobody.
		r.dir.owners.Put(join(r.key, id), owner{u, r.asked}, r.dir.expiry(ok, r.now))
	}
	return nil
}

func (r *round) ownersKnown(candidates []match.Candidate, accounts []match.Account, named []string) bool {
	ids := slices.Clone(named)
	for i := range candidates {
		ids = append(ids, candidates[i].OwnerID)
	}
	for i := range accounts {
		ids = append(ids, accounts[i].OwnerID)
	}
	return !slices.ContainsFunc(ids, func(id string) bool {
		_, ok := r.owners[id]
		return !ok && strings.HasPrefix(id, "005")
	})
}
