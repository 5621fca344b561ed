package privacy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/stage"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// rowObject is the object of the Throughline package whose rows are about people, and rowFields what in them says of whom, in
// ascending order. The numbers of a row say nothing of anybody then.
const rowObject = "Engagement__c"

var rowFields = []string{
	"Account__c", "Contact__c", "External_Id__c", "Identity_Method__c", "Lead__c", "Trace_Id__c", "Viewer_Email__c",
}

// blankKey is the key of the write that blanks a record.
func blankKey(workspace string, r *configv1.ErasureRecord) string {
	return ids.WriteKey(workspace, "privacy", "blank", r.GetConnection()+"/"+r.GetRecordId())
}

// noteBlanked says which records of a certificate are blanked, and by which writes.
func noteBlanked(e *configv1.Erasure) {
	n := 0
	for _, r := range e.GetCertificate().GetRecords() {
		if r.GetObject() == rowObject {
			r.BlankWriteKey = blankKey(e.GetWorkspace(), r)
			n++
		}
	}
	e.Certificate.Removed = append(e.Certificate.Removed, &configv1.ErasureRemoved{
		Place: "rows of the package", Count: int64(n),
		Detail: "address, links to people, external id and trace are being blanked in Salesforce; the run log tells of each, under its write key",
	})
}

// blankAtOnce is how many writes are sent together.
const blankAtOnce = 200

// blank sends the writes that blank the rows of an erasure, if that was asked for. They have the same keys and revisions when
// they are sent again, so that they have their effect once (promise 5).
func (w *Worker) blank(ctx context.Context, row store.Erasure) error {
	e := &configv1.Erasure{}
	// The certificate as it is now, with what was found meanwhile.
	err := w.deps.Eraser.EraseOutcomes(ctx, row, nil, func(body []byte, _ int64) ([]byte, bool, error) {
		return body, false, proto.Unmarshal(body, e)
	})
	if err != nil || !e.GetBlankRows() || w.deps.Writes == nil {
		return err
	}
	t, err := loadTenant(ctx, w.deps.Documents, w.deps.Installation, row.Workspace)
	if err != nil {
		return err
	}
	values := &streamv1.FieldValues{}
	for _, name := range rowFields {
		values.Fields = append(values.Fields, &streamv1.FieldValue{Field: name}) // no value: null
	}
	plain, err := proto.Marshal(values)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	var messages []stage.Message
	for _, r := range e.GetCertificate().GetRecords() {
		if r.GetObject() != rowObject {
			continue
		}
		sealed, err := t.keys.Seal(plain)
		if err != nil {
			return err
		}
		org, err := w.orgOf(ctx, row.Workspace, r.GetConnection())
		if err != nil {
			return err
		}
		m, err := blankMessage(e, r, sealed, org)
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	for some := range slices.Chunk(messages, blankAtOnce) {
		if err := w.deps.Writes.Produce(ctx, stage.ProduceBatch{Source: "config", Messages: some}); err != nil {
			return fmt.Errorf("send writes: %w", err)
		}
	}
	return nil
}

func blankMessage(e *configv1.Erasure, r *configv1.ErasureRecord, sealed []byte, org string) (stage.Message, error) {
	at := e.GetRequestedAt()
	// It names no person: it must not be stopped for being about somebody who was erased. Without a field that the org does not
	// give to the integration user the others are blanked all the same.
	write := &streamv1.Write{
		WriteKey: blankKey(e.GetWorkspace(), r), Workspace: e.GetWorkspace(), Connection: r.GetConnection(), Integration: "privacy",
		Revision: at.AsTime().UnixMicro(), Object: r.GetObject(), Operation: streamv1.Operation_OPERATION_UPDATE, RecordId: r.GetRecordId(),
		SealedFields: sealed, Priority: streamv1.Priority_PRIORITY_BULK, OccurredAt: timestamppb.New(at.AsTime().Truncate(time.Microsecond)),
		LeaveOutFields: true, Org: org,
	}
	value, err := proto.Marshal(write)
	if err != nil {
		return stage.Message{}, fmt.Errorf("encode: %w", err)
	}
	return stage.Message{
		Topic: topic.Writes, Key: topic.ConnectionKey(write.GetWorkspace(), write.GetConnection()), Value: value,
		ID: write.GetWriteKey() + "." + strconv.FormatInt(write.GetRevision(), 10), Type: topic.TypeWrite, Time: at.AsTime(),
	}, nil
}
