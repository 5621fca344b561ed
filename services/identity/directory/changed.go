package directory

import (
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/identity/fresh"
)

// Changed is told what is not what it was. Whatever is remembered of it is asked for again, also what is being asked for at this
// moment (XC-42). What we changed ourselves leaves everything by which people are chosen as it was, but for the date of the
// one who had been chosen.
func (s *Salesforce) Changed(c *streamv1.Change) {
	key := join(c.GetWorkspace(), c.GetConnection()) // see round.connectionKey
	if c.GetChangeType() == streamv1.ChangeType_CHANGE_TYPE_EVERYTHING {
		s.changes.Everything(key)
		return
	}
	if c.GetOwn() {
		return
	}
	s.changes.Changed(key, append(c.GetRecordIds(), c.GetPersonKeys()...), s.clock.Now())
	if c.GetKeysUnknown() {
		s.changes.Appeared(key)
	}
}

// Missed says that any org may have changed.
func (s *Salesforce) Missed() { s.changes.Restart() }

// holds reports whether remembered people are still who they were: neither has a record of theirs changed, nor was their address
// given to another one.
func (r *round) holds(p people, personKey string) bool {
	names := append(make([]string, 0, 1+2*len(p.candidates)), personKey)
	for i := range p.candidates {
		c := &p.candidates[i]
		names = append(names, c.ID)
		if c.PersonAccount {
			names = append(names, c.AccountID) // One person with it (XC-41).
		}
	}
	return r.fresh(p.asked, len(p.candidates) > 0, names)
}

func (r *round) usersHold(u users, personKey string) bool {
	names := append(make([]string, 0, 1+len(u.found)), personKey)
	for i := range u.found {
		names = append(names, u.found[i].ID)
	}
	return r.fresh(u.asked, len(u.found) > 0, names)
}

func (r *round) fresh(asked fresh.Mark, found bool, names []string) bool {
	if r.dir.changes.Fresh(r.connectionKey(), asked, found, names...) {
		return true
	}
	r.dir.stats.Stale.Add(1)
	return false
}

// connectionKey names the connection in the log of changes, whichever org it is with: a change tells of a connection, and what is
// remembered of an org that it was with before is none the better for being kept.
func (r *round) connectionKey() string { return join(r.workspace, r.connection) }
