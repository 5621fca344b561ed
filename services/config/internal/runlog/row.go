package runlog

import (
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// rowOf tells which row of a report's run an outcome is about, nil for none, and how the run's log shows a row that was not
// written (WALK-30). Of whoever was erased no key is kept.
func rowOf(o *streamv1.Outcome) *store.RowOf {
	from := o.GetRunRow()
	if from.GetRun() == "" {
		return nil
	}
	row := &store.RowOf{Run: from.GetRun(), Number: from.GetNumber(), Records: from.GetRecords(), PersonKey: o.GetPersonKey()}
	refused := o.GetStatus() == streamv1.Status_STATUS_FAILED || o.GetStatus() == streamv1.Status_STATUS_REJECTED
	passed := o.GetStatus() == streamv1.Status_STATUS_SKIPPED && o.GetReason() != streamv1.Reason_REASON_UNCHANGED
	if !refused && !passed {
		return row
	}
	shown := &configv1.ReportRunRow{
		Number: from.GetNumber(), Reason: o.GetReason(), Detail: o.GetDetail(), SalesforceCode: o.GetSalesforceCode(),
	}
	if o.GetReason() != streamv1.Reason_REASON_ERASED_SUBJECT {
		shown.SealedKey = from.GetSealedKey()
	}
	if o.GetRecordId() != "" {
		shown.RecordIds = []string{o.GetRecordId()}
	}
	row.Body, _ = proto.Marshal(shown) // it was a message just now
	return row
}
