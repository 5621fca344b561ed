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
	case streamv1.Reason_REASON_SF_NO_PERMISSION:
		return status.GetCause() == causeFullAccess // WALK-3
	case streamv1.Reason_REASON_SF_APP_BLOCKED, streamv1.Reason_REASON_SF_IP_RESTRICTED, streamv1.Reason_REASON_SF_API_DISABLED,
		streamv1.Reason_REASON_SF_EDITION_UNSUPPORTED, streamv1.Reason_REASON_SF_AUTH_REVOKED:
		return true
	}
	return false
}

// Causes of SF_NO_PERMISSION, as diagnosis names its questions: the user is not powerful enough for anything, or may not write one
// object.
const (
	causeFullAccess = "full_access"
	causeTasks      = "tasks"
	causePackage    = "package"
	causeObject     = "object_"
)

// Object tells whether writes to an object may go out: what diagnosis found the user not to be allowed to write waits until it is
// (IMM-2, LOOM-8), and the other objects' writes go on.
func (g *Gate) Object(object string) State {
	settings, _, err := g.connect()
	if err != nil || !denied(settings.GetStatus(), object) {
		return State{Open: true}
	}
	return State{
		Reason: streamv1.Reason_REASON_SF_NO_PERMISSION,
		Detail: "diagnosis found that the integration user may not write " + object + ", or fields of it; see the connection",
	}
}

func denied(status *configv1.ConnectionStatus, object string) bool {
	if status.GetState() != configv1.ConnectionState_CONNECTION_STATE_DEGRADED || status.GetReason() != streamv1.Reason_REASON_SF_NO_PERMISSION {
		return false
	}
	switch cause := status.GetCause(); cause {
	case causeTasks:
		return object == "Task"
	case causePackage:
		return object == "Engagement__c" || object == "Content__c"
	default:
		return cause == causeObject+object
	}
}

// shutFor is the reason for which writes are parked meanwhile.
func shutFor(status *configv1.ConnectionStatus) streamv1.Reason {
	if status.GetState() == configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING {
		return streamv1.Reason_REASON_SF_FIELD_GONE
	}
	return status.GetReason()
}
