package catalogue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// trouble is why an org is left alone.
type trouble struct {
	// version is the connection's: changed credentials are tried at once.
	version int64
	until   time.Time
	wait    time.Duration
	err     error
}

// errTooLarge is about one object, not about the org.
var errTooLarge = errors.New("the org's description of the object is larger than catalogue.max_object_bytes")

// known returns why the org is left alone at a time, or nil.
func (c *Catalogue) known(conn *configv1.Connection, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.trouble[keyOf(conn)]
	if !ok || t.version != conn.GetVersion() || !now.Before(t.until) {
		return nil
	}
	return fmt.Errorf("%w (it is asked again after %s)", t.err, t.until.UTC().Format(time.RFC3339))
}

func (c *Catalogue) isLeftAlone(conn *configv1.Connection) bool {
	return c.known(conn, c.deps.Clock.Now()) != nil
}

// isSuspect reports whether the last question failed.
func (c *Catalogue) isSuspect(key connectionKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.trouble[key]
	return ok
}

// note remembers how a question went.
func (c *Catalogue) note(conn *configv1.Connection, now time.Time, err error) {
	key := keyOf(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || errors.Is(err, errTooLarge) {
		delete(c.trouble, key)
		return
	}
	// Promise 7: the wait has a limit, and so has the number of them: one per connection.
	wait := c.cfg.RetryAfter
	if last, ok := c.trouble[key]; ok && last.version == conn.GetVersion() {
		wait = min(2*last.wait, c.cfg.RefreshEvery)
	}
	c.trouble[key] = trouble{version: conn.GetVersion(), until: now.Add(wait), wait: wait, err: err}
}

// forgetOthers notes which connections integrations use, and drops what is remembered of others.
func (c *Catalogue) forgetOthers(there map[connectionKey]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = slices.Collect(maps.Keys(there))
	for key := range c.trouble {
		if !there[key] {
			delete(c.trouble, key)
		}
	}
	for key := range c.told {
		if !there[connectionKey{key.Workspace, key.Connection}] {
			delete(c.told, key)
		}
	}
}
