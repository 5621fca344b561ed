package pubsub

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Values of the trailer "error-code" (Pub/Sub API guide, "Handle Errors"). Those of topics and schemas are not documented.
const (
	codePrefix      = "sfdc.platform.eventbus.grpc."
	codeReplay      = codePrefix + "subscription.fetch.replayid.corrupted"
	codeLimit       = codePrefix + "subscription.limit.exceeded"
	codeAuth        = codePrefix + "service.auth.error"
	codeAuthRefresh = codePrefix + "service.auth.refresh.invalid"
	codeTopic       = codePrefix + "topic.not.found"
	codePermission  = codePrefix + "topic.permission.error"
	codeSchema      = codePrefix + "schema.not.found"
	codeRequest     = codePrefix + "subscription.fetch.request.invalid"
	codeUnavailable = codePrefix + "service.unavailable"
)

func rpcID() string { return uuid.NewString() }

// failure ends a call as Salesforce does: with a code in the trailer and the call's id at the end of the text.
func failure(ctx context.Context, code codes.Code, trailer, text string) error {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("error-code", trailer)) // fails only outside of a call
	return status.Error(code, text+" rpcId: "+rpcID())
}
