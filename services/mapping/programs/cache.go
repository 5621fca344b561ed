package programs

import (
	"container/list"
	"sync"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Cache holds compiled integrations by workspace, id and version, the least recently used going first when it is full.
// A version never changes, but where a workspace is made anew under the same id, or the settings come back from a backup, another
// one may have its number: what is compiled is held against what is asked for. An integration that does not compile is remembered
// too.
// Safe for concurrent use.
type Cache struct {
	limit int

	mu     sync.Mutex
	byKey  map[key]*list.Element
	recent *list.List // of *entry, most recently used first
}

type key struct {
	workspace, id string
	version       int64
}

type entry struct {
	key key
	// source is what was compiled, as it was asked for last: mostly the very same message.
	source  *configv1.Integration
	program *integration.Program
	err     error
}

// New returns an empty cache for at most limit programs; a program takes some tens of kilobytes.
func New(limit int) *Cache {
	return &Cache{limit: max(limit, 1), byKey: map[key]*list.Element{}, recent: list.New()}
}

// Get returns the program of an integration, compiling it if need be. The error is that of integration.Compile.
func (c *Cache) Get(i *configv1.Integration) (*integration.Program, error) {
	k := key{workspace: i.GetWorkspace(), id: i.GetId(), version: i.GetVersion()}
	if e := c.find(k, i); e != nil {
		return e.program, e.err
	}
	// Outside the lock: another worker may compile the same version meanwhile, to the same result.
	program, err := integration.Compile(i)
	c.store(&entry{key: k, source: i, program: program, err: err})
	return program, err
}

// Len returns how many programs are held.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len()
}

func (c *Cache) find(k key, source *configv1.Integration) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[k]
	if !ok {
		return nil
	}
	found := e.Value.(*entry)
	if found.source != source && !proto.Equal(found.source, source) {
		return nil
	}
	found.source = source
	c.recent.MoveToFront(e)
	return found
}

func (c *Cache) store(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.byKey[e.key]; ok {
		c.recent.Remove(old)
	}
	c.byKey[e.key] = c.recent.PushFront(e)
	// Promise 7: the cache has a limit.
	for c.recent.Len() > c.limit {
		oldest := c.recent.Back()
		c.recent.Remove(oldest)
		delete(c.byKey, oldest.Value.(*entry).key)
	}
}
