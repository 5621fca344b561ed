package pubsub

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
)

// ErrEvent says that an event is not a change event in the schema that it names.
var ErrEvent = errors.New("unreadable change event")

// headerField is the field of every change event that holds its header.
const headerField = "ChangeEventHeader"

// Header is what an event says about a change. Source: Change Data Capture Developer Guide, "Change Event Header Fields".
type Header struct {
	// EntityName is the object: "Lead". RecordIDs are the records that changed in the same way, 18 characters each.
	EntityName string   `avro:"entityName"`
	RecordIDs  []string `avro:"recordIds"`
	// ChangeType is CREATE, UPDATE, DELETE, UNDELETE or one of these after GAP_, or GAP_OVERFLOW.
	ChangeType string `avro:"changeType"`
	// ChangeOrigin tells the client that made the change: "com/salesforce/api/rest/67.0;client=name"; may be empty.
	ChangeOrigin string `avro:"changeOrigin"`
	// TransactionKey is the same for all changes of a transaction; SequenceNumber is the order inside it.
	TransactionKey string `avro:"transactionKey"`
	SequenceNumber int    `avro:"sequenceNumber"`
	// CommitTimestamp is in milliseconds since the Unix epoch.
	CommitTimestamp int64  `avro:"commitTimestamp"`
	CommitNumber    int64  `avro:"commitNumber"`
	CommitUser      string `avro:"commitUser"`
	// The bitmaps as they came; ChangeEvent has the fields that they name.
	NulledFields  []string `avro:"nulledFields"`
	DiffFields    []string `avro:"diffFields"`
	ChangedFields []string `avro:"changedFields"`
}

// CommittedAt returns the time of the commit, to the millisecond.
func (h *Header) CommittedAt() time.Time { return time.UnixMilli(h.CommitTimestamp).UTC() }

// Gap reports that the event has a header only: read the records again by REST. Source: Change Data Capture Developer Guide, "Gap
// Events".
func (h *Header) Gap() bool { return strings.HasPrefix(h.ChangeType, "GAP_") }

// Overflow reports that changes to the object are missing and nobody says of which records: resync the object. Source: Change
// Data Capture Developer Guide, "Overflow Events".
func (h *Header) Overflow() bool { return h.ChangeType == "GAP_OVERFLOW" }

// ChangeEvent is one change. A field that is in neither Set nor Cleared is unchanged. Paths are API names, those of
// compound fields' children after a dot: "Name.FirstName".
type ChangeEvent struct {
	Header Header
	// Set holds the new values: string, bool, int, int64, float64, []byte or what Avro's logical types give.
	Set map[string]any
	// Cleared are the fields that became null; Diff those of Set whose value is a difference to the one before, not the value
	// itself.
	Cleared, Diff []string
	// ReplayID is opaque, and not unique when Salesforce moves an org: keep it once the event is dealt with, subscribe from it,
	// and compare it with nothing. Source: Pub/Sub API Guide, "Event Message Durability".
	ReplayID []byte
}

// decoder reads the events of one schema.
type decoder struct {
	schema *avro.RecordSchema
	header avro.Schema
}

func newDecoder(schemaJSON string) (*decoder, error) {
	// A cache of its own: every object's schema names its header record alike.
	parsed, err := avro.ParseWithCache(schemaJSON, "", &avro.SchemaCache{})
	if err != nil {
		return nil, fmt.Errorf("%w: the schema is not Avro", ErrEvent)
	}
	schema, ok := parsed.(*avro.RecordSchema)
	if !ok {
		return nil, fmt.Errorf("%w: the schema is not a record", ErrEvent)
	}
	for _, f := range schema.Fields() {
		if f.Name() == headerField {
			header, ok := recordOf(f.Type())
			if ok {
				return &decoder{schema: schema, header: header}, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: the schema has no %s", ErrEvent, headerField)
}

// decode reads a payload.
func (d *decoder) decode(payload []byte) (*ChangeEvent, error) {
	var values map[string]any
	if err := avro.Unmarshal(d.schema, payload, &values); err != nil {
		return nil, fmt.Errorf("%w: the payload does not fit its schema", ErrEvent)
	}
	e := &ChangeEvent{Set: map[string]any{}}
	if err := d.readHeader(values[headerField], &e.Header); err != nil {
		return nil, err
	}
	if e.Header.Gap() {
		return e, nil
	}
	changed, err := expand(e.Header.ChangedFields, d.schema)
	if err != nil {
		return nil, err
	}
	if e.Cleared, err = expand(e.Header.NulledFields, d.schema); err != nil {
		return nil, err
	}
	if e.Diff, err = expand(e.Header.DiffFields, d.schema); err != nil {
		return nil, err
	}
	d.collect(d.schema, "", values, e.Set)
	if e.Header.ChangeType == "UPDATE" {
		keepChanged(e, changed)
	}
	return e, nil
}

// readHeader goes by way of Avro once more, which knows the types.
func (d *decoder) readHeader(value any, into *Header) error {
	fields, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%w: the header is missing", ErrEvent)
	}
	raw, err := avro.Marshal(d.header, fields)
	if err == nil {
		err = avro.Unmarshal(d.header, raw, into)
	}
	if err != nil {
		return fmt.Errorf("%w: the header is not that of a change event", ErrEvent)
	}
	return nil
}

// collect puts every value that is not null under its path.
func (d *decoder) collect(schema *avro.RecordSchema, prefix string, values, into map[string]any) {
	for _, f := range schema.Fields() {
		value := values[f.Name()]
		if value == nil || prefix == "" && f.Name() == headerField {
			continue
		}
		child, compound := recordOf(f.Type())
		if !compound {
			into[prefix+f.Name()] = branch(f.Type(), value)
			continue
		}
		inner, ok := branch(f.Type(), value).(map[string]any)
		if ok {
			d.collect(child, prefix+f.Name()+".", inner, into)
		}
	}
}

// branch takes a union's value out of the map {"type": value} that Avro wraps it in.
func branch(schema avro.Schema, value any) any {
	union, ok := schema.(*avro.UnionSchema)
	wrapped, isMap := value.(map[string]any)
	if !ok || !isMap || len(wrapped) != 1 {
		return value
	}
	for name, inner := range wrapped {
		if _, at := union.Types().Get(name); at >= 0 {
			return inner
		}
	}
	return value
}

// keepChanged leaves out values that the header does not list as changed: an update means only what it lists.
func keepChanged(e *ChangeEvent, changed []string) {
	listed := make(map[string]bool, len(changed))
	for _, path := range changed {
		listed[path] = true
	}
	for path := range e.Set {
		parent, _, _ := strings.Cut(path, ".")
		if !listed[path] && !(parent != path && listed[parent] && !childListed(changed, parent)) {
			delete(e.Set, path)
		}
	}
}

// childListed reports whether some child of the compound field is named by itself.
func childListed(changed []string, parent string) bool {
	for _, path := range changed {
		if strings.HasPrefix(path, parent+".") {
			return true
		}
	}
	return false
}
