package probe

import (
	"fmt"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Facts is what was observed of an app's policies, which an app cannot read (LOOM-12).
type Facts struct {
	// Refreshed: Salesforce gave a token for the refresh token to this machine, just now.
	Refreshed bool
	// Reason is why it did not, if it did not.
	Reason streamv1.Reason
	// Code is Salesforce's, or of the last login that failed.
	Code string
	// ConsentAge is how old the authorisation is; 0 if nobody logged in.
	ConsentAge time.Duration
	// EndedEarly is how many authorisations before this one ended within ShortLife, one after the other, and LastLife how long
	// the last of them lasted.
	EndedEarly int
	LastLife   time.Duration
}

// provenAge is how old a refresh token must have become to count as valid until revoked.
const provenAge = 31 * 24 * time.Hour

// ShortLife is within what a refresh token that was not revoked should not have ended.
const ShortLife = 30 * 24 * time.Hour

// suspicious is how many authorisations in a row must have ended early to be the policy's doing: one may have been revoked.
const suspicious = 2

// Policies says of the three policies of the app what can be told: confirmed, contradicted or unknown.
func Policies(f Facts) []*configv1.ProbeResult {
	unknown := finding{status: configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, text: textPolicyUnknown}
	users, tokens, ip := unknown, unknown, unknown
	users.text, tokens.text, ip.text = textPolicyUsers, textPolicyTokens, textPolicyIP
	if f.Code == "invalid_app_access" {
		users = blocked(streamv1.Reason_REASON_SF_APP_BLOCKED, textPolicyUsers, f.Code)
	}
	switch {
	case f.Refreshed && f.ConsentAge >= provenAge:
		tokens = ok(textPolicyTokens, "")
	case f.Code == "invalid_grant" && f.Reason == streamv1.Reason_REASON_SF_AUTH_REVOKED && f.ConsentAge > 0 && f.ConsentAge < ShortLife:
		tokens = blocked(streamv1.Reason_REASON_SF_AUTH_REVOKED, textPolicyTokens, f.Code)
	case f.shortLived():
		// Nothing is in the way of writes yet, and so the state has no reason that would keep them out: it is told in time.
		tokens = blocked(0, textPolicyTokens, lifeText(f.EndedEarly, f.LastLife))
	}
	switch {
	case f.Refreshed:
		ip = ok(textPolicyIP, "")
	case f.Reason == streamv1.Reason_REASON_SF_IP_RESTRICTED:
		ip = blocked(f.Reason, textPolicyIP, f.Code)
	}
	return []*configv1.ProbeResult{
		users.result(PolicyUsers, false), tokens.result(PolicyTokens, f.shortLived()), ip.result(PolicyIP, false),
	}
}

// shortLived reports whether the app is known to end its refresh tokens, and this one has not proven otherwise yet (LOOM-12).
func (f Facts) shortLived() bool {
	return f.Refreshed && f.EndedEarly >= suspicious && f.ConsentAge <= f.LastLife+f.LastLife/2
}

func lifeText(n int, last time.Duration) string {
	return fmt.Sprintf("%d authorisations ended early, the last one after %s", n, last.Round(time.Hour))
}
