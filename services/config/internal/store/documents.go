package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Kind is what sort of setting a document is.
type Kind string

// The kinds. A workspace's own document has the workspace's id.
const (
	KindWorkspace   Kind = "workspace"
	KindConnection  Kind = "connection"
	KindIntegration Kind = "integration"
	KindContent     Kind = "content"
	KindAPIKey      Kind = "apikey"
	// KindRecipient is whom to tell of notices; its address is sealed.
	KindRecipient Kind = "recipient"
	// KindContentDefaults is for whoever calls: no watcher reads it; of KindEventSetup watchers get the integrations that are made
	// of it. A workspace has one of each, with the workspace's id.
	KindContentDefaults Kind = "content_defaults"
	KindEventSetup      Kind = "event_setup"
	// KindReport and KindReportPush are handed out with runs and are in no snapshot.
	KindReport     Kind = "report"
	KindReportPush Kind = "report_push"
)

// Key names a document.
type Key struct {
	Workspace string
	Kind      Kind
	ID        string
}

// Document is one version of a setting.
type Document struct {
	Key
	Version int64
	// Body is the setting as it was given to Put.
	Body []byte
	// Sealed is only there in the newest version, and Generation grows with every change of it.
	Sealed     []byte
	Generation int64
	SavedAt    time.Time
	SavedBy    string
}

// Save is a new version of a document.
type Save struct {
	Key
	// Expected is the version that the writer has read; 0 creates. The saved version is one more.
	Expected int64
	Body     []byte
	// Sealed replaces the sealed bytes; nil keeps them.
	Sealed []byte
	// Generation is that of the sealed bytes that Sealed was made of: a rotation makes another one without a version. 0: Sealed
	// owes them nothing.
	Generation int64
	Author     string
	At         time.Time
	// Role, Action, Reason and Changes go to the audit log; see Act.
	Role, Action, Reason string
	Changes              []byte
	// Revoke is stored with it: a token that the connection held before.
	Revoke *Revocation
}

const documentColumns = "workspace, kind, id, version, body, sealed, sealed_generation, saved_at, saved_by"

// As returns the save as somebody's doing.
func (s Save) As(by Act) Save {
	s.Author, s.Role, s.Action, s.Reason, s.At, s.Changes = by.Actor, by.Role, by.Action, by.Reason, by.At, by.Changes
	return s
}

func (s Save) audit() AuditEntry {
	return AuditEntry{
		Act: Act{
			Actor: s.Author, Role: s.Role, Action: s.Action, Reason: s.Reason, At: s.At, Changes: s.Changes,
		},
		Workspace: s.Workspace, Kind: string(s.Kind), Target: s.ID, Version: s.Expected + 1,
	}
}

// Put saves a new version, raises the revision and adds to the audit log. The error is ErrStale if Expected is not the newest version (or
// exists already, for 0), ErrDeleted for one that was there before, and ErrNotFound if there is nothing to update.
func (s *Store) Put(ctx context.Context, save Save) error {
	return s.putAll(ctx, "save "+string(save.Kind)+" "+save.ID, []Save{save})
}

// PutAll saves new versions of several settings of one workspace, all of them or none. The errors are those of Put.
func (s *Store) PutAll(ctx context.Context, saves []Save) error {
	if len(saves) == 0 {
		return nil
	}
	return s.putAll(ctx, fmt.Sprintf("save %d settings of workspace %s", len(saves), saves[0].Workspace), saves)
}

func (s *Store) putAll(ctx context.Context, what string, saves []Save) error {
	err := s.inTx(ctx, what, func(tx *sql.Tx) error {
		for _, save := range saves {
			if save.Workspace != saves[0].Workspace { // promise 9
				return errors.New("settings of two workspaces in one save")
			}
			if err := putVersion(ctx, tx, save); err != nil {
				return err
			}
		}
		return s.raise(ctx, tx, saves[0].Workspace)
	})
	if err == nil {
		s.saved()
	}
	return err
}

// put saves one version and raises the revision.
func (s *Store) put(ctx context.Context, tx *sql.Tx, save Save) error {
	if err := putVersion(ctx, tx, save); err != nil {
		return err
	}
	return s.raise(ctx, tx, save.Workspace)
}

// putVersion saves one version with its place in the history and the audit log.
func putVersion(ctx context.Context, tx *sql.Tx, save Save) error {
	if err := putDocument(ctx, tx, save); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO history
		(workspace, kind, id, version, body, sealed_changed, saved_at, saved_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		save.Workspace, save.Kind, save.ID, save.Expected+1, save.Body, changed(save.Sealed), micros(save.At), save.Author)
	if err != nil {
		return err
	}
	if err := insertRevocation(ctx, tx, save.Revoke); err != nil {
		return err
	}
	return insertAudit(ctx, tx, save.audit())
}

func putDocument(ctx context.Context, tx *sql.Tx, save Save) error {
	var result sql.Result
	var err error
	if save.Expected == 0 {
		if err := notDeleted(ctx, tx, save.Key); err != nil {
			return err
		}
		result, err = tx.ExecContext(ctx, `INSERT INTO documents (`+documentColumns+`, created_at, created_by)
			VALUES ($1, $2, $3, 1, $4, $5, 1, $6, $7, $6, $7) ON CONFLICT DO NOTHING`,
			save.Workspace, save.Kind, save.ID, save.Body, save.Sealed, micros(save.At), save.Author)
	} else {
		result, err = tx.ExecContext(ctx, `UPDATE documents SET version = version + 1, body = $1,
			sealed = COALESCE($2, sealed), sealed_generation = sealed_generation + $3, saved_at = $4, saved_by = $5
			WHERE workspace = $6 AND kind = $7 AND id = $8 AND version = $9 AND (sealed_generation = $10 OR $10 = 0)`,
			save.Body, save.Sealed, changed(save.Sealed), micros(save.At), save.Author,
			save.Workspace, save.Kind, save.ID, save.Expected, save.Generation)
	}
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil || n == 1 {
		return err
	}
	return notTheNewest(ctx, tx, save.Key)
}

// notTheNewest says why a statement about one version of a document found none: ErrNotFound or ErrStale.
func notTheNewest(ctx context.Context, tx *sql.Tx, key Key) error {
	var version int64
	err := tx.QueryRowContext(ctx, "SELECT version FROM documents WHERE workspace = $1 AND kind = $2 AND id = $3",
		key.Workspace, key.Kind, key.ID).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return errors.Join(err, ErrStale)
}

func changed(sealed []byte) int {
	if sealed == nil {
		return 0
	}
	return 1
}

// Get reads the newest version; the error is ErrNotFound if there is none.
func (s *Store) Get(ctx context.Context, key Key) (Document, error) {
	row := s.read.QueryRowContext(ctx, "SELECT "+documentColumns+` FROM documents
		WHERE workspace = $1 AND kind = $2 AND id = $3`, key.Workspace, key.Kind, key.ID)
	return scanDocument(row)
}

// GetVersion reads one version, without what was sealed.
func (s *Store) GetVersion(ctx context.Context, key Key, version int64) (Document, error) {
	row := s.read.QueryRowContext(ctx, `SELECT workspace, kind, id, version, body, NULL, 0, saved_at, saved_by FROM history
		WHERE workspace = $1 AND kind = $2 AND id = $3 AND version = $4`, key.Workspace, key.Kind, key.ID, version)
	return scanDocument(row)
}

// History reads every version of one document, oldest first, without what was sealed.
func (s *Store) History(ctx context.Context, key Key) ([]Document, error) {
	return queryDocuments(ctx, s.read, `SELECT workspace, kind, id, version, body, NULL, 0, saved_at, saved_by FROM history
		WHERE workspace = $1 AND kind = $2 AND id = $3 ORDER BY version`, key.Workspace, key.Kind, key.ID)
}

// List reads the newest versions of one kind, by id.
func (s *Store) List(ctx context.Context, workspace string, kind Kind) ([]Document, error) {
	return queryDocuments(ctx, s.read, "SELECT "+documentColumns+` FROM documents
		WHERE workspace = $1 AND kind = $2 ORDER BY id`, workspace, kind)
}

// Workspaces reads the documents of all workspaces, by id. Only for callers that may see all of them.
func (s *Store) Workspaces(ctx context.Context) ([]Document, error) {
	return queryDocuments(ctx, s.read, "SELECT "+documentColumns+` FROM documents
		WHERE kind = $1 AND id = workspace ORDER BY id`, KindWorkspace)
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func queryDocuments(ctx context.Context, q queryer, query string, args ...any) ([]Document, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var docs []Document
	for rows.Next() {
		doc, err := scanDocument(rows)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, rows.Err()
}

func scanDocument(row interface{ Scan(dest ...any) error }) (Document, error) {
	var d Document
	var savedAt int64
	err := row.Scan(&d.Workspace, &d.Kind, &d.ID, &d.Version, &d.Body, &d.Sealed, &d.Generation, &savedAt, &d.SavedBy)
	if errors.Is(err, sql.ErrNoRows) {
		return Document{}, ErrNotFound
	}
	d.SavedAt = fromMicros(savedAt)
	return d, err
}
