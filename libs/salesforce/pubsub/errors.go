package pubsub

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// ErrReplayLost says that Salesforce no longer knows the replay id: it is damaged or older than the 72 h that events are
// kept. Events may be missing. Choose: subscribe from Earliest, or read the objects again in full and subscribe from Latest.
// Source: Pub/Sub API Guide, "Event Message Durability".
var ErrReplayLost = errors.New("the replay id is not known any more: subscribe from the earliest event, or resync in full")

// Values of the trailer "error-code". Source: Pub/Sub API Guide, "Handle Errors".
const (
	codePrefix      = "sfdc.platform.eventbus.grpc."
	codeReplay      = codePrefix + "subscription.fetch.replayid.corrupted"
	codeLimit       = codePrefix + "subscription.limit.exceeded"
	codeAuth        = codePrefix + "service.auth.error"
	codeAuthRefresh = codePrefix + "service.auth.refresh.invalid"
)

// classify turns the end of a call into ErrReplayLost or an *salesforce.Error. The original text is dropped: it holds
// addresses (promise 8).
func classify(err error, trailer metadata.MD) error {
	code := ""
	if values := trailer.Get("error-code"); len(values) > 0 {
		code = values[0]
	}
	e := &salesforce.Error{Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeConnection}
	switch code {
	case codeReplay:
		return ErrReplayLost
	case codeLimit:
		e.Class, e.Reason, e.Code = salesforce.ClassQuota, salesforce.ReasonLimit, code
		return e
	case codeAuth, codeAuthRefresh:
		e.Class, e.Reason, e.Code = salesforce.ClassAuth, salesforce.ReasonAuthRevoked, code
		return e
	}
	if errors.Is(err, io.EOF) {
		e.Detail = "the stream ended"
		return e
	}
	switch status.Code(err) {
	case codes.Unauthenticated:
		e.Class, e.Reason = salesforce.ClassAuth, salesforce.ReasonAuthRevoked
	case codes.PermissionDenied:
		e.Class, e.Reason = salesforce.ClassConfig, salesforce.ReasonNoPermission
	case codes.InvalidArgument, codes.NotFound, codes.Unimplemented:
		e.Class, e.Reason = salesforce.ClassConfig, salesforce.ReasonRejected
	}
	e.Code = status.Code(err).String()
	return e
}

// tokenError keeps the class of a token source's failure; any other counts as transient.
func tokenError(err error) error {
	var own *salesforce.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return err
	}
	return &salesforce.Error{Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeNoToken}
}
