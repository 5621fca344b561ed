package redact

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Redacted is what a field shows instead of its value.
const Redacted = "[REDACTED]"

// Copy returns a message of the same type with the marked fields that are set replaced: texts and bytes by Redacted, all
// others by nothing.
func Copy(m proto.Message) proto.Message {
	if m == nil || !m.ProtoReflect().IsValid() {
		return m
	}
	out := proto.Clone(m)
	hide(out.ProtoReflect())
	return out
}

// Marked reports whether the field is not to be shown.
func Marked(field protoreflect.FieldDescriptor) bool {
	options, ok := field.Options().(*descriptorpb.FieldOptions)
	return ok && options.GetDebugRedact()
}

func hide(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case Marked(field):
			replace(m, field)
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					hide(v.Message())
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				hide(value.List().Get(i).Message())
			}
		default:
			hide(value.Message())
		}
		return true
	})
}

func replace(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch {
	case field.IsList() && field.Kind() == protoreflect.StringKind:
		list := m.NewField(field)
		list.List().Append(protoreflect.ValueOfString(Redacted)) // not how many there are
		m.Set(field, list)
	case field.IsList() || field.IsMap():
		m.Clear(field)
	case field.Kind() == protoreflect.StringKind:
		m.Set(field, protoreflect.ValueOfString(Redacted))
	case field.Kind() == protoreflect.BytesKind:
		m.Set(field, protoreflect.ValueOfBytes([]byte(Redacted)))
	default:
		m.Clear(field)
	}
}

func text(m proto.Message) string { return prototext.MarshalOptions{}.Format(Copy(m)) }

// Format writes the message for any verb of package fmt.
func Format(f fmt.State, m proto.Message) { _, _ = io.WriteString(f, text(m)) }

// LogValue is the message for slog.
func LogValue(m proto.Message) slog.Value { return slog.StringValue(text(m)) }

// JSON is the message for encoding/json. What is read back from it is not the message.
func JSON(m proto.Message) ([]byte, error) { return protojson.Marshal(Copy(m)) }

// YAML is the message for YAML encoders, as what JSON would be read as.
func YAML(m proto.Message) (any, error) {
	data, err := JSON(m)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(data, &out)
}
