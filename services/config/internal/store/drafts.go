package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrFull means that the workspace has as many as it may have.
var ErrFull = errors.New("there are as many as there may be")

// Draft is what somebody has entered and not finished.
type Draft struct {
	Workspace, Kind, ID string
	Version             int64
	Content             string
	SavedAt             time.Time
	SavedBy             string
	ExpiresAt           time.Time
}

// PutDraft saves a draft as the version after d.Version, 0 to add one, when the workspace has fewer than most. The error is
// ErrStale, with the draft that is there, ErrNotFound or ErrFull. What has expired by d.SavedAt is not there.
func (s *Store) PutDraft(ctx context.Context, d Draft, most int) (there Draft, err error) {
	err = s.inTx(ctx, "save draft "+d.ID, func(tx *sql.Tx) error {
		if err := s.lockWorkspace(ctx, tx, d.Workspace); err != nil {
			return err
		}
		var err error
		there, err = scanDraft(tx.QueryRowContext(ctx, "SELECT "+draftColumns+` FROM drafts
			WHERE workspace = $1 AND kind = $2 AND id = $3 AND expires_at > $4`, d.Workspace, d.Kind, d.ID, micros(d.SavedAt)))
		switch {
		case errors.Is(err, ErrNotFound) && d.Version == 0:
			if err := draftsHaveRoom(ctx, tx, d, most); err != nil {
				return err
			}
		case err != nil:
			return err
		case there.Version != d.Version:
			return ErrStale
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO drafts (workspace, kind, id, version, content, saved_at, saved_by, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (workspace, kind, id) DO UPDATE SET version = excluded.version,
			content = excluded.content, saved_at = excluded.saved_at, saved_by = excluded.saved_by, expires_at = excluded.expires_at`,
			d.Workspace, d.Kind, d.ID, d.Version+1, d.Content, micros(d.SavedAt), d.SavedBy, micros(d.ExpiresAt))
		return err
	})
	return there, err
}

// draftsHaveRoom keeps drafts bounded (promise 7).
func draftsHaveRoom(ctx context.Context, tx *sql.Tx, d Draft, most int) error {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM drafts WHERE workspace = $1 AND expires_at > $2", d.Workspace, micros(d.SavedAt)).Scan(&n)
	if err == nil && n >= most {
		return ErrFull
	}
	return err
}

const draftColumns = "workspace, kind, id, version, content, saved_at, saved_by, expires_at"

// Draft reads one that has not expired by now; the error is ErrNotFound if there is none.
func (s *Store) Draft(ctx context.Context, workspace, kind, id string, now time.Time) (Draft, error) {
	return scanDraft(s.read.QueryRowContext(ctx, "SELECT "+draftColumns+` FROM drafts
		WHERE workspace = $1 AND kind = $2 AND id = $3 AND expires_at > $4`, workspace, kind, id, micros(now)))
}

// Drafts reads those of a workspace that have not expired by now, of one kind or, for "", of all, by kind and id, without
// their content.
func (s *Store) Drafts(ctx context.Context, workspace, kind string, now time.Time) ([]Draft, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT workspace, kind, id, version, '', saved_at, saved_by, expires_at FROM drafts
		WHERE workspace = $1 AND ($2 = '' OR kind = $2) AND expires_at > $3 ORDER BY kind, id`, workspace, kind, micros(now))
	if err != nil {
		return nil, fmt.Errorf("read drafts of %s: %w", workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Draft
	for rows.Next() {
		d, err := scanDraft(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// DeleteDraft deletes one; the error is ErrNotFound if there is none.
func (s *Store) DeleteDraft(ctx context.Context, workspace, kind, id string) error {
	result, err := s.write.ExecContext(ctx, "DELETE FROM drafts WHERE workspace = $1 AND kind = $2 AND id = $3", workspace, kind, id)
	if err != nil {
		return fmt.Errorf("delete draft %s: %w", id, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return ErrNotFound
}

// PurgeDrafts deletes up to limit drafts of any workspace that have expired by the given time, and returns how many it deleted.
func (s *Store) PurgeDrafts(ctx context.Context, by time.Time, limit int) (int64, error) {
	result, err := s.write.ExecContext(ctx, `DELETE FROM drafts WHERE (workspace, kind, id) IN
		(SELECT workspace, kind, id FROM drafts WHERE expires_at <= $1 LIMIT $2)`, micros(by), limit)
	if err != nil {
		return 0, fmt.Errorf("purge drafts: %w", err)
	}
	return result.RowsAffected()
}

func scanDraft(row interface{ Scan(dest ...any) error }) (Draft, error) {
	var d Draft
	var saved, expires int64
	err := row.Scan(&d.Workspace, &d.Kind, &d.ID, &d.Version, &d.Content, &saved, &d.SavedBy, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Draft{}, ErrNotFound
	}
	d.SavedAt, d.ExpiresAt = fromMicros(saved), fromMicros(expires)
	return d, err
}
