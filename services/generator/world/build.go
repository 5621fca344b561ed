package world

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// stream is the second word of the PCG seed: "world" in ASCII.
const stream = 0x776f726c64

// New makes the world that the configuration describes.
func New(cfg Config) (*World, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	w := &World{Seed: cfg.Seed, Now: cfg.Now.UTC()}
	for i, wc := range cfg.Workspaces {
		b := newBuilder(cfg, wc, i)
		b.staff()
		b.contents(cfg.Contents)
		b.viewers(cfg.Viewers)
		w.Workspaces = append(w.Workspaces, b.ws)
	}
	return w, nil
}

// builder makes one workspace. Every workspace has its own random source, so that adding one leaves the others as
// they are.
type builder struct {
	rnd   *rand.Rand
	index int
	// today is the start of the day the world stands at; all dates are drawn before it.
	today time.Time
	ws    *Workspace
	names nameBook
	// counters of record ids, by key prefix.
	counters map[string]int
	active   []int // indexes of active users
	inactive []int
	taken    map[string]bool // addresses in use
}

func newBuilder(cfg Config, wc WorkspaceConfig, index int) *builder {
	if len(wc.Assignees) == 0 {
		wc.Assignees = []Assignee{RecordOwner}
	}
	if wc.Weight == 0 {
		wc.Weight = 1
	}
	b := &builder{
		rnd:      rand.New(rand.NewPCG(cfg.Seed, stream+uint64(index)<<40)),
		index:    index,
		today:    cfg.Now.UTC().Truncate(24 * time.Hour),
		names:    namesFor(wc.Language),
		counters: make(map[string]int),
		taken:    make(map[string]bool),
	}
	b.ws = &Workspace{
		ID: wc.ID, Name: wc.Name, Language: wc.Language, Connection: wc.ID + "-org",
		HistoryURL: "https://app.example/" + wc.ID + "/people",
		Assignees:  wc.Assignees, Weight: wc.Weight,
		Org: Org{Name: wc.Name, TimeZone: wc.TimeZone, Package: wc.Package},
	}
	b.ws.Org.ID = b.id("00D")
	return b
}

// id returns the next record id for a key prefix.
func (b *builder) id(prefix string) string {
	b.counters[prefix]++
	return salesforceID(prefix, b.index, b.counters[prefix])
}

// staff makes users, queues and accounts: 24 users of whom every sixth has left, two of whom share an address.
func (b *builder) staff() {
	org := &b.ws.Org
	org.IntegrationUser = b.id("005")
	org.Users = append(org.Users, User{
		ID: org.IntegrationUser, Username: "throughline@" + b.ws.ID + ".example", LastName: "Throughline",
		Email: "throughline@" + b.ws.ID + ".example", Active: true, Language: "en_US", LastLoginAt: b.date(1),
	})
	for i := range 24 {
		first, last := b.names.draw(b.rnd)
		u := User{
			ID: b.id("005"), FirstName: first, LastName: last, Active: i%6 != 5,
			Username: fmt.Sprintf("user%02d@%s.example", i, b.ws.ID),
			Email:    fmt.Sprintf("user%02d@%s.example", i, b.ws.ID),
			Language: "en_US", LastLoginAt: b.date(30),
		}
		if b.ws.Language == "ja" && i%4 != 3 {
			u.Language = "ja"
		}
		if i == 1 { // user00 and user01 share a mailbox; the one who logged in last is meant
			u.Email = "user00@" + b.ws.ID + ".example"
		}
		if u.Active {
			b.active = append(b.active, len(org.Users))
		} else {
			b.inactive = append(b.inactive, len(org.Users))
		}
		org.Users = append(org.Users, u)
	}
	for i := range 3 {
		org.Queues = append(org.Queues, Queue{ID: b.id("00G"), Name: fmt.Sprintf("Inbound %d", i+1)})
	}
	for i := range 40 {
		org.Accounts = append(org.Accounts, Account{ID: b.id("001"), Name: b.names.company(b.rnd, i)})
	}
}

// date draws a second within the last days days.
func (b *builder) date(days int) time.Time {
	return b.today.Add(-time.Duration(1+b.rnd.IntN(days*86400-1)) * time.Second)
}

// chance is true with the probability.
func (b *builder) chance(p float64) bool { return b.rnd.Float64() < p }

func (b *builder) activeUser() User {
	return b.ws.Org.Users[b.active[b.rnd.IntN(len(b.active))]]
}

func (b *builder) inactiveUser() User {
	return b.ws.Org.Users[b.inactive[b.rnd.IntN(len(b.inactive))]]
}

// leadOwner draws the owner of a lead: 78 % an active user, 12 % one who has left, 10 % a queue.
func (b *builder) leadOwner() string {
	switch p := b.rnd.Float64(); {
	case p < 0.78:
		return b.activeUser().ID
	case p < 0.90:
		return b.inactiveUser().ID
	default:
		return b.ws.Org.Queues[b.rnd.IntN(len(b.ws.Org.Queues))].ID
	}
}

// contactOwner draws the owner of a contact: 86 % an active user, 14 % one who has left. Queues cannot own contacts.
func (b *builder) contactOwner() string {
	if b.chance(0.86) {
		return b.activeUser().ID
	}
	return b.inactiveUser().ID
}
