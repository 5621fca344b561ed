package changes

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// The kinds of changes, in the order of the schema's enumeration (Change Data Capture guide, "Change Event Header Fields").
const (
	Create   = "CREATE"
	Update   = "UPDATE"
	Delete   = "DELETE"
	Undelete = "UNDELETE"
	// gapPrefix goes before the kind of a change whose event has a header only.
	gapPrefix = "GAP_"
)

var changeTypes = []string{
	Create, Update, Delete, Undelete, gapPrefix + Create, gapPrefix + Update, gapPrefix + Delete, gapPrefix + Undelete, "GAP_OVERFLOW",
}

// part is a field of an event: of an object's field, or compound of several.
type part struct {
	name  string
	field *schema.Field // nil for a compound field
	parts []part        // of a compound field
}

// kind is how the changes of one object are written.
type kind struct {
	object   *schema.Object
	parts    []part // the field with index i of the schema is parts[i-1]; the header comes first
	schemaID string
	json     string
}

func newKind(o *schema.Object) (*kind, error) {
	k := &kind{object: o}
	children := map[string][]part{}
	for _, f := range o.Fields {
		if parent := compoundOf(o, f); parent != "" {
			children[parent] = append(children[parent], part{name: f.Name, field: f})
		}
	}
	for _, f := range o.Fields {
		switch {
		case !told(o, f) || compoundOf(o, f) != "":
		case len(children[f.Name]) > 0:
			k.parts = append(k.parts, part{name: f.Name, parts: children[f.Name]})
		default:
			k.parts = append(k.parts, part{name: f.Name, field: f})
		}
	}
	text, err := json.Marshal(k.avro())
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", o.Name, err)
	}
	sum := sha256.Sum256(text)
	k.json, k.schemaID = string(text), base64.RawURLEncoding.EncodeToString(sum[:16])
	return k, nil
}

// compoundOf names the compound field that a field is part of.
func compoundOf(o *schema.Object, f *schema.Field) string {
	if f.Compound == "" && f.Name == "Salutation" {
		if last, ok := o.Field("LastName"); ok {
			return last.Compound
		}
	}
	return f.Compound
}

// told reports whether events have the field. Ids are in the header, and counters of a campaign are no changes of it.
func told(o *schema.Object, f *schema.Field) bool {
	switch f.Slot {
	case record.SlotID, record.SlotIsDeleted, record.SlotSystemModstamp:
		return false
	}
	return o.Name != "Campaign" || !f.Derived || !strings.HasPrefix(f.Name, "NumberOf")
}

// avroField and avroRecord marshal to Avro schemas.
type avroField struct {
	Name string `json:"name"`
	Type any    `json:"type"`
	Doc  string `json:"doc,omitempty"`
}

type avroRecord struct {
	Name      string      `json:"name"`
	Type      string      `json:"type"`
	Namespace string      `json:"namespace,omitempty"`
	Fields    []avroField `json:"fields"`
}

func (k *kind) avro() avroRecord {
	fields := []avroField{{Name: "ChangeEventHeader", Type: headerSchema()}}
	for _, p := range k.parts {
		if p.field != nil {
			fields = append(fields, p.avro())
			continue
		}
		inner := avroRecord{Name: compoundRecord(p.name), Type: "record"}
		for _, child := range p.parts {
			inner.Fields = append(inner.Fields, child.avro())
		}
		fields = append(fields, avroField{Name: p.name, Type: []any{"null", inner}})
	}
	return avroRecord{Name: eventName(k.object), Type: "record", Namespace: "com.sforce.eventbus", Fields: fields}
}

// compoundRecord names the record of a compound field; that of names is PersonName, as in Salesforce.
func compoundRecord(field string) string {
	if field == "Name" {
		return "PersonName"
	}
	return field
}

func (p part) avro() avroField {
	types := map[schema.Storage]string{
		schema.StoreText: "string", schema.StoreBool: "boolean", schema.StoreInt: "int", schema.StoreDouble: "double",
		schema.StoreDate: "int", schema.StoreDateTime: "long",
	}
	return avroField{Name: p.name, Type: []any{"null", types[p.field.Storage]}, Doc: "Data:" + string(p.field.Type)}
}

func headerSchema() any {
	texts := map[string]string{"type": "array", "items": "string"}
	return avroRecord{Name: "ChangeEventHeader", Type: "record", Fields: []avroField{
		{Name: "entityName", Type: "string"},
		{Name: "recordIds", Type: texts},
		{Name: "changeType", Type: map[string]any{"type": "enum", "name": "ChangeType", "symbols": changeTypes}},
		{Name: "changeOrigin", Type: "string"},
		{Name: "transactionKey", Type: "string"},
		{Name: "sequenceNumber", Type: "int"},
		{Name: "commitTimestamp", Type: "long"},
		{Name: "commitNumber", Type: "long"},
		{Name: "commitUser", Type: "string"},
		{Name: "nulledFields", Type: texts},
		{Name: "diffFields", Type: texts},
		{Name: "changedFields", Type: texts},
	}}
}
