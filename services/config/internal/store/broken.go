package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Broken is an integration or a report push whose newest version does not fit its org.
type Broken struct {
	Workspace, Connection string
	// Kind is KindIntegration or KindReportPush, ID that of the setting.
	Kind Kind
	ID   string
	// Version is the one that was checked.
	Version int64
	// FoundAt is when it was found for the first time.
	FoundAt time.Time
	// Body is what is wrong.
	Body []byte
}

// brokenTable is where what is broken of a kind is kept, and the column of its id.
func brokenTable(kind Kind) (table, id string, err error) {
	switch kind {
	case KindIntegration:
		return "broken_integrations", "integration", nil
	case KindReportPush:
		return "broken_pushes", "push", nil
	}
	return "", "", fmt.Errorf("a %s is never broken", kind)
}

// PutBroken keeps what is wrong with a setting, unless a newer version was saved meanwhile. It reports whether the setting was not
// known to be broken.
func (s *Store) PutBroken(ctx context.Context, b Broken) (isNew bool, err error) {
	table, id, err := brokenTable(b.Kind)
	if err != nil {
		return false, err
	}
	err = s.inTx(ctx, fmt.Sprintf("keep what is wrong with %s %s", b.Kind, b.ID), func(tx *sql.Tx) error {
		newest, err := s.lockVersion(ctx, tx, Key{Workspace: b.Workspace, Kind: b.Kind, ID: b.ID})
		if err != nil || newest != b.Version {
			return err
		}
		result, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (workspace, "+id+`, connection, version, found_at, body)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			b.Workspace, b.ID, b.Connection, b.Version, micros(b.FoundAt), b.Body)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if isNew = n == 1; err != nil || isNew {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE "+table+" SET connection = $1, version = $2, body = $3 WHERE workspace = $4 AND "+id+" = $5",
			b.Connection, b.Version, b.Body, b.Workspace, b.ID)
		return err
	})
	return isNew, err
}

// lockVersion returns the newest version of a document, 0 for none, and keeps it the newest until the transaction ends.
func (s *Store) lockVersion(ctx context.Context, tx *sql.Tx, key Key) (int64, error) {
	var version int64
	err := tx.QueryRowContext(ctx, "SELECT version FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3"+s.dialect.lockRows,
		key.Workspace, key.Kind, key.ID).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

// DropBroken notes that a version of a setting is in order, and so those before it are of no account. It reports whether one of them
// was known to be broken.
func (s *Store) DropBroken(ctx context.Context, key Key, version int64) (bool, error) {
	table, id, err := brokenTable(key.Kind)
	if err != nil {
		return false, err
	}
	result, err := s.write.ExecContext(ctx, "DELETE FROM "+table+" WHERE workspace = $1 AND "+id+" = $2 AND version <= $3",
		key.Workspace, key.ID, version)
	if err != nil {
		return false, fmt.Errorf("forget what was wrong with %s %s: %w", key.Kind, key.ID, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// broken is all that is broken, of all workspaces.
const broken = `(SELECT workspace, 0 AS place, '` + string(KindIntegration) + `' AS kind, integration AS id, connection, version, found_at, body
	FROM broken_integrations
	UNION ALL SELECT workspace, 1, '` + string(KindReportPush) + `', push, connection, version, found_at, body FROM broken_pushes) AS broken`

const brokenColumns = "workspace, kind, id, connection, version, found_at, body"

// BrokenOf reads what is broken in a workspace: integrations and then report pushes, each by id.
func (s *Store) BrokenOf(ctx context.Context, workspace string) ([]Broken, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+brokenColumns+" FROM "+broken+" WHERE workspace = $1 ORDER BY place, id", workspace)
	return scanBroken(rows, err)
}

// Broken reads what is broken in all workspaces. It serves looking for what is in the way.
func (s *Store) Broken(ctx context.Context) ([]Broken, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+brokenColumns+" FROM "+broken+" ORDER BY workspace, place, id")
	return scanBroken(rows, err)
}

func scanBroken(rows *sql.Rows, err error) ([]Broken, error) {
	if err != nil {
		return nil, fmt.Errorf("read what is broken: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Broken
	for rows.Next() {
		var b Broken
		var found int64
		if err := rows.Scan(&b.Workspace, &b.Kind, &b.ID, &b.Connection, &b.Version, &found, &b.Body); err != nil {
			return nil, fmt.Errorf("read what is broken: %w", err)
		}
		b.FoundAt = fromMicros(found)
		out = append(out, b)
	}
	return out, rows.Err()
}

// BrokenCount is how many settings of a kind and a connection are broken.
type BrokenCount struct {
	Workspace, Connection string
	Kind                  Kind
	N                     int64
}

// BrokenCounts counts over all workspaces, for metrics.
func (s *Store) BrokenCounts(ctx context.Context) ([]BrokenCount, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT workspace, connection, kind, COUNT(*) FROM "+broken+
		" GROUP BY workspace, connection, kind ORDER BY workspace, connection, kind")
	if err != nil {
		return nil, fmt.Errorf("count what is broken: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []BrokenCount
	for rows.Next() {
		var c BrokenCount
		if err := rows.Scan(&c.Workspace, &c.Connection, &c.Kind, &c.N); err != nil {
			return nil, fmt.Errorf("count what is broken: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
