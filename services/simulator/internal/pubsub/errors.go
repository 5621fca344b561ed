package pubsub

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Values of the trailer "error-code" (Pub/Sub API guide, "Handle Errors").
const (
	codePrefix      = "sfdc.platform.eventbus.grpc."
	codeAuth        = codePrefix + "service.auth.error"
	codeAuthHeaders = codePrefix + "service.auth.headers.invalid"
	codeAuthRefresh = codePrefix + "service.auth.refresh.invalid"
	codeUnavailable = codePrefix + "service.unavailable"
	codeTopic       = codePrefix + "topic.not.found"
	codeNoTopic     = codePrefix + "topic.validation.empty"
	codeTopicRights = codePrefix + "topic.meta.permission"
	codeSchema      = codePrefix + "schema.meta.permission"
	codeNoSchema    = codePrefix + "schema.validation.failed"
	codeSubscribe   = codePrefix + "subscription.topic.cannot.subscribe"
	codeReplay      = codePrefix + "subscription.fetch.replayid.corrupted"
	codeNoReplay    = codePrefix + "subscription.fetch.replayid.validation.failed"
	codeMismatch    = codePrefix + "subscription.fetch.topic.mismatch"
	codeRequested   = codePrefix + "subscription.fetch.requested.events.invalid"
	codeLimit       = codePrefix + "subscription.limit.exceeded"
)

func rpcID() string { return uuid.NewString() }

// failure ends a call as Salesforce does: with a code in the trailer and the call's id at the end of the text.
func failure(ctx context.Context, code codes.Code, trailer, text string) error {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("error-code", trailer)) // fails only outside of a call
	return status.Error(code, text+" rpcId: "+rpcID())
}
