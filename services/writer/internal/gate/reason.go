package gate

import (
	"errors"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// ReasonOf returns the reason code of an error of the client; a code nobody knows counts as SF_REJECTED.
func ReasonOf(e *salesforce.Error) streamv1.Reason {
	if n, ok := streamv1.Reason_value["REASON_"+e.Reason]; ok && n != 0 {
		return streamv1.Reason(n)
	}
	return streamv1.Reason_REASON_SF_REJECTED
}

func asError(err error) (*salesforce.Error, bool) {
	var e *salesforce.Error
	return e, errors.As(err, &e)
}
