package push

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/normalize"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// action is what write keys call the one thing that a push does.
const action = "report-push"

// write makes the message that changes one record. Promises 4 and 5: its key is the same for every run that changes the record, so
// that the ledger grows with records and not with runs, and the run's number is its revision. It has no content hash: that the ledger
// saw the same values before says nothing about what the record holds now; the comparison of this run does.
func (r *run) write(it *item, recordID string, records int) (stage.Message, error) {
	run, push := r.claim.GetRun(), r.plan.push
	w := &streamv1.Write{
		WriteKey:  ids.WriteKey(run.GetWorkspace(), push.GetId(), action, recordID),
		Workspace: run.GetWorkspace(), Connection: run.GetConnection(),
		Integration: push.GetId(), IntegrationVersion: run.GetPushVersion(), Revision: run.GetNumber(),
		Object: push.GetObject(), Operation: streamv1.Operation_OPERATION_UPDATE, RecordId: recordID,
		Priority: streamv1.Priority_PRIORITY_BULK, OccurredAt: timestamppb.New(r.deliveredAt()),
		SettingsRevision: r.deps.Settings.View().Revision(), LeaveOutFields: push.GetLeaveOutFields(),
		RunRow: &streamv1.RunRow{Run: run.GetId(), Number: it.number}, Org: r.org.orgName(),
	}
	if records > 1 {
		w.RunRow.Records = int32(records) //nolint:gosec // bounded by what a query finds
	}
	w.PersonKey = r.personKey(it)
	if err := r.seal(w, it); err != nil {
		return stage.Message{}, err
	}
	value, err := proto.Marshal(w)
	if err != nil {
		return stage.Message{}, fmt.Errorf("encode write %s: %w", w.GetWriteKey(), err)
	}
	return stage.Message{
		Topic: topic.Writes, Key: topic.ConnectionKey(w.GetWorkspace(), w.GetConnection()), Value: value,
		ID: w.GetWriteKey() + "/" + strconv.FormatInt(w.GetRevision(), 10), Type: topic.TypeWrite, Time: w.GetOccurredAt().AsTime(),
	}, nil
}

// personKey is whom a row is about, where its key is an address, so that a person's rows can be found and stopped without opening any
// (XC-31).
func (r *run) personKey(it *item) string {
	if !r.plan.rule.Email() {
		return ""
	}
	address, err := normalize.Email(it.key.Norm)
	if err != nil {
		return ""
	}
	return r.ws.Keys().PersonKey(address)
}

// deliveredAt is when the rows came.
func (r *run) deliveredAt() time.Time {
	if at := r.claim.GetDelivery().GetCompletedAt(); at != nil {
		return at.AsTime()
	}
	return r.claim.GetRun().GetStartedAt().AsTime()
}

// seal puts the fields and the row's key into the write. Promise 8.
func (r *run) seal(w *streamv1.Write, it *item) error {
	fields := new(streamv1.FieldValues)
	for i, v := range it.values {
		if v.Keep {
			continue
		}
		if v.Warning != "" {
			w.Warnings = append(w.Warnings, v.Warning)
		}
		f := &streamv1.FieldValue{Field: r.plan.fills[i].Field()}
		switch value := v.V.(type) {
		case string:
			f.Value = &streamv1.FieldValue_Text{Text: value}
		case float64:
			f.Value = &streamv1.FieldValue_Number{Number: value}
		case bool:
			f.Value = &streamv1.FieldValue_Flag{Flag: value}
		}
		fields.Fields = append(fields.Fields, f)
	}
	slices.SortFunc(fields.Fields, func(a, b *streamv1.FieldValue) int { return strings.Compare(a.GetField(), b.GetField()) })
	plain, err := proto.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the fields of write %s: %w", w.GetWriteKey(), err)
	}
	if w.SealedFields, err = r.ws.Keys().Seal(plain); err != nil {
		return fmt.Errorf("seal the fields of write %s: %w", w.GetWriteKey(), err)
	}
	if w.RunRow.SealedKey, err = r.ws.Keys().Seal([]byte(it.raw)); err != nil {
		return fmt.Errorf("seal the key of write %s: %w", w.GetWriteKey(), err)
	}
	return nil
}
