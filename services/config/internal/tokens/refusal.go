package tokens

import (
	"errors"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// Retry lets the next Get ask Salesforce even if it has just refused the connection's grant: something was put right.
func (c *Custodian) Retry(workspace, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.refused, connection{workspace, id})
}

// heldBack returns the last refusal of these very credentials while it is fresh.
func (c *Custodian) heldBack(conn connection, generation int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.refused[conn]
	if ok && r.generation == generation && c.deps.Clock.Now().Before(r.until) {
		return r.err
	}
	delete(c.refused, conn)
	return nil
}

func (c *Custodian) holdBack(conn connection, generation int64, err error) {
	var refused *salesforce.Error
	if !errors.As(err, &refused) || refused.Class == salesforce.ClassTransient {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[conn] = refusal{generation, err, c.deps.Clock.Now().Add(c.cfg.RefusalHold)}
}
