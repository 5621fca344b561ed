package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	_ "modernc.org/sqlite" // the database driver
)

// ErrClosed says that the journal is closed or broken and keeps nothing any more.
var ErrClosed = errors.New("journal is closed")

// Row is one record as it is stored. Table is the number that Table gave; Data is empty for a record to forget.
type Row struct {
	Table int64
	Num   uint64
	Data  []byte
}

// Entry is a named value beside the records. A nil Value deletes it.
type Entry struct {
	Key   string
	Value []byte
}

// Batch is what is stored together or not at all.
type Batch struct {
	Rows    []Row
	Entries []Entry
	// Drop forgets all records of these tables, before Rows are stored.
	Drop []int64
	// Forget deletes the entries whose keys begin with one of these, before Entries are stored.
	Forget []string
}

// Journal is an open file. It is safe for concurrent use.
type Journal struct {
	db    *sql.DB
	queue chan *Ticket
	done  chan struct{}

	mu     sync.Mutex
	last   *Ticket
	closed bool
	fault  error
}

// Ticket stands for a batch on its way to disk.
type Ticket struct {
	batch Batch
	done  chan struct{}
	err   error
}

// queueLength is how many batches may wait; a writer that finds it full waits as well.
const queueLength = 256

const tables = `
CREATE TABLE IF NOT EXISTS tables (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (rowid INTEGER PRIMARY KEY, data BLOB NOT NULL);`

// Open opens or makes the file at path.
func Open(ctx context.Context, path string) (*Journal, error) {
	const pragmas = "?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(5000)&_pragma=cache_size(-32000)"
	db, err := sql.Open("sqlite", "file:"+path+pragmas)
	if err != nil {
		return nil, fmt.Errorf("open simulator store: %w", err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare simulator store: %w", err), db.Close())
	}
	ready := &Ticket{done: make(chan struct{})}
	close(ready.done)
	j := &Journal{db: db, queue: make(chan *Ticket, queueLength), done: make(chan struct{}), last: ready}
	go j.work() //nolint:contextcheck // the worker ends with Close, not with the context of Open
	return j, nil
}

// Append queues a batch. It blocks while the queue is full.
func (j *Journal) Append(b Batch) *Ticket {
	t := &Ticket{batch: b, done: make(chan struct{})}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		t.err = ErrClosed
		close(t.done)
		return t
	}
	j.last = t
	j.queue <- t
	return t
}

// Last returns the ticket of the newest batch: once it is done, so are all before it.
func (j *Journal) Last() *Ticket {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Wait returns once the batch is on disk, or with the reason why it is not.
func (t *Ticket) Wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	default:
	}
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what is queued and closes the file. It may be called more than once.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		<-j.done
		return nil
	}
	j.closed = true
	close(j.queue)
	j.mu.Unlock()
	<-j.done
	return j.db.Close()
}

// work writes the queue until it is closed. After a failed write nothing more is kept: what is in memory may no longer be
// told from what is on disk.
func (j *Journal) work() {
	defer close(j.done)
	w := &writer{db: j.db}
	for first := range j.queue {
		group := j.group(first)
		if j.fault == nil {
			j.fault = w.write(group)
		}
		for _, t := range group {
			t.err, t.batch = j.fault, Batch{}
			close(t.done)
		}
	}
	w.close()
}

// group takes what else is waiting, so that one commit serves all of it.
func (j *Journal) group(first *Ticket) []*Ticket {
	group := []*Ticket{first}
	for len(group) < queueLength {
		select {
		case t, ok := <-j.queue:
			if !ok {
				return group
			}
			group = append(group, t)
		default:
			return group
		}
	}
	return group
}

// Table returns the number of a table, and makes one for a new name. It writes at once and is for starting up.
func (j *Journal) Table(ctx context.Context, name string) (int64, error) {
	var id int64
	_, err := j.db.ExecContext(ctx, `INSERT INTO tables (name) VALUES (?) ON CONFLICT DO NOTHING`, name)
	if err == nil {
		err = j.db.QueryRowContext(ctx, `SELECT id FROM tables WHERE name = ?`, name).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("number table %s: %w", name, err)
	}
	return id, nil
}

// Entries calls visit for every entry whose key begins with prefix. Value is only good during the call.
func (j *Journal) Entries(ctx context.Context, prefix string, visit func(key string, value []byte) error) error {
	rows, err := j.db.QueryContext(ctx, `SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key`, prefix, prefix+"\xff")
	if err != nil {
		return fmt.Errorf("read entries %s: %w", prefix, err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var value sql.RawBytes
		if err := rows.Scan(&key, &value); err != nil {
			return fmt.Errorf("read entries %s: %w", prefix, err)
		}
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Rows calls visit for every record of a table, in the order of numbers. Data is only good during the call.
func (j *Journal) Rows(ctx context.Context, table int64, visit func(num uint64, data []byte) error) error {
	rows, err := j.db.QueryContext(ctx, `SELECT rowid, data FROM records WHERE rowid >= ? AND rowid < ?`, rowID(table, 0), rowID(table+1, 0))
	if err != nil {
		return fmt.Errorf("read table %d: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return fmt.Errorf("read table %d: %w", table, err)
		}
		if err := visit(uint64(id)&(1<<tableShift-1), data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tableShift leaves 40 bits for the numbers of a table's records.
const tableShift = 40

func rowID(table int64, num uint64) int64 { return table<<tableShift | int64(num) }
