package tokens

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/services/config/internal/store"
)

func timestamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// save stores a token before anybody gets it. After a rotation the old refresh token is dead, so what Salesforce gave us
// exists only here until the store has it: it is tried again, and kept for the next call if the store stays away.
func (c *Custodian) save(ctx context.Context, conn connection, token store.NewToken) error {
	c.mu.Lock()
	if token.Credentials != nil {
		c.unsaved[conn] = token
	}
	c.mu.Unlock()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.deps.Store.SaveToken(ctx, token)
		if errors.Is(err, store.ErrStale) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(c.cfg.Lease-c.cfg.IssueTimeout))
	if err == nil || errors.Is(err, store.ErrStale) {
		c.mu.Lock()
		delete(c.unsaved, conn)
		c.mu.Unlock()
		return err
	}
	if token.Credentials != nil {
		c.deps.Logger.ErrorContext(ctx, "a rotated refresh token is only in memory: bring the settings database back before a restart",
			"workspace", conn.workspace, "connection", conn.id)
	}
	return err
}

// saveUnsaved stores what an earlier call could not.
func (c *Custodian) saveUnsaved(ctx context.Context, conn connection) error {
	c.mu.Lock()
	token, ok := c.unsaved[conn]
	c.mu.Unlock()
	if !ok {
		return nil
	}
	err := c.save(ctx, conn, token)
	if errors.Is(err, store.ErrStale) {
		return nil // somebody set new credentials; the rotated ones are no longer wanted
	}
	return err
}
