package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// DescribeKey names what a connection's org said of one object; Object is "" for the list of objects.
type DescribeKey struct{ Workspace, Connection, Object string }

// Describe is what an org said.
type Describe struct {
	DescribeKey
	// ConnectionVersion is the version of the connection that asked.
	ConnectionVersion int64
	// Body is what it said; empty: there is no such object for the connection's user.
	Body []byte
	// ModifiedAt is the org's own time stamp of its answer; zero when it gave none.
	ModifiedAt time.Time
	// AskedAt is when the org confirmed this for the last time, ReadAt when it said it in full.
	AskedAt, ReadAt time.Time
}

// Describe reads one; the error is ErrNotFound if the org was never asked.
func (s *Store) Describe(ctx context.Context, key DescribeKey) (Describe, error) {
	out := Describe{DescribeKey: key}
	var modified, asked, read int64
	err := s.read.QueryRowContext(ctx, `SELECT connection_version, body, modified_at, asked_at, read_at FROM describes
		WHERE workspace = $1 AND connection = $2 AND object = $3`, key.Workspace, key.Connection, key.Object).
		Scan(&out.ConnectionVersion, &out.Body, &modified, &asked, &read)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Describe{}, ErrNotFound
	case err != nil:
		return Describe{}, fmt.Errorf("read describe of %s: %w", key.Object, err)
	}
	if modified != 0 {
		out.ModifiedAt = fromMicros(modified)
	}
	out.AskedAt, out.ReadAt = fromMicros(asked), fromMicros(read)
	return out, nil
}

// PutDescribe keeps what an org said in the place of what it said before. An answer older than the one that is there is
// not kept: several replicas may ask.
func (s *Store) PutDescribe(ctx context.Context, d Describe) error {
	modified := int64(0)
	if !d.ModifiedAt.IsZero() {
		modified = micros(d.ModifiedAt)
	}
	if d.Body == nil {
		d.Body = []byte{}
	}
	_, err := s.write.ExecContext(ctx, `INSERT INTO describes
		(workspace, connection, object, connection_version, body, modified_at, asked_at, read_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace, connection, object) DO UPDATE SET
		connection_version = excluded.connection_version, body = excluded.body, modified_at = excluded.modified_at,
		asked_at = excluded.asked_at, read_at = excluded.read_at WHERE describes.asked_at <= excluded.asked_at`,
		d.Workspace, d.Connection, d.Object, d.ConnectionVersion, d.Body, modified, micros(d.AskedAt), micros(d.ReadAt))
	if err != nil {
		return fmt.Errorf("keep describe of %s: %w", d.Object, err)
	}
	return nil
}

// DescribeTimes tells, by object, when the org of a connection was asked for the last time.
func (s *Store) DescribeTimes(ctx context.Context, workspace, connection string) (map[string]time.Time, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT object, asked_at FROM describes WHERE workspace = $1 AND connection = $2",
		workspace, connection)
	if err != nil {
		return nil, fmt.Errorf("read describes of %s: %w", connection, err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]time.Time{}
	for rows.Next() {
		var object string
		var asked int64
		if err := rows.Scan(&object, &asked); err != nil {
			return nil, fmt.Errorf("read describes of %s: %w", connection, err)
		}
		out[object] = fromMicros(asked)
	}
	return out, rows.Err()
}

// DropDescribe forgets what an org said of an object that nobody uses any more.
func (s *Store) DropDescribe(ctx context.Context, key DescribeKey) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM describes WHERE workspace = $1 AND connection = $2 AND object = $3",
		key.Workspace, key.Connection, key.Object)
	if err != nil {
		return fmt.Errorf("forget describe of %s: %w", key.Object, err)
	}
	return nil
}

// Broken is an integration whose newest version does not fit its org.
type Broken struct {
	Workspace, Integration, Connection string
	// Version is the one that was checked.
	Version int64
	// FoundAt is when it was found for the first time.
	FoundAt time.Time
	// Body is what is wrong.
	Body []byte
}

// PutBroken keeps what is wrong with an integration, unless a newer version was saved meanwhile. It reports whether the
// integration was not known to be broken.
func (s *Store) PutBroken(ctx context.Context, b Broken) (isNew bool, err error) {
	err = s.inTx(ctx, "keep what is wrong with integration "+b.Integration, func(tx *sql.Tx) error {
		newest, err := s.lockVersion(ctx, tx, Key{Workspace: b.Workspace, Kind: KindIntegration, ID: b.Integration})
		if err != nil || newest != b.Version {
			return err
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO broken_integrations
			(workspace, integration, connection, version, found_at, body) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			b.Workspace, b.Integration, b.Connection, b.Version, micros(b.FoundAt), b.Body)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if isNew = n == 1; err != nil || isNew {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE broken_integrations SET connection = $1, version = $2, body = $3
			WHERE workspace = $4 AND integration = $5`, b.Connection, b.Version, b.Body, b.Workspace, b.Integration)
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

// DropBroken notes that a version of an integration is in order, and so those before it are of no account. It reports whether
// one of them was known to be broken.
func (s *Store) DropBroken(ctx context.Context, key Key, version int64) (bool, error) {
	result, err := s.write.ExecContext(ctx, "DELETE FROM broken_integrations WHERE workspace = $1 AND integration = $2 AND version <= $3",
		key.Workspace, key.ID, version)
	if err != nil {
		return false, fmt.Errorf("forget what was wrong with integration %s: %w", key.ID, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// BrokenOf reads a workspace's broken integrations, by id.
func (s *Store) BrokenOf(ctx context.Context, workspace string) ([]Broken, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT workspace, integration, connection, version, found_at, body FROM broken_integrations
		WHERE workspace = $1 ORDER BY integration`, workspace)
	return scanBroken(rows, err)
}

func scanBroken(rows *sql.Rows, err error) ([]Broken, error) {
	if err != nil {
		return nil, fmt.Errorf("read broken integrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Broken
	for rows.Next() {
		var b Broken
		var found int64
		if err := rows.Scan(&b.Workspace, &b.Integration, &b.Connection, &b.Version, &found, &b.Body); err != nil {
			return nil, fmt.Errorf("read broken integrations: %w", err)
		}
		b.FoundAt = fromMicros(found)
		out = append(out, b)
	}
	return out, rows.Err()
}

// BrokenCount is how many integrations of a connection are broken.
type BrokenCount struct {
	Workspace, Connection string
	N                     int64
}

// BrokenCounts counts over all workspaces, for metrics.
func (s *Store) BrokenCounts(ctx context.Context) ([]BrokenCount, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT workspace, connection, COUNT(*) FROM broken_integrations
		GROUP BY workspace, connection ORDER BY workspace, connection`)
	if err != nil {
		return nil, fmt.Errorf("count broken integrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []BrokenCount
	for rows.Next() {
		var c BrokenCount
		if err := rows.Scan(&c.Workspace, &c.Connection, &c.N); err != nil {
			return nil, fmt.Errorf("count broken integrations: %w", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
