package integration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// reader yields one value of the input.
type reader func(f *frame) value

// root is a message that paths start from. get may return nil.
type root struct {
	message protoreflect.MessageDescriptor
	get     func(f *frame) protoreflect.Message
}

// roots are the messages a path, placeholder or CEL text can start from. docs/integrations.md explains them.
var roots = map[string]root{
	"engagement": rootOf(func(f *frame) *streamv1.Engagement { return f.engagement }),
	"visit":      rootOf(func(f *frame) *streamv1.Visit { return f.visit }),
	"content":    rootOf(func(f *frame) *streamv1.Content { return f.content }),
	"resolution": rootOf(func(f *frame) *streamv1.Resolution { return f.resolution }),
	"person":     rootOf(func(f *frame) *streamv1.Person { return f.person }),
	"viewer":     rootOf(func(f *frame) *streamv1.PersonalData { return f.viewer }),
	"owner":      rootOf(func(f *frame) *streamv1.PersonalData { return f.owner }),
	"registrant": rootOf(func(f *frame) *streamv1.Registrant { return f.registrant }),
}

// shortcuts are messages within roots that many paths go through: a typed getter reaches them faster than reflection.
var shortcuts = map[string]root{
	"engagement.content":        rootOf(func(f *frame) *streamv1.Content { return f.engagement.GetContent() }),
	"engagement.subject":        rootOf(func(f *frame) *streamv1.Subject { return f.engagement.GetSubject() }),
	"engagement.visit":          rootOf(func(f *frame) *streamv1.Visit { return f.visit }),
	"engagement.call_to_action": rootOf(func(f *frame) *streamv1.CallToAction { return f.engagement.GetCallToAction() }),
	"visit.content":             rootOf(func(f *frame) *streamv1.Content { return f.visit.GetContent() }),
	"visit.registration":        rootOf(func(f *frame) *streamv1.Registration { return f.visit.GetRegistration() }),
	"visit.call_to_action":      rootOf(func(f *frame) *streamv1.CallToAction { return f.visit.GetCallToAction() }),
	"resolution.lead":           rootOf(func(f *frame) *streamv1.Person { return f.resolution.GetLead() }),
	"resolution.contact":        rootOf(func(f *frame) *streamv1.Person { return f.resolution.GetContact() }),
	"resolution.content_owner":  rootOf(func(f *frame) *streamv1.Person { return f.resolution.GetContentOwner() }),
}

// plain are the paths that are values by themselves.
var plain = map[string]reader{
	"history_url": func(f *frame) value { return textValue(f.historyURL) },
	"trace_id":    func(f *frame) value { return textValue(f.traceID) },
	"zone":        func(f *frame) value { return textValue(f.localZone().String()) },
}

func rootOf[M protoreflect.ProtoMessage](get func(f *frame) M) root {
	var zero M
	return root{
		message: zero.ProtoReflect().Descriptor(),
		get:     func(f *frame) protoreflect.Message { return get(f).ProtoReflect() },
	}
}

// zeroIsUnknown lists the numbers whose zero means that nobody knows, so that it reads as absent.
var zeroIsUnknown = map[protoreflect.FullName]bool{
	"throughline.stream.v1.Content.length_seconds": true,
	"throughline.stream.v1.Content.page_count":     true,
	"throughline.stream.v1.Visit.exit_page":        true,
}

// enumWords are the enum values that people know by other words than their names.
var enumWords = map[protoreflect.FullName]string{
	"throughline.stream.v1.EVIDENCE_LINK": "Link parameter",
}

// compilePath turns e.g. "visit.last_activity_at" into a reader and tells the kind it yields.
func compilePath(path string) (reader, kind, error) {
	if read, ok := plain[path]; ok {
		return read, text, nil
	}
	names := strings.Split(path, ".")
	start, ok := roots[names[0]]
	if !ok {
		return nil, absent, fmt.Errorf("%q is not known; a path starts with one of %s", names[0], knownRoots())
	}
	if len(names) == 1 {
		return nil, absent, fmt.Errorf("%q is a whole message; name one of its fields: %s", path, fieldNames(start.message))
	}
	message := start.message
	fields := make([]protoreflect.FieldDescriptor, 0, len(names)-1)
	for i, name := range names[1:] {
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return nil, absent, fmt.Errorf("%s has no field %q; it has %s",
				strings.Join(names[:i+1], "."), name, fieldNames(message))
		}
		if field.IsList() || field.IsMap() {
			return nil, absent, fmt.Errorf("%s is a list; use an expression", strings.Join(names[:i+2], "."))
		}
		fields = append(fields, field)
		message = field.Message()
		if i < len(names)-2 && (message == nil || isTimestamp(message)) {
			return nil, absent, fmt.Errorf("%s has no fields", strings.Join(names[:i+2], "."))
		}
	}
	if len(names) > 2 {
		if near, ok := shortcuts[names[0]+"."+names[1]]; ok {
			return walk(near, fields[1:], path)
		}
	}
	return walk(start, fields, path)
}

// walk builds the reader that follows fields from start.
func walk(start root, fields []protoreflect.FieldDescriptor, path string) (reader, kind, error) {
	hops, leaf := fields[:len(fields)-1], fields[len(fields)-1]
	convert, k, err := leafReader(leaf)
	if err != nil {
		return nil, absent, fmt.Errorf("%s %w", path, err)
	}
	return func(f *frame) value {
		m := start.get(f)
		if !m.IsValid() {
			return value{}
		}
		for _, hop := range hops {
			if !m.Has(hop) {
				return value{}
			}
			m = m.Get(hop).Message()
		}
		if leaf.HasPresence() && !m.Has(leaf) {
			return value{}
		}
		return convert(m.Get(leaf))
	}, k, nil
}

func leafReader(leaf protoreflect.FieldDescriptor) (func(protoreflect.Value) value, kind, error) {
	zeroless := zeroIsUnknown[leaf.FullName()]
	orUnknown := func(n float64) value {
		if n == 0 && zeroless {
			return value{}
		}
		return numberValue(n)
	}
	switch leaf.Kind() {
	case protoreflect.StringKind:
		return func(v protoreflect.Value) value { return textValue(v.String()) }, text, nil
	case protoreflect.BoolKind:
		return func(v protoreflect.Value) value { return flagValue(v.Bool()) }, flag, nil
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return func(v protoreflect.Value) value { return orUnknown(v.Float()) }, number, nil
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return func(v protoreflect.Value) value { return orUnknown(float64(v.Int())) }, number, nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return func(v protoreflect.Value) value { return orUnknown(float64(v.Uint())) }, number, nil
	case protoreflect.EnumKind:
		words := wordsOf(leaf.Enum())
		return func(v protoreflect.Value) value { return textValue(words[v.Enum()]) }, text, nil
	case protoreflect.MessageKind:
		if isTimestamp(leaf.Message()) {
			return readInstant, instant, nil
		}
		return nil, absent, fmt.Errorf("is a whole message; name one of its fields: %s", fieldNames(leaf.Message()))
	default:
		return nil, absent, errors.New("is sealed or binary and cannot be written")
	}
}

func readInstant(v protoreflect.Value) value {
	if at, ok := v.Message().Interface().(*timestamppb.Timestamp); ok && at.IsValid() {
		return instantValue(at.AsTime())
	}
	return value{}
}

func isTimestamp(m protoreflect.MessageDescriptor) bool {
	return m.FullName() == "google.protobuf.Timestamp"
}

// wordsOf names enum values for people: EVIDENCE_SIGNED_IN is "Signed in". The unspecified value has no words.
func wordsOf(enum protoreflect.EnumDescriptor) map[protoreflect.EnumNumber]string {
	values := enum.Values()
	words := make(map[protoreflect.EnumNumber]string, values.Len())
	common := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	for i := range values.Len() {
		v := values.Get(i)
		if v.Number() == 0 {
			continue
		}
		word := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(string(v.Name()), common), "_", " "))
		word = strings.ToUpper(word[:1]) + word[1:]
		if known, ok := enumWords[v.FullName()]; ok {
			word = known
		}
		words[v.Number()] = word
	}
	return words
}

func knownRoots() string {
	names := append(slices.Collect(maps.Keys(roots)), slices.Collect(maps.Keys(plain))...)
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func fieldNames(m protoreflect.MessageDescriptor) string {
	var names []string
	for i := range m.Fields().Len() {
		if f := m.Fields().Get(i); f.Kind() != protoreflect.BytesKind {
			names = append(names, string(f.Name()))
		}
	}
	return strings.Join(names, ", ")
}
