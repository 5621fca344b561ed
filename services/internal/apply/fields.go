package apply

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// unknownFields names every key of a JSON value that the message does not have, with its path.
func unknownFields(desc protoreflect.MessageDescriptor, value any, path string) []string {
	object, ok := value.(map[string]any)
	if !ok || strings.HasPrefix(string(desc.FullName()), "google.protobuf.") {
		return nil // another form, which decoding judges
	}
	var unknown []string
	for key, v := range object {
		field := fieldOf(desc, key)
		if field == nil {
			unknown = append(unknown, path+key+": there is no such field")
			continue
		}
		unknown = append(unknown, unknownWithin(field, v, path+key)...)
	}
	return unknown
}

func unknownWithin(field protoreflect.FieldDescriptor, value any, path string) []string {
	switch {
	case field.IsMap():
		return nil // every key is allowed; no map of ours holds messages
	case field.Message() == nil:
		return nil
	case field.IsList():
		var unknown []string
		items, _ := value.([]any)
		for i, item := range items {
			unknown = append(unknown, unknownFields(field.Message(), item, fmt.Sprintf("%s[%d].", path, i))...)
		}
		return unknown
	}
	return unknownFields(field.Message(), value, path+".")
}
