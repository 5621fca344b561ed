package gateway

import (
	"context"
	"math"
	"net/http"
	"strconv"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tooLarge is what is read of a body beyond its limit; the gateway keeps only the text of the error.
var tooLarge = (&http.MaxBytesError{}).Error()

// answerError writes an error as google.rpc.Status in JSON. A caller who is too often here is told when to come back, and one who is
// unknown how to prove who it is. Source: RFC 9110, "Retry-After" and "WWW-Authenticate".
func answerError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	said := status.Convert(err)
	for _, detail := range said.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			seconds := math.Ceil(retry.GetRetryDelay().AsDuration().Seconds())
			w.Header().Set("Retry-After", strconv.Itoa(max(1, int(seconds))))
		}
	}
	if said.Code() == codes.InvalidArgument && said.Message() == tooLarge {
		err = &runtime.HTTPStatusError{HTTPStatus: http.StatusRequestEntityTooLarge, Err: status.Error(codes.InvalidArgument, "the request is too large")}
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, err)
}
