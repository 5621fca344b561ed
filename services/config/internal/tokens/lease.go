package tokens

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// releaseTimeout bounds giving a lease back; one that is not given back ends by itself.
const releaseTimeout = 5 * time.Second

// acquire tries to take the connection's lease.
func (c *Custodian) acquire(ctx context.Context, conn connection) (store.Lease, bool, error) {
	now := c.deps.Clock.Now()
	lease := store.Lease{Workspace: conn.workspace, Connection: conn.id, Holder: uuid.NewString(), Until: now.Add(c.cfg.Lease)}
	held, err := c.deps.Leases.AcquireLease(ctx, lease, now)
	return lease, held, err
}

func (c *Custodian) release(ctx context.Context, lease store.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := c.deps.Leases.ReleaseLease(ctx, lease); err != nil {
		c.deps.Logger.WarnContext(ctx, "the lease for refreshing an access token ends by itself",
			"workspace", lease.Workspace, "connection", lease.Connection, "error", err)
	}
}

// pause waits between two looks at somebody else's lease.
func (c *Custodian) pause(ctx context.Context) error {
	select {
	case <-time.After(c.cfg.LeasePoll):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Exclusive runs f while nobody asks Salesforce for the connection's token, on any replica: whoever replaces or forgets
// credentials must not do it under a refresh, whose rotated grant would be left alive and known to nobody.
func (c *Custodian) Exclusive(ctx context.Context, workspace, id string, f func(context.Context) error) error {
	conn := connection{workspace, id}
	ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.Lease)
	defer cancel()
	for {
		lease, held, err := c.acquire(ctx, conn)
		if err != nil {
			return err
		}
		if held {
			if err := c.under(ctx, lease, f); !errors.Is(err, errUsedUp) {
				return err
			}
			continue
		}
		if err := c.pause(ctx); err != nil {
			return err
		}
	}
}

// Change is other credentials than the stored ones.
type Change struct {
	// Apply makes them of the stored ones.
	Apply func(credentials *configv1.Connection)
	// By is whose doing it is, for the audit log.
	By store.Act
}

func (c *Custodian) under(ctx context.Context, lease store.Lease, f func(context.Context) error) error {
	defer c.release(ctx, lease)
	if err := c.settle(ctx, lease); err != nil {
		return err
	}
	return f(ctx)
}

// errUsedUp means that too little of a lease is left to ask Salesforce and store what it says: another replica would ask with
// the same refresh token.
var errUsedUp = errors.New("the lease is used up")

// settle stores what an earlier call could not, which may take long, and sees to it that the lease lasts for what is to come:
// a question, and half the time that there is for storing. The error may be errUsedUp.
func (c *Custodian) settle(ctx context.Context, lease store.Lease) error {
	if err := c.saveUnsaved(ctx, connection{lease.Workspace, lease.Connection}); err != nil {
		return err
	}
	needed := c.cfg.IssueTimeout + (c.cfg.Lease-c.cfg.IssueTimeout)/2
	if c.deps.Clock.Now().Add(needed).After(lease.Until) {
		return errUsedUp
	}
	return nil
}

// Try asks Salesforce with changed credentials, and keeps them only if it takes them; otherwise everything stays as it was
// and the error is what Salesforce said. What it rotates on the way is stored with the change.
func (c *Custodian) Try(ctx context.Context, workspace, id string, change Change) error {
	return c.Exclusive(ctx, workspace, id, func(ctx context.Context) error {
		_, err := c.issue(context.WithoutCancel(ctx), connection{workspace, id}, &change)
		return err
	})
}
