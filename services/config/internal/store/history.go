package store

import (
	"context"
	"fmt"
)

// Version is one version of a document with why it was saved.
type Version struct {
	Document
	Reason string
	// SealedChanged is set if secrets were saved with it.
	SealedChanged bool
}

// HistoryPage reads up to limit versions of one document before a version, 0 from the newest, newest first. The reason is
// that of the audit log, and gone when its entry is.
func (s *Store) HistoryPage(ctx context.Context, key Key, before int64, limit int) ([]Version, error) {
	if before <= 0 {
		before = 1<<62 - 1
	}
	rows, err := s.read.QueryContext(ctx, `SELECT h.workspace, h.kind, h.id, h.version, h.body, h.sealed_changed, h.saved_at, h.saved_by,
		COALESCE((SELECT MAX(a.reason) FROM audit a
			WHERE a.workspace = h.workspace AND a.kind = h.kind AND a.target = h.id AND a.version = h.version), '')
		FROM history h WHERE h.workspace = $1 AND h.kind = $2 AND h.id = $3 AND h.version < $4 ORDER BY h.version DESC LIMIT $5`,
		key.Workspace, key.Kind, key.ID, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read history of %s %s: %w", key.Kind, key.ID, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Version
	for rows.Next() {
		var v Version
		var saved, sealed int64
		if err := rows.Scan(&v.Workspace, &v.Kind, &v.ID, &v.Version, &v.Body, &sealed, &saved, &v.SavedBy, &v.Reason); err != nil {
			return nil, err
		}
		v.SavedAt, v.SealedChanged = fromMicros(saved), sealed != 0
		out = append(out, v)
	}
	return out, rows.Err()
}

// PurgeHistory deletes versions of settings that were replaced before the purge's time, and returns how many it deleted. The newest version of a setting stays however old it is.
func (s *Store) PurgeHistory(ctx context.Context, p Purge) (int64, error) {
	spared, args := p.spare("n.workspace", micros(p.Before), p.Limit)
	result, err := s.write.ExecContext(ctx, `DELETE FROM history WHERE (workspace, kind, id, version) IN
		(SELECT h.workspace, h.kind, h.id, h.version FROM history h JOIN history n
			ON n.workspace = h.workspace AND n.kind = h.kind AND n.id = h.id AND n.version = h.version + 1
			WHERE n.saved_at < $1`+spared+` LIMIT $2)`, args...)
	if err != nil {
		return 0, fmt.Errorf("purge history of settings: %w", err)
	}
	return result.RowsAffected()
}
