package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of the store. Any other error is the database's and worth another try.
var (
	// ErrNotFound means that there is no such document, or none the caller may see.
	ErrNotFound = errors.New("not found")
	// ErrStale means that somebody saved a newer version since the caller read. Read again and decide again.
	ErrStale = errors.New("a newer version was saved meanwhile")
	// ErrDeleted means that a setting of this id was deleted. Take another id.
	ErrDeleted = errors.New("a setting of this id was deleted")
)

// Store is one database. Safe for concurrent use.
type Store struct {
	read, write *sql.DB
	dialect     dialect
	listen      func(ctx context.Context, changed func()) error
	saved       func()
	insert      map[int]*sql.Stmt
	token       *sql.Stmt
	bucket      bucketCounter
}

// dialect is what the two databases do not agree on.
type dialect struct {
	name string
	// placeholder returns the n-th parameter, from 1.
	placeholder func(n int) string
	// snapshot are the options of a transaction that sees one moment.
	snapshot *sql.TxOptions
	// announce runs in a saving transaction and wakes the listeners of other processes once it has committed; "" if there
	// are none.
	announce string
	// bucketed is set where the indexes of outcomes begin with the bucket.
	bucketed bool
	// lockRows is appended to a SELECT whose rows will be updated.
	lockRows string
}

// Close closes the database. The store must not be in use.
func (s *Store) Close() error {
	errs := []error{}
	for _, stmt := range s.insert {
		errs = append(errs, stmt.Close())
	}
	if s.token != nil {
		errs = append(errs, s.token.Close())
	}
	errs = append(errs, s.write.Close())
	if s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

// Listen calls changed after every save, of this process or of another, until ctx ends. Calls may be merged and, while
// the database is away, missed; so poll Revision as well.
func (s *Store) Listen(ctx context.Context, changed func()) error { return s.listen(ctx, changed) }

// inTx runs f in a writing transaction.
func (s *Store) inTx(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Times are kept as microseconds since 1970, which both databases hold exactly and compare fast.

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// nullable keeps absent ids NULL.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return cleaned(s)
}

// cleaned replaces NUL characters, which PostgreSQL cannot keep: what other services record must never get stuck here.
func cleaned(s string) string { return strings.ReplaceAll(s, "\x00", "\uFFFD") }
