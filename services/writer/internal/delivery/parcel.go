package delivery

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/queue"
)

// parcel is a write with its fields opened, for as long as the request takes.
type parcel struct {
	item   *queue.Item
	fields salesforce.Fields
}

// open opens the sealed fields of items. A write that does not open fails; if the workspace's keys are missing all of
// them are parked until the settings have them.
func (l *lane) open(items []*queue.Item, res *result) []parcel {
	view := l.h.deps.Settings.View()
	ws, ok := view.Workspace(l.key.workspace)
	if !ok {
		for _, it := range items {
			res.park(it, streamv1.Reason_REASON_SF_AUTH_REVOKED, "the settings have no such workspace")
		}
		return nil
	}
	parcels := make([]parcel, 0, len(items))
	for _, it := range l.withoutEnded(items, res) {
		l.leaveOutKnown(it)
		fields, err := openFields(ws.Keys(), it)
		if err != nil {
			res.endings = append(res.endings, ending{
				item: it, status: streamv1.Status_STATUS_FAILED, reason: streamv1.Reason_REASON_BAD_SCHEMA, detail: err.Error(),
			})
			continue
		}
		parcels = append(parcels, parcel{item: it, fields: fields})
	}
	return parcels
}

// follows reports whether a write changes the record that an earlier revision made.
func follows(w *streamv1.Write) bool {
	return w.GetFollows() && w.GetOperation() == streamv1.Operation_OPERATION_UPDATE
}

// opener opens sealed values; *seal.Keys is one.
type opener interface {
	Open(sealed []byte) ([]byte, error)
}

func openFields(keys opener, it *queue.Item) (salesforce.Fields, error) {
	plain, err := keys.Open(it.Write.GetSealedFields())
	if err != nil {
		return nil, fmt.Errorf("the fields of write %s do not open with the workspace's key; was it erased?",
			it.Write.GetWriteKey())
	}
	values := new(streamv1.FieldValues)
	if err := proto.Unmarshal(plain, values); err != nil {
		return nil, fmt.Errorf("the fields of write %s cannot be read", it.Write.GetWriteKey())
	}
	fields := make(salesforce.Fields, 0, len(values.GetFields()))
	for _, f := range values.GetFields() {
		switch {
		case f.GetField() == "Id", f.GetField() == it.Write.GetExternalIdField():
			continue // named by the request itself
		case follows(it.Write) && f.GetField() == it.Write.GetMarkerField():
			continue // it is there, and what people wrote beside it since
		case f.GetField() == ownerField && it.WithoutOwner:
			continue
		case slices.Contains(it.LeftOut, f.GetField()):
			noteLeftOut(it, f.GetField())
			continue
		}
		fields = append(fields, salesforce.Field{Name: f.GetField(), Value: value(f)})
	}
	return fields, nil
}

func value(f *streamv1.FieldValue) any {
	switch v := f.GetValue().(type) {
	case *streamv1.FieldValue_Text:
		return v.Text
	case *streamv1.FieldValue_Number:
		return v.Number
	case *streamv1.FieldValue_Flag:
		return v.Flag
	}
	return nil
}

// collection builds the request.
func collection(g queue.Group, parcels []parcel) salesforce.CollectionRequest {
	req := salesforce.CollectionRequest{
		Object: g.Object, ExternalIDField: g.ExternalIDField,
		SaveDuplicates: g.Duplicates == streamv1.Duplicates_DUPLICATES_SAVE,
		Records:        make([]salesforce.CollectionRecord, len(parcels)),
	}
	switch g.Operation {
	case streamv1.Operation_OPERATION_UPSERT:
		req.Operation = salesforce.Upsert
	case streamv1.Operation_OPERATION_UPDATE:
		req.Operation = salesforce.Update
	default:
		req.Operation = salesforce.Insert
	}
	for i := range parcels {
		w := parcels[i].item.Write
		req.Records[i] = salesforce.CollectionRecord{
			ID: w.GetRecordId(), ExternalID: w.GetExternalId(), Fields: parcels[i].fields,
		}
	}
	return req
}

const ownerField = "OwnerId"

// aboutOwner reports whether Salesforce refused the record's owner.
func aboutOwner(e *salesforce.Error) bool {
	return e.Reason == salesforce.ReasonOwnerInactive || e.Reason == salesforce.ReasonOwnerIsQueue ||
		slices.Contains(e.Fields, ownerField)
}

// personFields are the fields that link a record to a person.
var personFields = []string{"WhoId", "LeadId", "ContactId", "Lead__c", "Contact__c"}

// hasPerson reports whether the record is about a person, by whom it would be found without an owner too.
func (p *parcel) hasPerson() bool {
	return slices.ContainsFunc(p.fields, func(f salesforce.Field) bool {
		return slices.Contains(personFields, f.Name) && f.Value != nil && f.Value != ""
	})
}

// blame splits a refused request into the records that set the field Salesforce names, and the others. It names
// nobody when that would be all or none.
func blame(parcels []parcel, e *salesforce.Error) (guilty, rest []parcel) {
	names := refusedFields(e)
	if len(names) == 0 {
		return nil, parcels
	}
	for _, p := range parcels {
		if slices.ContainsFunc(p.fields, func(f salesforce.Field) bool { return slices.Contains(names, f.Name) }) {
			guilty = append(guilty, p)
		} else {
			rest = append(rest, p)
		}
	}
	return guilty, rest
}
