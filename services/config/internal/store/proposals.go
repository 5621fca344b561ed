package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Forget is what an org says of a person: that they are to be forgotten (XC-32).
type Forget struct {
	PersonKey, Connection, Object, RecordID string
}

// Proposal is an erasure that an org proposes by that.
type Proposal struct {
	Workspace, ID string
	Forget
	ProposedAt time.Time
}

const (
	// proposeAgain is how long a dismissed proposal does not come again.
	proposeAgain = 30 * 24 * time.Hour
	// maxProposals is the most a workspace keeps; what is more comes again with the person's next visit. Promise 7.
	maxProposals = 10_000
)

// propose notes what orgs say in outcomes. Once per person, and not about those who are kept out already.
func (s *Store) propose(ctx context.Context, batch []Outcome) error {
	for i := range batch {
		o := &batch[i]
		if o.Forget == nil {
			continue
		}
		err := s.inTx(ctx, "propose an erasure", func(tx *sql.Tx) error { return proposeOne(ctx, tx, o) })
		if err != nil {
			return err
		}
	}
	return nil
}

func proposeOne(ctx context.Context, tx *sql.Tx, o *Outcome) error {
	var suppressed, kept int
	err := tx.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM suppressions WHERE workspace = $1 AND person_key = $2 AND lifted_at IS NULL),
		(SELECT COUNT(*) FROM erasure_proposals WHERE workspace = $1)`, o.Workspace, o.Forget.PersonKey).Scan(&suppressed, &kept)
	if err != nil || suppressed > 0 || kept >= maxProposals {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO erasure_proposals (workspace, person_key, id, connection, object, record_id, proposed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (workspace, person_key) DO UPDATE SET id = excluded.id, connection = excluded.connection, object = excluded.object,
			record_id = excluded.record_id, proposed_at = excluded.proposed_at, dismissed_at = NULL
			WHERE erasure_proposals.dismissed_at <= $8`,
		o.Workspace, o.Forget.PersonKey, rand.Text(), o.Forget.Connection, o.Forget.Object, o.Forget.RecordID, micros(o.DecidedAt),
		micros(o.DecidedAt.Add(-proposeAgain)))
	return err
}

const proposalColumns = "workspace, id, person_key, connection, object, record_id, proposed_at"

// Proposals reads those of a workspace that nobody has decided on, oldest first.
func (s *Store) Proposals(ctx context.Context, workspace string, limit int) ([]Proposal, error) {
	return s.queryProposals(ctx, "WHERE workspace = $1 AND dismissed_at IS NULL ORDER BY proposed_at, id LIMIT $2", workspace, limit)
}

// ProposalsAbout reads those about some people of one workspace, dismissed ones too.
func (s *Store) ProposalsAbout(ctx context.Context, workspace string, personKeys []string) ([]Proposal, error) {
	in, args := inList(personKeys, workspace)
	return s.queryProposals(ctx, "WHERE workspace = $1 AND person_key IN ("+in+") ORDER BY proposed_at, id", args...)
}

func (s *Store) queryProposals(ctx context.Context, where string, args ...any) ([]Proposal, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+proposalColumns+" FROM erasure_proposals "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read proposals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Proposal
	for rows.Next() {
		p, err := scanProposal(rows)
		if err != nil {
			return nil, fmt.Errorf("read proposals: %w", err)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// Proposal reads one that nobody has decided on; the error is ErrNotFound if there is none.
func (s *Store) Proposal(ctx context.Context, workspace, id string) (Proposal, error) {
	return scanProposal(s.read.QueryRowContext(ctx, "SELECT "+proposalColumns+` FROM erasure_proposals
		WHERE workspace = $1 AND id = $2 AND dismissed_at IS NULL`, workspace, id))
}

// DismissProposal ends one without an erasure; the error is ErrNotFound if there is none.
func (s *Store) DismissProposal(ctx context.Context, workspace, id string, act Act) error {
	return s.inTx(ctx, "dismiss a proposal", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE erasure_proposals SET dismissed_at = $1
			WHERE workspace = $2 AND id = $3 AND dismissed_at IS NULL`, micros(act.At), workspace, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNotFound)
		}
		return insertAudit(ctx, tx, AuditEntry{Act: act, Workspace: workspace, Kind: "erasure_proposal", Target: id})
	})
}

// dropProposals ends those about people who are being erased.
func dropProposals(ctx context.Context, tx *sql.Tx, e Erasure) error {
	in, args := inList(e.PersonKeys, e.Workspace)
	_, err := tx.ExecContext(ctx, "DELETE FROM erasure_proposals WHERE workspace = $1 AND person_key IN ("+in+")", args...)
	return err
}

func scanProposal(row interface{ Scan(dest ...any) error }) (Proposal, error) {
	var p Proposal
	var at int64
	err := row.Scan(&p.Workspace, &p.ID, &p.PersonKey, &p.Connection, &p.Object, &p.RecordID, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Proposal{}, ErrNotFound
	}
	p.ProposedAt = fromMicros(at)
	return p, err
}
