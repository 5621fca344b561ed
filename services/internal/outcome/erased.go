package outcome

import streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"

// ErasedDetail is what a person reads about something that is not recorded because its person was erased.
const ErasedDetail = "the person was erased, so nothing of them is recorded; lift the suppression if they have registered again"

// Erased makes o the outcome of something that goes no further because its person was erased (XC-31), and takes out of it
// what would tell of whom. What it is about, the stage and the time of the decision are the caller's to set.
func Erased(o *streamv1.Outcome) *streamv1.Outcome {
	o.Status, o.Reason, o.Detail = streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_ERASED_SUBJECT, ErasedDetail
	o.PersonKey, o.EngagementId = "", "" // an engagement's id is made of the person's key
	if o.RunRow != nil {
		o.RunRow.SealedKey = nil
	}
	return o
}
