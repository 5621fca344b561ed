package delivery

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/outcome"
	"github.com/throughline-dev/throughline/services/writer/internal/gate"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// ending is what became of one write: everything its outcome tells, and what the ledger must know first.
type ending struct {
	item   *queue.Item
	status streamv1.Status
	reason streamv1.Reason
	// code and detail explain a failure.
	code, detail string
	recordID     string
	created      bool
	call         *salesforce.Call
	notes        []string
	// entry is saved before the outcome is published; nil when the ledger needs to know nothing.
	entry *stage.Entry
}

// waypoint reports whether the write goes on: its offset is not settled.
func (e *ending) waypoint() bool { return e.status == streamv1.Status_STATUS_RETRYING }

// ends reports whether the record is made, or never will be by this revision.
func (e *ending) ends() bool {
	return e.status == streamv1.Status_STATUS_WRITTEN || e.status == streamv1.Status_STATUS_FAILED ||
		e.reason == streamv1.Reason_REASON_ERASED_SUBJECT
}

// written reports whether the record is there as it was wanted.
func (e *ending) written() bool { return e.status == streamv1.Status_STATUS_WRITTEN }

// reservation returns what an ending changes about the revisions that are to come back; nil for nothing. One that ended gives
// its reservation up. One that failed may come back all the same, by a replay, or after a death because offsets before its own
// were not settled: newer ones must know.
func (e *ending) reservation(t ledger.Table, now time.Time) (*stage.Entry, error) {
	w := e.item.Write
	switch {
	case e.waypoint(), ledger.Once(w) && !e.ends():
		return nil, nil
	case e.reserves():
		return ledger.Reserve(t, w, now)
	default:
		return ledger.Release(t, w), nil
	}
}

// reserves reports whether newer revisions must know that this one may come back.
func (e *ending) reserves() bool {
	return e.status == streamv1.Status_STATUS_FAILED && !ledger.Once(e.item.Write)
}

func written(it *queue.Item, recordID string, created bool) ending {
	return ending{item: it, status: streamv1.Status_STATUS_WRITTEN, recordID: recordID, created: created}
}

func failed(it *queue.Item, e *salesforce.Error) ending {
	return ending{
		item: it, status: streamv1.Status_STATUS_FAILED, reason: gate.ReasonOf(e), code: e.Code, detail: advise(e),
	}
}

func retrying(it *queue.Item, e *salesforce.Error) ending {
	return ending{
		item: it, status: streamv1.Status_STATUS_RETRYING, reason: gate.ReasonOf(e), code: e.Code, detail: e.Detail,
	}
}

// skip tells the outcome of a write that needs no request.
func skip(s queue.Skipped, now time.Time) (ending, error) {
	w := s.Item.Write
	switch s.Verdict.Step {
	case ledger.Repeat:
		e := written(s.Item, cmp.Or(s.Verdict.Entry.GetRecordId(), w.GetRecordId()), false)
		if reason := s.Verdict.Entry.GetSettledReason(); reason != 0 {
			e.status, e.reason = streamv1.Status_STATUS_SKIPPED, reason
		}
		return e, nil
	case ledger.Note:
		entry, err := ledger.Advance(w, s.Verdict.Entry, s.Verdict.Reason, now)
		return ending{
			item: s.Item, status: streamv1.Status_STATUS_SKIPPED, reason: s.Verdict.Reason,
			recordID: s.Verdict.Entry.GetRecordId(), entry: &entry,
		}, err
	default:
		return ending{
			item: s.Item, status: streamv1.Status_STATUS_SKIPPED, reason: s.Verdict.Reason,
			recordID: s.Verdict.Entry.GetRecordId(),
		}, nil
	}
}

// advise adds to Salesforce's text what a person can do.
func advise(e *salesforce.Error) string {
	text := e.Detail
	if text != "" {
		text += "; "
	}
	switch e.Class {
	case salesforce.ClassConfig:
		return text + "check the integration's fields and the integration user's permissions, then replay the dead letter"
	case salesforce.ClassData:
		return text + "correct the value or the org's rule, then replay the dead letter"
	default:
		return text + "look at the record in Salesforce, then replay the dead letter"
	}
}

// outcome builds the message's content.
func (e *ending) outcome(now time.Time) *streamv1.Outcome {
	w := e.item.Write
	o := &streamv1.Outcome{
		Workspace: w.GetWorkspace(), Connection: w.GetConnection(), Stage: stageName,
		Integration: w.GetIntegration(), IntegrationVersion: w.GetIntegrationVersion(),
		Status: e.status, Reason: e.reason, Detail: e.detail, SalesforceCode: e.code,
		EventId: w.GetEventId(), VisitId: w.GetVisitId(), EngagementId: w.GetEngagementId(),
		PersonKey: w.GetPersonKey(), WriteKey: w.GetWriteKey(), Revision: w.GetRevision(), Object: w.GetObject(),
		RecordId: e.recordID, Created: e.created, Attempts: uint32(max(e.item.Attempts, 0)),
		OccurredAt: w.GetOccurredAt(), DecidedAt: timestamppb.New(now), SettingsRevision: w.GetSettingsRevision(),
	}
	if row := w.GetRunRow(); row != nil {
		o.RunRow = &streamv1.RunRow{Run: row.GetRun(), Number: row.GetNumber()}
		if !e.written() {
			o.RunRow.SealedKey = row.GetSealedKey()
		}
	}
	if e.reason == streamv1.Reason_REASON_ERASED_SUBJECT {
		return outcome.Erased(o)
	}
	if e.status == streamv1.Status_STATUS_WRITTEN {
		o.Notes = append(append(append(o.Notes, w.GetWarnings()...), e.item.Notes...), e.notes...)
	}
	if e.call != nil {
		o.Request = &streamv1.Request{
			Api: e.call.API, Route: e.call.Route, HttpStatus: int32(e.call.Status),
			BatchSize: int32(e.call.Records), DurationMs: float64(e.call.Duration.Microseconds()) / 1000,
		}
	}
	return o
}

// stageName is the stage of every outcome of this service.
const stageName = "writer"
