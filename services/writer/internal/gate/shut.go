package gate

import (
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// shut reports whether the connection's state keeps every write out, so that none of them need find out (XC-17). What is in
// the way of some writes only, such as a missing permission, is for each of them to meet.
func shut(status *configv1.ConnectionStatus) bool {
	switch status.GetState() {
	case configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING:
		return true // LOOM-7
	case configv1.ConnectionState_CONNECTION_STATE_DEGRADED:
	default:
		return false // what has no authorisation has no client
	}
	switch status.GetReason() {
	case streamv1.Reason_REASON_SF_APP_BLOCKED, streamv1.Reason_REASON_SF_IP_RESTRICTED, streamv1.Reason_REASON_SF_API_DISABLED,
		streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, streamv1.Reason_REASON_SF_AUTH_REVOKED:
		return true
	}
	return false
}

// shutFor is the reason for which writes are parked meanwhile.
func shutFor(status *configv1.ConnectionStatus) streamv1.Reason {
	if status.GetState() == configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING {
		return streamv1.Reason_REASON_SF_FIELD_GONE
	}
	return status.GetReason()
}
