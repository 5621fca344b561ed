package stage

import "sync"

// Table is the state of one partition: a map from key to bytes that survives restarts, because the runtime writes every
// change to a compacted topic. Changes are staged until the batch that made them has succeeded, and are forgotten when
// it fails, so a handler never sees half a batch. Safe for concurrent use.
type Table struct {
	mu     sync.RWMutex
	base   map[string][]byte
	staged map[string][]byte
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{base: map[string][]byte{}, staged: map[string][]byte{}}
}

// Get returns the newest value of key, staged or not. The bytes must not be changed.
func (t *Table) Get(key string) ([]byte, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if v, ok := t.staged[key]; ok {
		return v, v != nil
	}
	v, ok := t.base[key]
	return v, ok
}

// Put stages a value. The table keeps the slice.
func (t *Table) Put(key string, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value == nil {
		value = []byte{}
	}
	t.staged[key] = value
}

// Delete stages a deletion.
func (t *Table) Delete(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staged[key] = nil
}

// Range calls f for every key until it returns false, staged changes included, in no order. f must not use the table.
func (t *Table) Range(f func(key string, value []byte) bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for k, v := range t.staged {
		if v != nil && !f(k, v) {
			return
		}
	}
	for k, v := range t.base {
		if _, ok := t.staged[k]; !ok && !f(k, v) {
			return
		}
	}
}

// Len returns the number of committed keys.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.base)
}

// Staged returns the staged changes as entries, in no order.
func (t *Table) Staged() []Entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	entries := make([]Entry, 0, len(t.staged))
	for k, v := range t.staged {
		entries = append(entries, Entry{Key: k, Value: v})
	}
	return entries
}

// Commit makes the staged changes permanent. The runtime calls it once the compacted topic has them.
func (t *Table) Commit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.staged {
		if v == nil {
			delete(t.base, k)
		} else {
			t.base[k] = v
		}
	}
	clear(t.staged)
}

// Rollback forgets the staged changes.
func (t *Table) Rollback() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.staged)
}

// Apply sets one committed entry, as read from the compacted topic.
func (t *Table) Apply(e Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Value == nil {
		delete(t.base, e.Key)
		return
	}
	t.base[e.Key] = e.Value
}
