package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // registers "sqlite"
)

// sqliteReaders bounds how many reads run beside the one writer.
const sqliteReaders = 4

// OpenSQLite opens, creates and migrates the database file at path. One process at a time may use it.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open settings database: %w", err)
	}
	// synchronous=FULL: what was acknowledged survives a power cut, not only a kill. secure_delete=FAST: of a sealed value
	// that was replaced no copy stays in a page that is written anyway.
	// The writer's cache is the larger: a batch of outcomes touches pages all over the index of their ids, and a page that
	// does not fit is written more than once.
	write, err := openSQLite(path, "_pragma=cache_size(-192000)&_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_pragma=secure_delete(FAST)")
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, write, database.DialectSQLite3); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open settings database: %w", err), write.Close())
	}
	read, err := openSQLite(path, "_pragma=cache_size(-32000)&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(sqliteReaders)
	hub := &localHub{}
	s := &Store{
		read: read, write: write, listen: hub.listen, saved: hub.notify,
		dialect: dialect{
			name:        "sqlite",
			placeholder: func(int) string { return "?" },
			snapshot:    &sql.TxOptions{ReadOnly: true},
			bucketed:    true,
		},
	}
	return s, s.prepare(ctx)
}

func openSQLite(path, options string) (*sql.DB, error) {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(10000)&_pragma=temp_store(MEMORY)&" + options
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open settings database: %w", err)
	}
	return db, nil
}

// localHub tells the listeners of this process, the only one there is.
type localHub struct {
	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
}

func (h *localHub) notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.listeners {
		select {
		case c <- struct{}{}:
		default: // one is waiting already
		}
	}
}

func (h *localHub) listen(ctx context.Context, changed func()) error {
	c := make(chan struct{}, 1)
	h.mu.Lock()
	if h.listeners == nil {
		h.listeners = map[chan struct{}]struct{}{}
	}
	h.listeners[c] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.listeners, c)
	}()
	for {
		select {
		case <-c:
			changed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
