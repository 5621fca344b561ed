package decide

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// markerPrefix starts the last line of a marker field; the write key follows.
const markerPrefix = "Ref: tl-"

// deterministic makes equal fields give equal bytes, and so equal hashes.
var deterministic = proto.MarshalOptions{Deterministic: true}

// key derives the write key. Promise 5: it depends on what the record stands for, never on attempts or revisions.
func (d *decision) key(i *configv1.Integration, action, business string) string {
	return ids.WriteKey(d.engagement.GetWorkspace(), i.GetId(), action, business)
}

// write turns a record into a sealed write.
func (d *decision) write(i *configv1.Integration, r *integration.Record) (*streamv1.Write, error) {
	w := &streamv1.Write{
		WriteKey:           d.key(i, r.Action.GetName(), r.Business),
		Workspace:          d.engagement.GetWorkspace(),
		Connection:         d.in.Resolved.GetConnection(),
		Integration:        i.GetId(),
		IntegrationVersion: i.GetVersion(),
		Revision:           d.engagement.GetRevision(), // promise 4: grows with the engagement
		Object:             r.Action.GetObject(),
		LockParent:         r.LockParent,
		Priority:           streamv1.Priority_PRIORITY_REAL_TIME,
		VisitId:            d.visit.GetVisitId(),
		EngagementId:       d.engagement.GetEngagementId(),
		PersonKey:          d.engagement.GetSubject().GetPersonKey(),
		EventId:            d.visit.GetLastEventId(),
		OccurredAt:         timestamppb.New(d.visit.GetLastActivityAt().AsTime()),
		SettingsRevision:   d.in.SettingsRevision,
		Warnings:           r.Warnings,
		Once:               r.Once,
		PersonLinks:        r.Links,
		LeaveOutFields:     i.GetLeaveOutFields(),
		RaiseStatus:        r.Action.GetRaiseStatus(),
		Duplicates:         duplicates[r.Action.GetDuplicates()],
		Org:                d.in.Resolved.GetOrg(),
	}
	if d.visit.GetBulk() {
		w.Priority = streamv1.Priority_PRIORITY_BULK // a replay takes nothing from what happens now (XC-7)
	}
	identify(w, r, d.engagement.GetEngagementId(), d.visit.GetRegistration().GetRegistrationId())
	plain, hashed, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("encode the fields of write %s: %w", w.GetWriteKey(), err)
	}
	keys := d.in.Workspace.Keys()
	w.ContentHash = keys.Hash(hashed)
	// Promise 8: personal data travels sealed.
	if w.SealedFields, err = keys.Seal(plain); err != nil {
		return nil, fmt.Errorf("seal the fields of write %s: %w", w.GetWriteKey(), err)
	}
	return w, nil
}

// duplicates are the instructions to the writer that stand for each policy.
var duplicates = map[configv1.DuplicatePolicy]streamv1.Duplicates{
	configv1.DuplicatePolicy_DUPLICATE_POLICY_SAVE: streamv1.Duplicates_DUPLICATES_SAVE,
	configv1.DuplicatePolicy_DUPLICATE_POLICY_LINK: streamv1.Duplicates_DUPLICATES_LINK,
}

// identify says how Salesforce can tell that the record is there already: by external id, or by a marker line that is
// looked for among the activities of one person.
func identify(w *streamv1.Write, r *integration.Record, engagementID, registration string) {
	if r.Action.GetOperation() == configv1.ActionOperation_ACTION_OPERATION_UPSERT {
		w.Operation = streamv1.Operation_OPERATION_UPSERT
		w.ExternalIdField, w.ExternalId = r.Action.GetExternalIdField(), w.GetWriteKey()
		if r.Action.GetScope() == configv1.Scope_SCOPE_ENGAGEMENT {
			w.ExternalId = engagementID
		}
		if registration != "" {
			w.ExternalId = registration // HOPIN-14: the source's own id, which people look for
		}
		return
	}
	w.Operation = streamv1.Operation_OPERATION_INSERT
	if member, ok := r.Membership(); ok {
		w.Marker, w.MarkerField = member.Text, member.Field
		w.MarkerScopeField, w.MarkerScopeValue = member.ScopeField, member.ScopeValue
		return
	}
	w.Follows = registration != "" // HOPIN-16: what happens to it later reaches its record
	w.Marker, w.MarkerField = markerPrefix+w.GetWriteKey(), r.Action.GetMarkerField()
	r.Mark(w.GetMarker())
	if r.Activity {
		// Also without a person: then the record is looked for among those that are about nobody.
		w.MarkerScopeField, w.MarkerScopeValue = integration.WhoField, r.Who
	}
}

// encode returns a FieldValues message of the record, and the same without its volatile fields. It writes each field
// once, instead of marshalling two messages.
func encode(r *integration.Record) (all, stable []byte, err error) {
	const guess = 64 // bytes per field; most are shorter
	all, stable = make([]byte, 0, guess*len(r.Fields)), make([]byte, 0, guess*len(r.Fields))
	body := make([]byte, 0, guess)
	for _, f := range r.Fields {
		if body, err = deterministic.MarshalAppend(body[:0], f); err != nil {
			return nil, nil, err
		}
		from := len(all)
		all = protowire.AppendTag(all, fieldsNumber, protowire.BytesType)
		all = protowire.AppendBytes(all, body)
		if !slices.Contains(r.Volatile, f.GetField()) {
			stable = append(stable, all[from:]...)
		}
	}
	return all, stable, nil
}

// fieldsNumber is the number of FieldValues.fields.
const fieldsNumber = 1
