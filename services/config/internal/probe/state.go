package probe

import (
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
)

// State is what the answers make of a connection. known is false when they decide nothing: a question that matters could not
// be answered, which is neither good nor bad, or there was no token to ask with, of which the token endpoint has said more.
func State(results []*configv1.ProbeResult) (state connstate.State, reason streamv1.Reason, known bool) {
	noPackage, unchecked, warned := false, false, false
	for _, r := range results {
		switch {
		case r.GetProbe() == Authorisation && r.GetStatus() != configv1.ProbeStatus_PROBE_STATUS_OK:
			return 0, 0, false
		case !r.GetRequired():
		case r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK:
			unchecked = true
		case r.GetStatus() != configv1.ProbeStatus_PROBE_STATUS_BLOCKED:
		case r.GetProbe() == Package && r.GetReason() == streamv1.Reason_REASON_SF_FIELD_GONE:
			noPackage = true
		case r.GetReason() == streamv1.Reason_REASON_UNSPECIFIED:
			warned = true
		default:
			return connstate.Degraded, r.GetReason(), true
		}
	}
	switch {
	case unchecked:
		return 0, 0, false
	case noPackage:
		return connstate.NoPackage, 0, true
	case warned: // it will be in the way
		return connstate.Degraded, 0, true
	}
	return connstate.Ready, 0, true
}
