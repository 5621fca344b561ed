package api

import (
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// CodeSealed is in the metadata of a refusal because a sealed value does not open, under "code".
const CodeSealed = lifecycle.CauseUnreadable

// sealedStatus tells that something sealed does not open, and which connection that stops. It is never gone around: what
// does not open is not used, and nothing is ever kept unsealed.
func sealedStatus(err error) error {
	const remedy = "enter them again, or restore the key"
	info := &errdetails.ErrorInfo{
		Reason: salesforce.ReasonAuthRevoked, Domain: errorDomain, Metadata: map[string]string{"code": CodeSealed},
	}
	var of *tokens.CredentialsError
	if !errors.As(err, &of) {
		return withDetail(status.New(codes.FailedPrecondition, "sealed settings do not open with this installation's key: "+remedy), info).Err()
	}
	info.Metadata["workspace"], info.Metadata["connection"] = of.Workspace, of.Connection
	return withDetail(status.Newf(codes.FailedPrecondition,
		"the credentials of connection %s in workspace %s do not open with this installation's key: %s", of.Connection, of.Workspace, remedy), info).Err()
}
