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
