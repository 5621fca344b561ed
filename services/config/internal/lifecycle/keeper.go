package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"time"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// States is where states are kept.
type States interface {
	ChangeState(ctx context.Context, workspace, connection string, manual bool, decide store.Decide) (connstate.Status, connstate.Verdict, error)
	ConnectionStatus(ctx context.Context, workspace, connection string) (connstate.Status, error)
	ScheduleCheck(ctx context.Context, workspace, connection string, at time.Time) error
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

// Key names a connection.
type Key struct{ Workspace, Connection string }

// Causes that this program gives; others are Salesforce's codes and operators' sentences.
const (
	// CauseCredentials: an administrator entered credentials.
	CauseCredentials = "CREDENTIALS"
	// CauseConsent: somebody authorised the app at Salesforce.
	CauseConsent = "CONSENT"
	// CauseStarted: a login or a set-up link was made.
	CauseStarted = "STARTED"
	// CauseNotFinished: the login was denied, cancelled or not finished in time.
	CauseNotFinished = "NOT_FINISHED"
	// CauseDisconnected: an administrator disconnected the org.
	CauseDisconnected = "DISCONNECT"
	// CauseKeysDestroyed: the workspace's keys were destroyed, and its credentials with them.
	CauseKeysDestroyed = "KEYS_DESTROYED"
	// CauseUnreadable: the credentials do not open with the installation's key.
	CauseUnreadable = "CREDENTIALS_UNREADABLE"
	// CauseDiagnosis: what diagnosis found.
	CauseDiagnosis = "DIAGNOSIS"
	// CauseChecked: an administrator had it checked, and Salesforce let us in.
	CauseChecked = "CHECKED"
	// CauseTokenIssued: Salesforce takes the credentials again.
	CauseTokenIssued = "TOKEN_ISSUED"
)

// Actors that are no callers.
const (
	ActorSalesforce = "salesforce"
	ActorDiagnosis  = "diagnosis"
	ActorConfig     = "config"
	ActorSetupLink  = "set-up link"
)

// Keeper changes states. Safe for concurrent use, also by several replicas on one store.
type Keeper struct {
	Rules  connstate.Rules
	States States
	Clock  Clock
	Logger *slog.Logger
}

// Change notes what somebody found or decided; the change's time is now. The error is connstate.ErrIllegal, and nothing
// changed, if the connection cannot go that way.
func (k *Keeper) Change(ctx context.Context, key Key, c connstate.Change) (connstate.Status, connstate.Verdict, error) {
	return k.change(ctx, key, c, false)
}

// Begin notes where a connection that was just made stands, unless somebody has noted more of it meanwhile.
func (k *Keeper) Begin(ctx context.Context, key Key, c connstate.Change) error {
	_, _, err := k.change(ctx, key, c, true)
	return err
}

func (k *Keeper) change(ctx context.Context, key Key, c connstate.Change, first bool) (connstate.Status, connstate.Verdict, error) {
	c.At = k.Clock.Now()
	var from connstate.State
	status, verdict, err := k.States.ChangeState(ctx, key.Workspace, key.Connection, c.Manual,
		func(now connstate.Status) (connstate.Status, connstate.Verdict, error) {
			from = now.State
			if first && from != connstate.Unknown {
				return now, connstate.Same, nil
			}
			return k.Rules.Next(now, c)
		})
	if err == nil && verdict == connstate.Changed {
		k.Logger.InfoContext(ctx, "a connection changed its state", "workspace", key.Workspace, "connection", key.Connection,
			"from", connstate.Name(from), "to", connstate.Name(status.State), "reason", status.Reason.String(), "cause", status.Cause,
			"actor", status.Actor, "manual", c.Manual)
	}
	return status, verdict, err
}

// ChangeIfLegal is Change, except that a way the connection cannot go is no error: what was found says nothing new about a
// connection in that state.
func (k *Keeper) ChangeIfLegal(ctx context.Context, key Key, c connstate.Change) (connstate.Status, connstate.Verdict, error) {
	status, verdict, err := k.Change(ctx, key, c)
	if errors.Is(err, connstate.ErrIllegal) {
		status, err = k.States.ConnectionStatus(ctx, key.Workspace, key.Connection)
		return status, connstate.Same, err
	}
	return status, verdict, err
}

// Status returns where a connection stands.
func (k *Keeper) Status(ctx context.Context, key Key) (connstate.Status, error) {
	return k.States.ConnectionStatus(ctx, key.Workspace, key.Connection)
}

// reasonOf turns the client's reason code into the catalogue's.
func reasonOf(code string) streamv1.Reason {
	return streamv1.Reason(streamv1.Reason_value["REASON_"+code])
}
