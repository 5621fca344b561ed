package pubsub

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

// ErrReplayLost says that Salesforce no longer knows the replay id: it is damaged or older than the 72 h that events are
// kept. Events may be missing. Choose: subscribe from Earliest, or read the objects again in full and subscribe from Latest.
// Source: Pub/Sub API Guide, "Event Message Durability".
var ErrReplayLost = errors.New("the replay id is not known any more: subscribe from the earliest event, or resync in full")

// codePrefix begins every value of the trailer "error-code".
const codePrefix = "sfdc.platform.eventbus.grpc."

// Values of the trailer that need more than a class.
const (
	codeReplay        = codePrefix + "subscription.fetch.replayid.corrupted"
	codeReplayMissing = codePrefix + "subscription.fetch.replayid.validation.failed"
)

// verdict is one row of the table.
type verdict struct {
	class  salesforce.Class
	reason string
}

// codeTable is the one table of the Pub/Sub API's error codes, without their prefix; those of publishing are not in it. A code
// that is not in it is classified by the gRPC status. Source: Pub/Sub API Guide, "Handle Errors".
var codeTable = map[string]verdict{
	"service.auth.error":           {salesforce.ClassAuth, salesforce.ReasonAuthRevoked},
	"service.auth.refresh.invalid": {salesforce.ClassAuth, salesforce.ReasonAuthRevoked},
	"service.auth.headers.invalid": {salesforce.ClassAuth, salesforce.ReasonAuthRevoked},
	"service.tenant.license":       {salesforce.ClassConfig, salesforce.ReasonEditionUnsupported},

	"service.unavailable":                       {salesforce.ClassTransient, salesforce.ReasonUnavailable},
	"topic.api.unavailable":                     {salesforce.ClassTransient, salesforce.ReasonUnavailable},
	"schema.api.unavailable":                    {salesforce.ClassTransient, salesforce.ReasonUnavailable},
	"subscription.internal.error":               {salesforce.ClassTransient, salesforce.ReasonUnavailable},
	"subscription.fetch.replay.repeated":        {salesforce.ClassTransient, salesforce.ReasonUnavailable},
	"subscription.fetch.overflow":               {salesforce.ClassTransient, salesforce.ReasonLimit},
	"service.protection.triggered":              {salesforce.ClassTransient, salesforce.ReasonLimit},
	"service.protection.stream.limit.triggered": {salesforce.ClassTransient, salesforce.ReasonLimit},
	"concurrent.client.limit.exceeded":          {salesforce.ClassTransient, salesforce.ReasonLimit},
	"subscription.limit.exceeded":               {salesforce.ClassQuota, salesforce.ReasonLimit},

	"topic.meta.permission":               {salesforce.ClassConfig, salesforce.ReasonNoPermission},
	"schema.meta.permission":              {salesforce.ClassConfig, salesforce.ReasonNoPermission},
	"subscription.topic.cannot.subscribe": {salesforce.ClassConfig, salesforce.ReasonNoPermission},

	"topic.not.found":                             {salesforce.ClassConfig, salesforce.ReasonRejected},
	"topic.validation.empty":                      {salesforce.ClassConfig, salesforce.ReasonRejected},
	"schema.validation.failed":                    {salesforce.ClassConfig, salesforce.ReasonRejected},
	"subscription.fetch.requested.events.invalid": {salesforce.ClassConfig, salesforce.ReasonRejected},
	"subscription.fetch.topic.mismatch":           {salesforce.ClassConfig, salesforce.ReasonRejected},
	"subscription.fetch.request.invalid":          {salesforce.ClassConfig, salesforce.ReasonRejected},
}

// classify turns the end of a call into ErrReplayLost or an *salesforce.Error. The original text is dropped: it holds
// addresses (promise 8).
func classify(err error, trailer metadata.MD) error {
	code := ""
	if values := trailer.Get("error-code"); len(values) > 0 {
		code = values[0]
	}
	if code == codeReplay || code == codeReplayMissing {
		return ErrReplayLost
	}
	e := &salesforce.Error{Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable, Code: salesforce.CodeConnection}
	if v, known := codeTable[strings.TrimPrefix(code, codePrefix)]; known {
		e.Class, e.Reason, e.Code = v.class, v.reason, code
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
