package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Network is one that calls to Salesforce come from.
type Network struct {
	Network string
	// AnnouncedAt is when it was published first, From when on it is used; the zero time for one that always was.
	AnnouncedAt, From time.Time
}

// AnnounceNetworks decides about the networks of the installation: decide gets those that are known and returns those to be
// remembered besides, or an error that leaves everything as it was. One that another replica announces at the same time stays as
// the first of them announced it.
func (s *Store) AnnounceNetworks(ctx context.Context, decide func(known []Network) ([]Network, error)) error {
	return s.inTx(ctx, "announce networks", func(tx *sql.Tx) error {
		known, err := networks(ctx, tx)
		if err != nil {
			return err
		}
		next, err := decide(known)
		if err != nil {
			return err
		}
		for _, n := range next {
			_, err := tx.ExecContext(ctx, `INSERT INTO outgoing_networks (network, announced_at, used_from) VALUES ($1, $2, $3)
				ON CONFLICT (network) DO NOTHING`, n.Network, micros(n.AnnouncedAt), micros(n.From))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func networks(ctx context.Context, q queryer) ([]Network, error) {
	rows, err := q.QueryContext(ctx, "SELECT network, announced_at, used_from FROM outgoing_networks ORDER BY network")
	if err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Network
	for rows.Next() {
		var n Network
		var announced, from int64
		if err := rows.Scan(&n.Network, &announced, &from); err != nil {
			return nil, fmt.Errorf("read networks: %w", err)
		}
		n.AnnouncedAt, n.From = fromMicros(announced), fromMicros(from)
		out = append(out, n)
	}
	return out, rows.Err()
}
