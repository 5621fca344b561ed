package connstate

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Message is the status as callers and watchers get it; nil for one that was never noted.
func (s Status) Message() *configv1.ConnectionStatus {
	if s.State == Unknown {
		return nil
	}
	m := &configv1.ConnectionStatus{State: s.State, Reason: s.Reason, Cause: s.Cause, Actor: s.Actor, Since: timestamppb.New(s.Since)}
	if !s.HeldUntil.IsZero() {
		m.HeldUntil = timestamppb.New(s.HeldUntil)
	}
	return m
}
