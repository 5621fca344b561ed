package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// errorDomain is the domain of ErrorInfo details; their reasons are those of stream/v1, without the prefix.
const errorDomain = "throughline"

// violations are what is wrong with a request, by field path. They become INVALID_ARGUMENT with a BadRequest detail.
type violations []*errdetails.BadRequest_FieldViolation

func (v *violations) add(field, format string, args ...any) {
	*v = append(*v, &errdetails.BadRequest_FieldViolation{Field: field, Description: fmt.Sprintf(format, args...)})
}

// has reports whether something is wrong with a field already.
func (v violations) has(field string) bool {
	return slices.ContainsFunc(v, func(f *errdetails.BadRequest_FieldViolation) bool { return f.GetField() == field })
}

// err returns nil if nothing is wrong.
func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	return v
}

func (v violations) Error() string {
	lines := make([]string, len(v))
	for i, f := range v {
		lines[i] = f.GetField() + ": " + f.GetDescription()
	}
	return strings.Join(lines, "; ")
}

// GRPCStatus implements the interface by which gRPC turns an error into a status.
func (v violations) GRPCStatus() *status.Status {
	return withDetail(status.New(codes.InvalidArgument, v.Error()), &errdetails.BadRequest{FieldViolations: v})
}

// statusOf turns any error of a handler into what the caller is told. What the caller can do nothing about is logged here
// and told as INTERNAL.
func statusOf(ctx context.Context, logger *slog.Logger, method string, err error) error {
	var org *salesforce.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return status.Error(codes.NotFound, "there is no such setting in this workspace")
	case errors.Is(err, store.ErrStale):
		return status.Error(codes.Aborted, "a newer version was saved meanwhile: read it and decide again")
	case errors.Is(err, store.ErrDeleted):
		return status.Error(codes.AlreadyExists, "a setting of this id was deleted, and ids are not used again: choose another")
	case errors.Is(err, store.ErrLastOwner):
		return status.Error(codes.FailedPrecondition, "this is the workspace's last owner: make somebody else an owner first")
	case errors.Is(err, store.ErrTaken):
		return status.Error(codes.AlreadyExists, "another member of the workspace signs in as this subject")
	case errors.Is(err, auth.ErrIssuerAway):
		logger.WarnContext(ctx, "ID tokens cannot be checked", "method", method, "error", err)
		return status.Error(codes.Unavailable, auth.ErrIssuerAway.Error()+"; try again later")
	case errors.Is(err, auth.ErrUnauthenticated):
		return status.Error(codes.Unauthenticated, auth.ErrUnauthenticated.Error())
	case errors.Is(err, seal.ErrOpen):
		return sealedStatus(err)
	case errors.As(err, &org):
		return orgStatus(org)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	logger.ErrorContext(ctx, "a call failed", "method", method, "error", err)
	return status.Error(codes.Internal, "internal error; the config service's log tells more")
}

// orgStatus tells what Salesforce said; a *salesforce.Error is scrubbed. FAILED_PRECONDITION means that somebody has to do
// something, UNAVAILABLE that trying again may help.
func orgStatus(e *salesforce.Error) error {
	code := codes.Unavailable
	if e.Class == salesforce.ClassAuth || e.Class == salesforce.ClassConfig || e.Class == salesforce.ClassData {
		code = codes.FailedPrecondition
	}
	return withDetail(status.New(code, e.Error()), &errdetails.ErrorInfo{Reason: e.Reason, Domain: errorDomain}).Err()
}

func withDetail(s *status.Status, detail protoadapt.MessageV1) *status.Status {
	with, err := s.WithDetails(detail)
	if err != nil {
		return s
	}
	return with
}

// noObject is told when an org has no object of a name, or none that it shows to the connection's user.
func noObject(c *configv1.Connection, object string) error {
	return status.Errorf(codes.NotFound, "the org of connection %q has no object %s that it lets the integration user see", c.GetId(), object)
}
