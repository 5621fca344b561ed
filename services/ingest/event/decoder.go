package event

import (
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	"github.com/throughline-dev/throughline/services/ingest/jsonread"
)

// Attributes are the CloudEvents attributes of binary mode, as headers carry them; absent ones are "".
type Attributes struct {
	SpecVersion, ID, Source, Type, Time string
	// Workspace and Session are extension attributes.
	Workspace, Session string
	// TraceParent is the W3C trace context, as the distributed tracing extension has it.
	TraceParent string
}

// Decoder reads events. It keeps its memory from one event to the next, so one goroutine uses it at a time and a
// returned event is valid until the next call only: it is made of the decoder's own parts, and its strings of one copy
// of the bytes.
type Decoder struct {
	json  jsonread.Reader
	attrs Attributes
	data  data
	event sourcev1.ViewingEvent
	box   box
}

// NewDecoder returns a decoder with nothing read.
func NewDecoder() *Decoder {
	return &Decoder{}
}

// Structured reads a CloudEvent in JSON, the attributes beside the data.
func (d *Decoder) Structured(value []byte) (*sourcev1.ViewingEvent, error) {
	d.attrs = Attributes{}
	d.data.reset()
	if err := d.document(value, d.envelope); err != nil {
		return nil, err
	}
	return d.build()
}

// Binary reads the data of a CloudEvent whose attributes came in headers.
func (d *Decoder) Binary(attrs Attributes, value []byte) (*sourcev1.ViewingEvent, error) {
	for _, s := range [...]string{attrs.SpecVersion, attrs.ID, attrs.Source, attrs.Type, attrs.Time, attrs.Workspace, attrs.Session, attrs.TraceParent} {
		if !utf8.ValidString(s) {
			return nil, badSchema("", "a header is not valid UTF-8")
		}
	}
	d.attrs = attrs
	d.data.reset()
	if err := d.document(value, d.payload); err != nil {
		return nil, err
	}
	return d.build()
}

// TraceParent returns the traceparent attribute of the event read last, unchecked; "" if it had none.
func (d *Decoder) TraceParent() string { return d.attrs.TraceParent }

// Claims returns the id and the workspace of the event read last, unchecked. e is what the decoder returned for it; nil
// when the event was refused, of which as much is told as was read before the fault.
func (d *Decoder) Claims(e *sourcev1.ViewingEvent) (id, workspace string) {
	if e != nil {
		return e.GetId(), e.GetWorkspace()
	}
	return d.attrs.ID, d.attrs.Workspace
}

// Protobuf reads a bare ViewingEvent. Unknown fields are ignored.
func (d *Decoder) Protobuf(value []byte) (*sourcev1.ViewingEvent, error) {
	d.attrs = Attributes{}
	d.event.Reset()
	if err := proto.Unmarshal(value, &d.event); err != nil {
		return nil, badSchema("", "the bytes are not a throughline.source.v1.ViewingEvent")
	}
	return &d.event, nil
}

// document reads one JSON value that read understands and refuses anything after it.
func (d *Decoder) document(value []byte, read func() error) error {
	// One copy, and every string of the event is a part of it. The record's bytes belong to the caller.
	if err := d.json.Reset(string(value)); err != nil {
		return d.refuse("", err)
	}
	if err := read(); err != nil {
		return err
	}
	return d.refuse("", d.json.End())
}

// object reads an object or null and hands every name to field, which must read exactly one value. It reports whether
// there was an object.
func (d *Decoder) object(path string, field func(name string) error) (bool, error) {
	switch d.json.Kind() {
	case '{':
		return true, d.refuse(path, d.json.Object(field))
	case 'n':
		return false, d.refuse(path, d.json.Null())
	}
	return false, d.wrongType(path, "must be an object")
}

// skip reads a value that nobody asked for.
func (d *Decoder) skip(path string) error { return d.refuse(path, d.json.Skip()) }

// stringInto reads a string, or null, which everywhere means the same as leaving the field out.
func (d *Decoder) stringInto(path string, to *string) (err error) {
	switch d.json.Kind() {
	case '"':
		*to, err = d.json.String()
	case 'n':
		err = d.json.Null()
	default:
		return d.wrongType(path, "must be a string")
	}
	return d.refuse(path, err)
}

func (d *Decoder) numberInto(path string, to *float64) (err error) {
	switch d.json.Kind() {
	case '0':
		*to, err = d.json.Number()
	case 'n':
		err = d.json.Null()
	default:
		return d.wrongType(path, "must be a number")
	}
	return d.refuse(path, err)
}

// boolInto returns whether a value was given.
func (d *Decoder) boolInto(path string, to *bool) (given bool, err error) {
	switch d.json.Kind() {
	case 't', 'f':
		given = true
		*to, err = d.json.Bool()
	case 'n':
		err = d.json.Null()
	default:
		return false, d.wrongType(path, "must be true or false")
	}
	return given, d.refuse(path, err)
}

// wrongType tells a value of another kind from JSON that is broken here.
func (d *Decoder) wrongType(path, detail string) error {
	if err := d.json.Skip(); err != nil {
		return d.refuse(path, err)
	}
	return badSchema(path, detail)
}

// refuse turns an error of the reader into a refusal. A nil err stays nil, a refusal stays itself.
func (d *Decoder) refuse(path string, err error) error {
	if err == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	detail := err.Error()
	if !errors.Is(err, jsonread.ErrUTF8) {
		detail += " (byte " + strconv.Itoa(d.json.Offset()) + ")"
	}
	return badSchema(path, detail)
}

// parseTime reads RFC 3339.
func parseTime(path, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, badSchema(path, "must be a time as in RFC 3339, e.g. 2026-01-31T09:30:00Z")
	}
	return t, nil
}
