package cache

import (
	"container/list"
	"sync"
	"time"
)

// Cache maps keys to values that expire. Keys must not be personal data: they are hashes and record ids (XC-42). Safe for
// concurrent use.
type Cache[V any] struct {
	limit int

	mu      sync.Mutex
	entries map[string]*list.Element
	used    *list.List // of *entry[V], the most recently used first
}

type entry[V any] struct {
	key     string
	value   V
	expires time.Time
}

// New returns an empty cache of at most limit entries.
func New[V any](limit int) *Cache[V] {
	return &Cache[V]{limit: limit, entries: map[string]*list.Element{}, used: list.New()}
}

// Get returns the value of key if there is one that has not expired at now.
func (c *Cache[V]) Get(key string, now time.Time) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.entries[key]
	if !ok {
		return value, false
	}
	e := at.Value.(*entry[V])
	if !now.Before(e.expires) {
		c.remove(at)
		return value, false
	}
	c.used.MoveToFront(at)
	return e.value, true
}

// Drop forgets the value of key.
func (c *Cache[V]) Drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		c.remove(at)
	}
}

// Put keeps value until expires, or until others are wanted more.
func (c *Cache[V]) Put(key string, value V, expires time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		e := at.Value.(*entry[V])
		e.value, e.expires = value, expires
		c.used.MoveToFront(at)
		return
	}
	c.entries[key] = c.used.PushFront(&entry[V]{key: key, value: value, expires: expires})
	for c.used.Len() > c.limit { // Promise 7.
		c.remove(c.used.Back())
	}
}

// Forget removes the entries whose key match says yes to.
func (c *Cache[V]) Forget(match func(key string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, at := range c.entries {
		if match(key) {
			c.remove(at)
		}
	}
}

// Len returns how many entries there are, expired ones included.
func (c *Cache[V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used.Len()
}

func (c *Cache[V]) remove(at *list.Element) {
	c.used.Remove(at)
	delete(c.entries, at.Value.(*entry[V]).key)
}
