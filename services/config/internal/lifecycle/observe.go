package lifecycle

import (
	"context"
	"errors"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// Refused notes that Salesforce gave no token for a connection. A grant that is dead is REVOKED; an app, address or key that
// is not accepted leaves the grant alive, so that is DEGRADED. What passes by itself changes nothing: a Salesforce that cannot
// be reached has revoked nothing (IMM-15). Credentials that do not open could not even be shown to Salesforce: DEGRADED, until
// somebody restores the key or enters them again. Implements tokens.Observer.
func (k *Keeper) Refused(ctx context.Context, workspace, connection string, err error) {
	if errors.Is(err, seal.ErrOpen) { // XC-29: never gone around
		k.note(ctx, Key{workspace, connection}, connstate.Change{
			To: connstate.Degraded, Reason: streamv1.Reason_REASON_SF_AUTH_REVOKED, Cause: CauseUnreadable, Actor: ActorConfig,
		})
		return
	}
	var e *salesforce.Error
	if !errors.As(err, &e) {
		return
	}
	c := connstate.Change{Cause: CauseOf(e.Code, reasonOf(e.Reason)), Actor: ActorSalesforce, Reason: reasonOf(e.Reason)}
	switch {
	case e.Class == salesforce.ClassTransient, e.Class == salesforce.ClassQuota, e.Class == salesforce.ClassUnknown:
		return
	case e.Code == salesforce.CodeNoToken: // there is nothing to ask with; whoever forgot it has noted that
		return
	case e.Class == salesforce.ClassAuth && e.Reason == salesforce.ReasonAuthRevoked && e.Code != tokens.CodeOtherOrg:
		c.To = connstate.Revoked
	default:
		c.To = connstate.Degraded
	}
	k.note(ctx, Key{workspace, connection}, c)
}

// CauseOf is what brought a refusal about: the policy of the app that it contradicts, if it does (LOOM-12), or Salesforce's code.
func CauseOf(code string, reason streamv1.Reason) string {
	switch {
	case code == "invalid_app_access":
		return probe.PolicyUsers
	case reason == streamv1.Reason_REASON_SF_IP_RESTRICTED:
		return probe.PolicyIP
	}
	return code
}

// Issued notes that Salesforce gave a token. Somebody who was locked out is let in again; what else was in the way is asked
// about at once. Implements tokens.Observer.
func (k *Keeper) Issued(ctx context.Context, workspace, connection string) {
	key := Key{workspace, connection}
	status, err := k.Status(ctx, key)
	if err != nil {
		k.failed(ctx, key, err)
		return
	}
	switch {
	case status.State == connstate.Revoked:
		k.note(ctx, key, connstate.Change{To: connstate.Authorised, Cause: CauseTokenIssued, Actor: ActorSalesforce, Recovery: true})
	case status.State == connstate.Degraded && (status.Actor == ActorSalesforce || status.Cause == CauseUnreadable):
	default:
		return
	}
	if err := k.States.ScheduleCheck(ctx, workspace, connection, k.Clock.Now()); err != nil {
		k.failed(ctx, key, err)
	}
}

func (k *Keeper) note(ctx context.Context, key Key, c connstate.Change) {
	if _, _, err := k.ChangeIfLegal(ctx, key, c); err != nil {
		k.failed(ctx, key, err)
	}
}

func (k *Keeper) failed(ctx context.Context, key Key, err error) {
	k.Logger.ErrorContext(ctx, "a connection's state could not be noted; the next look will",
		"workspace", key.Workspace, "connection", key.Connection, "error", err)
}
