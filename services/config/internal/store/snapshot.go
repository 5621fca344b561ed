package store

import (
	"context"
	"fmt"
	"strings"
)

// Snapshot is every setting of every workspace at one revision, or of those workspaces that changed since an earlier one.
type Snapshot struct {
	Revision int64
	// Lineage tells this database from every other, whose revisions mean something else.
	Lineage string
	// Since is 0 if everything is here. Otherwise only the workspaces are that changed after it: all of Touched.
	Since int64
	// Touched are the last revisions that changed a workspace, as far back as Known: every later change is told of.
	Touched map[string]int64
	Known   int64
	// Documents are the newest versions, by workspace, kind and id, of the kinds that are watched, but integrations. Only workspaces carry what
	// is sealed: their keys.
	Documents []Document
	// Integrations are all versions of integrations, by workspace, id and version.
	Integrations []Document
	// EventSetups are all versions of event set-ups, by workspace and version.
	EventSetups []Document
	// States are where connections stand, by workspace and connection.
	States []ConnectionState
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

// maxPartial is the most workspaces that are read by themselves; beyond, everything is read.
const maxPartial = 64

// unwatched are the kinds of documents that are not in a snapshot: integrations and event set-ups, which come with their history, and what no
// watcher reads.
const unwatched = "'" + string(KindIntegration) + "', '" + string(KindContentDefaults) + "', '" + string(KindEventSetup) + "', '" +
	string(KindReport) + "', '" + string(KindReportPush) + "', '" + string(KindRecipient) + "'"

// Snapshot reads all workspaces as of one moment, or only those that changed since an earlier revision if that is known. It
// serves the data plane, which works for all of them.
func (s *Store) Snapshot(ctx context.Context, since int64) (Snapshot, error) {
	tx, err := s.read.BeginTx(ctx, s.dialect.snapshot)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	out, err := readChanges(ctx, tx, since)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	of, args := ofWorkspaces(out)
	out.Documents, err = queryDocuments(ctx, tx, `SELECT workspace, kind, id, version, body,
		CASE WHEN kind = 'workspace' THEN sealed END, sealed_generation, saved_at, saved_by
		FROM documents WHERE `+of+` AND kind NOT IN (`+unwatched+`) ORDER BY workspace, kind, id`, args...)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	out.Integrations, err = queryDocuments(ctx, tx, `SELECT workspace, kind, id, version, body, NULL, 0, saved_at, saved_by
		FROM history WHERE `+of+` AND kind = '`+string(KindIntegration)+`' ORDER BY workspace, id, version`, args...)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	out.EventSetups, err = queryDocuments(ctx, tx, `SELECT workspace, kind, id, version, body, NULL, 0, saved_at, saved_by
		FROM history WHERE `+of+` AND kind = '`+string(KindEventSetup)+`' ORDER BY workspace, id, version`, args...)
	if err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	if out.States, err = queryStates(ctx, tx, "WHERE "+of, args...); err != nil {
		return Snapshot{}, err
	}
	if out.Suppressions, err = querySuppressions(ctx, tx, "WHERE "+of, args...); err != nil {
		return Snapshot{}, fmt.Errorf("read settings: %w", err)
	}
	return out, nil
}

// ofWorkspaces is the condition that chooses what a snapshot is to hold.
func ofWorkspaces(s Snapshot) (string, []any) {
	if s.Since == 0 {
		return "1 = 1", nil
	}
	marks, args := make([]string, 0, len(s.Touched)), make([]any, 0, len(s.Touched))
	for workspace := range s.Touched {
		args = append(args, workspace)
		marks = append(marks, fmt.Sprintf("$%d", len(args)))
	}
	return "workspace IN (" + strings.Join(marks, ", ") + ")", args
}
