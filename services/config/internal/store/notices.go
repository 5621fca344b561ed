package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Notice is one thing that is in the way of a workspace, or was.
type Notice struct {
	Workspace, ID string
	// BeganAt is when it was found, SeenAt when it was last found to be so.
	BeganAt, SeenAt time.Time
	// EndedAt is zero while it is so.
	EndedAt time.Time
	// QuietUntil is zero while people are told; QuietBy wanted them not to be.
	QuietUntil time.Time
	QuietBy    string
	// ToldAt is when somebody was last told; zero: nobody was.
	ToldAt time.Time
	// Body is what was found.
	Body []byte
}

// zeroMicros is how the tables have no time.
const zeroMicros = 0

func optionalMicros(t time.Time) int64 {
	if t.IsZero() {
		return zeroMicros
	}
	return micros(t)
}

func fromOptionalMicros(n int64) time.Time {
	if n == zeroMicros {
		return time.Time{}
	}
	return fromMicros(n)
}

// SeeNotices keeps what was found at a time, and ends what is not among it any more, of all workspaces. What comes back begins
// anew, and keeps who was told and who wanted quiet. found need not have more than workspace, id and body.
func (s *Store) SeeNotices(ctx context.Context, found []Notice, at time.Time) error {
	return s.inTx(ctx, "keep notices", func(tx *sql.Tx) error {
		for _, n := range found {
			// In SET, names are of the row as it was: began_at stays for what had not ended.
			_, err := tx.ExecContext(ctx, `INSERT INTO notices (workspace, id, began_at, seen_at, ended_at, quiet_until, quiet_by, body)
				VALUES ($1, $2, $3, $3, 0, 0, '', $4)
				ON CONFLICT (workspace, id) DO UPDATE SET
				began_at = CASE WHEN notices.ended_at = 0 THEN notices.began_at ELSE excluded.began_at END,
				seen_at = excluded.seen_at, ended_at = 0, body = excluded.body
				WHERE notices.seen_at <= excluded.seen_at`,
				n.Workspace, n.ID, micros(at), n.Body)
			if err != nil {
				return err
			}
		}
		// Another replica may have looked later.
		_, err := tx.ExecContext(ctx, "UPDATE notices SET ended_at = $1 WHERE ended_at = 0 AND seen_at < $1", micros(at))
		return err
	})
}

// Notices reads a workspace's notices that are in the way, and those that ended at a time or later; the oldest first.
func (s *Store) Notices(ctx context.Context, workspace string, endedFrom time.Time) ([]Notice, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT n.workspace, n.id, n.began_at, n.seen_at, n.ended_at, n.quiet_until, n.quiet_by, n.body,
		(SELECT COALESCE(MAX(t.told_at), 0) FROM notice_tellings t WHERE t.workspace = n.workspace AND t.notice = n.id)
		FROM notices n WHERE n.workspace = $1 AND (n.ended_at = 0 OR n.ended_at >= $2) ORDER BY n.began_at, n.id`,
		workspace, optionalMicros(endedFrom))
	if err != nil {
		return nil, fmt.Errorf("read notices of %s: %w", workspace, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Notice
	for rows.Next() {
		var n Notice
		var began, seen, ended, quiet, told int64
		if err := rows.Scan(&n.Workspace, &n.ID, &began, &seen, &ended, &quiet, &n.QuietBy, &n.Body, &told); err != nil {
			return nil, fmt.Errorf("read notices of %s: %w", workspace, err)
		}
		n.BeganAt, n.SeenAt, n.EndedAt = fromMicros(began), fromMicros(seen), fromOptionalMicros(ended)
		n.QuietUntil, n.ToldAt = fromOptionalMicros(quiet), fromOptionalMicros(told)
		out = append(out, n)
	}
	return out, rows.Err()
}

// WorkspacesWithNotices lists the workspaces in whose way something is. It serves telling them.
func (s *Store) WorkspacesWithNotices(ctx context.Context) ([]string, error) {
	out, err := s.workspaces(ctx, "SELECT DISTINCT workspace FROM notices WHERE ended_at = 0 ORDER BY workspace")
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	return out, nil
}

// QuietNotice has nobody told of a notice until a time; the zero time ends that. The error is ErrNotFound if there is none.
func (s *Store) QuietNotice(ctx context.Context, n Notice, act Act) error {
	return s.inTx(ctx, "quiet notice "+n.ID, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE notices SET quiet_until = $1, quiet_by = $2 WHERE workspace = $3 AND id = $4",
			optionalMicros(n.QuietUntil), cleaned(n.QuietBy), n.Workspace, n.ID)
		if err != nil {
			return err
		}
		if changed, err := result.RowsAffected(); err != nil || changed == 0 {
			return errors.Join(err, ErrNotFound)
		}
		return insertAudit(ctx, tx, AuditEntry{Act: act, Workspace: n.Workspace, Kind: "notice", Target: n.ID})
	})
}

// Telling is that one recipient is to be told of one notice.
type Telling struct{ Workspace, Notice, Recipient string }

// ClaimTelling reports whether the recipient may be told now, and if so keeps everybody else from it until a time. tries is how
// often it failed before.
func (s *Store) ClaimTelling(ctx context.Context, t Telling, now, until time.Time) (ok bool, tries int, err error) {
	err = s.inTx(ctx, "claim a notice", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO notice_tellings (workspace, notice, recipient, told_at, next_at, tries)
			VALUES ($1, $2, $3, 0, 0, 0) ON CONFLICT DO NOTHING`, t.Workspace, t.Notice, t.Recipient)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `UPDATE notice_tellings SET next_at = $1, tries = tries + 1
			WHERE workspace = $2 AND notice = $3 AND recipient = $4 AND next_at <= $5`, micros(until), t.Workspace, t.Notice, t.Recipient, micros(now))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		ok = true
		return tx.QueryRowContext(ctx, "SELECT tries - 1 FROM notice_tellings WHERE workspace = $1 AND notice = $2 AND recipient = $3",
			t.Workspace, t.Notice, t.Recipient).Scan(&tries)
	})
	return ok, tries, err
}

// FinishTelling notes that the recipient was told at a time, and from when they may be told again.
func (s *Store) FinishTelling(ctx context.Context, t Telling, told, next time.Time) error {
	return s.updateTelling(ctx, t, "told_at = $1, next_at = $2, tries = 0", micros(told), micros(next))
}

// FailTelling notes from when it may be tried again.
func (s *Store) FailTelling(ctx context.Context, t Telling, next time.Time) error {
	return s.updateTelling(ctx, t, "next_at = $1", micros(next))
}

func (s *Store) updateTelling(ctx context.Context, t Telling, set string, args ...any) error {
	n := len(args)
	query := fmt.Sprintf("UPDATE notice_tellings SET %s WHERE workspace = $%d AND notice = $%d AND recipient = $%d", set, n+1, n+2, n+3)
	if _, err := s.write.ExecContext(ctx, query, append(args, t.Workspace, t.Notice, t.Recipient)...); err != nil {
		return fmt.Errorf("note who was told of notice %s: %w", t.Notice, err)
	}
	return nil
}

// PurgeNotices forgets what ended before a time, and who was told of it.
func (s *Store) PurgeNotices(ctx context.Context, before time.Time) error {
	return s.inTx(ctx, "forget old notices", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM notices WHERE ended_at > 0 AND ended_at < $1", micros(before))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM notice_tellings WHERE NOT EXISTS
			(SELECT 1 FROM notices n WHERE n.workspace = notice_tellings.workspace AND n.id = notice_tellings.notice)`)
		return err
	})
}

// StatesWith reads the connections of all workspaces that are in one of the states. It serves looking for what is in the way.
func (s *Store) StatesWith(ctx context.Context, states ...int32) ([]ConnectionState, error) {
	var out []ConnectionState
	for _, state := range states {
		found, err := queryStates(ctx, s.read, "WHERE state = $1", state)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}
