package outgoing

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Ahead is how long before its use a network is announced (IMM-4).
const Ahead = 30 * 24 * time.Hour

// Change is a network that calls will come from.
type Change struct {
	// Network, e.g. 203.0.113.0/28.
	Network string `yaml:"network"`
	// From is when on: a day in UTC such as 2027-03-01, or a time in RFC 3339.
	From string `yaml:"from"`
}

func (c Change) from() (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, c.From); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, c.From)
}

// CheckNetwork reports why a text is no network.
func CheckNetwork(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Masked() != p {
		return errors.New("want a network such as 203.0.113.0/28")
	}
	return nil
}

// Validate names the key that is wrong.
func (c Change) Validate() error {
	if err := CheckNetwork(c.Network); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if _, err := c.from(); err != nil {
		return errors.New("from: want a day such as 2027-03-01, or a time in RFC 3339")
	}
	return nil
}

// Store remembers what was announced; see store.Store.
type Store interface {
	AnnounceNetworks(ctx context.Context, decide func(known []store.Network) ([]store.Network, error)) error
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

// Networks is what is published. Safe for concurrent use.
type Networks struct {
	current []string
	changes []store.Network
	clock   Clock
}

// New publishes the networks in use and the changes to come, which must be valid. The first networks of an installation need no
// announcement: nobody has allowed others yet. The error names the key of a network that is taken into use too soon.
func New(ctx context.Context, current []string, changes []Change, st Store, clock Clock) (*Networks, error) {
	n := &Networks{current: slices.Clone(current), clock: clock}
	var refused error
	err := st.AnnounceNetworks(ctx, func(known []store.Network) (next []store.Network, err error) {
		next, refused = n.decide(known, changes)
		return next, refused
	})
	if refused != nil {
		return nil, refused // the key comes first
	}
	return n, err
}

// decide notes what is published, and returns what is announced for the first time.
func (n *Networks) decide(known []store.Network, changes []Change) ([]store.Network, error) {
	now := n.clock.Now()
	n.changes = nil
	seen := map[string]store.Network{}
	for _, k := range known {
		seen[k.Network] = k
	}
	var next []store.Network
	for i, c := range changes {
		from, err := c.from()
		if err != nil {
			return nil, err
		}
		k, announced := seen[c.Network]
		if !announced {
			k = store.Network{Network: c.Network, AnnouncedAt: now, From: from}
			next = append(next, k)
		}
		if earliest := k.AnnouncedAt.Add(Ahead); from.Before(earliest) && !slices.Contains(n.current, c.Network) {
			return nil, fmt.Errorf("outgoing_changes[%d].from: %s is announced since %s; customers have 30 days to allow it, so the earliest is %s",
				i, c.Network, k.AnnouncedAt.UTC().Format(time.DateOnly), earliest.UTC().Format(time.RFC3339))
		}
		k.From = from
		n.changes = append(n.changes, k)
	}
	for i, network := range n.current {
		k, announced := seen[network]
		switch {
		case !announced && len(known) == 0:
			next = append(next, store.Network{Network: network, AnnouncedAt: now})
		case !announced:
			return nil, fmt.Errorf("outgoing_addresses[%d]: %s was never announced; list it under outgoing_changes, from 30 days from now on", i, network)
		case now.Before(k.From):
			return nil, fmt.Errorf("outgoing_addresses[%d]: %s was announced for %s; leave it under outgoing_changes until then",
				i, network, k.From.UTC().Format(time.RFC3339))
		}
	}
	return next, nil
}

// InUse are the networks that calls come from now.
func (n *Networks) InUse() []string {
	out := slices.Clone(n.current)
	for _, c := range n.changes {
		if !n.clock.Now().Before(c.From) && !slices.Contains(out, c.Network) {
			out = append(out, c.Network)
		}
	}
	return out
}

// Announced are those to come, the nearest first.
func (n *Networks) Announced() []*configv1.OutgoingChange {
	var out []*configv1.OutgoingChange
	for _, c := range n.changes {
		if n.clock.Now().Before(c.From) {
			out = append(out, &configv1.OutgoingChange{Network: c.Network, From: timestamppb.New(c.From)})
		}
	}
	slices.SortStableFunc(out, func(a, b *configv1.OutgoingChange) int { return a.GetFrom().AsTime().Compare(b.GetFrom().AsTime()) })
	return out
}
