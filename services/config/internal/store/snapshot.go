package store

import (
	"context"
	"fmt"
)

// Snapshot is every setting of every workspace at one revision.
type Snapshot struct {
	Revision int64
	// Documents are the newest versions, by workspace, kind and id. Only workspaces carry what is sealed: their keys.
	Documents []Document
	// Integrations are all versions of integrations, by workspace, id and version.
	Integrations []Document
	// Suppressions keep erased people out, by workspace and person key.
	Suppressions []Suppression
}

// Revision returns the newest revision.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	var revision int64
	if err := s.read.QueryRowContext(ctx, "SELECT value FROM revision WHERE id = 1").Scan(&revision); err != nil {
		return 0, fmt.Errorf("read settings revision: %w", err)
	}
	return revision, nil
}

// Snapshot reads all workspaces as of one moment. It serves the data plane, which works for all of them.
func (s *Store) Snapshot(ctx context.Context) (Snapshot, error) {
	tx, err := s.read.BeginTx(ctx, s.dialect.snapshot)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	var out Snapshot
	if err := tx.QueryRowContext(ctx, "SELECT value FROM revision WHERE id = 1").Scan(&out.Revision); err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	out.Documents, err = queryDocuments(ctx, tx, `SELECT workspace, kind, id, version, body,
		CASE WHEN kind = 'workspace' THEN sealed END, sealed_generation, saved_at, saved_by
		FROM documents ORDER BY workspace, kind, id`)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	out.Integrations, err = queryDocuments(ctx, tx, `SELECT workspace, kind, id, version, body, NULL, 0, saved_at, saved_by
		FROM history WHERE kind = $1 ORDER BY workspace, id, version`, KindIntegration)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	if out.Suppressions, err = querySuppressions(ctx, tx, ""); err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	return out, nil
}
