package apply

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// wrongValue names the field whose value does not fit, however deep, by trying each alone.
func wrongValue(setting proto.Message, fields map[string]json.RawMessage) string {
	message := setting.ProtoReflect()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		alone, err := json.Marshal(map[string]json.RawMessage{name: fields[name]})
		if err == nil && protojson.Unmarshal(alone, message.New().Interface()) != nil {
			return name + wrongBelow(fieldOf(message.Descriptor(), name), fields[name])
		}
	}
	return "two fields exclude each other"
}

// fieldOf finds a field by either of its names.
func fieldOf(message protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := message.Fields().ByJSONName(name); field != nil {
		return field
	}
	return message.Fields().ByName(protoreflect.Name(name))
}

// wrongBelow goes on from a field: to the element, to the field in it, or to what the value should have been.
func wrongBelow(field protoreflect.FieldDescriptor, value json.RawMessage) string {
	const form = ": the value does not have the right type or form (texts such as \"66.0\" need quotes)"
	if field == nil {
		return form
	}
	var elements []json.RawMessage
	if field.IsList() && json.Unmarshal(value, &elements) == nil {
		for i, element := range elements {
			if below := wrongElement(field, element); below != "" {
				return fmt.Sprintf("[%d]%s", i, below)
			}
		}
		return form
	}
	if below := wrongElement(field, value); below != "" && !field.IsMap() {
		return below
	}
	return form
}

// wrongElement is what is wrong with one value of a field; nothing if it fits.
func wrongElement(field protoreflect.FieldDescriptor, value json.RawMessage) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		var fields map[string]json.RawMessage
		if want, ok := wellKnown[field.Message().FullName()]; ok && protojson.Unmarshal(value, dynamicpb.NewMessage(field.Message())) != nil {
			return ": want " + want
		}
		message := dynamicpb.NewMessage(field.Message())
		if protojson.Unmarshal(value, message) == nil {
			return ""
		}
		if json.Unmarshal(value, &fields) != nil {
			return ": want fields of its own below it"
		}
		return "." + wrongValue(message, fields)
	case protoreflect.EnumKind:
		var name string
		values := field.Enum().Values()
		if json.Unmarshal(value, &name) == nil && values.ByName(protoreflect.Name(name)) != nil {
			return ""
		}
		var names []string
		for i := 1; i < values.Len(); i++ { // the first is never valid
			names = append(names, string(values.Get(i).Name()))
		}
		return ": want one of " + strings.Join(names, ", ")
	}
	return ""
}

// wellKnown are messages that are written as one value.
var wellKnown = map[protoreflect.FullName]string{
	"google.protobuf.Timestamp": "a time such as 2026-11-23T09:00:00Z", "google.protobuf.Duration": "a duration in seconds, such as 1800s",
}
