package changes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Max is how many changes are told at most (promise 7).
const Max = 1000

// concealedNames are fields that are secret or personal wherever they are, besides those that the contract marks with debug_redact.
// Fields of bytes are concealed all the same: what is in them cannot be told from here. Promise 8.
var concealedNames = map[protoreflect.Name]bool{
	"client_secret": true, "refresh_token": true, "private_key": true, "secret": true, "token": true, "id_token": true,
	"access_token": true, "password": true, "passphrase": true, "code_verifier": true,
	"email": true, "subject": true, "username": true, "user_name": true, "phone": true,
}

// concealedFields are personal in one message only.
var concealedFields = map[protoreflect.FullName]bool{
	"throughline.config.v1.Member.name": true,
}

// Concealed reports whether a field's values must not be shown.
func Concealed(fd protoreflect.FieldDescriptor) bool {
	marked, _ := fd.Options().(*descriptorpb.FieldOptions)
	return marked.GetDebugRedact() || concealedNames[fd.Name()] || concealedFields[fd.FullName()] || fd.Kind() == protoreflect.BytesKind
}

// SealedPath is where a change of what is sealed is told of.
const SealedPath = "sealed"

// Encode returns changes as the audit log keeps them, the same bytes for the same changes.
func Encode(found []*configv1.FieldChange) ([]byte, error) {
	out, err := (proto.MarshalOptions{Deterministic: true}).Marshal(&configv1.AuditEntry{Changes: found})
	if err != nil {
		return nil, fmt.Errorf("encode what changed: %w", err)
	}
	return out, nil
}

// Between returns the fields in which after differs from before, in the order of the message's fields, but for those named
// in except, which are of the outermost message. Either may be nil: there was or is nothing. Elements of lists are compared
// by their position.
func Between(before, after proto.Message, except ...protoreflect.Name) []*configv1.FieldChange {
	var c collector
	var b, a protoreflect.Message
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil:
		a = after.ProtoReflect()
		b = a.Type().Zero()
	case after == nil:
		b = before.ProtoReflect()
		a = b.Type().Zero()
	default:
		b, a = before.ProtoReflect(), after.ProtoReflect()
	}
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); !slices.Contains(except, fd.Name()) {
			c.field(string(fd.Name()), fd, b, a)
		}
	}
	return c.found
}

// Paths returns where the changes are.
func Paths(found []*configv1.FieldChange) []string {
	out := make([]string, len(found))
	for i, f := range found {
		out[i] = f.GetPath()
	}
	return out
}

type collector struct{ found []*configv1.FieldChange }

func (c *collector) add(path, before, after string, concealed bool) {
	if before == after || len(c.found) >= Max {
		return
	}
	if concealed {
		before, after = "", ""
	}
	c.found = append(c.found, &configv1.FieldChange{Path: path, Before: before, After: after, Concealed: concealed})
}

func (c *collector) message(path string, b, a protoreflect.Message) {
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		c.field(path+"."+string(fd.Name()), fd, b, a)
	}
}

func (c *collector) field(path string, fd protoreflect.FieldDescriptor, b, a protoreflect.Message) {
	switch {
	case !b.Has(fd) && !a.Has(fd):
	case fd.IsList():
		c.list(path, fd, b.Get(fd).List(), a.Get(fd).List())
	case fd.IsMap():
		c.mapped(path, fd, b.Get(fd).Map(), a.Get(fd).Map())
	default:
		c.value(path, fd, optional{b.Get(fd), b.Has(fd)}, optional{a.Get(fd), a.Has(fd)})
	}
}

// optional is a value that may be absent.
type optional struct {
	v  protoreflect.Value
	is bool
}

func (c *collector) list(path string, fd protoreflect.FieldDescriptor, b, a protoreflect.List) {
	at := func(l protoreflect.List, i int) optional {
		if i < l.Len() {
			return optional{l.Get(i), true}
		}
		return optional{}
	}
	for i := range max(b.Len(), a.Len()) {
		c.value(path+"["+strconv.Itoa(i)+"]", fd, at(b, i), at(a, i))
	}
}

func (c *collector) mapped(path string, fd protoreflect.FieldDescriptor, b, a protoreflect.Map) {
	keys := map[string]protoreflect.MapKey{}
	for _, m := range []protoreflect.Map{b, a} {
		m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
			keys[k.String()] = k
			return true
		})
	}
	at := func(m protoreflect.Map, k protoreflect.MapKey) optional { return optional{m.Get(k), m.Has(k)} }
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		c.value(fmt.Sprintf("%s[%q]", path, name), fd.MapValue(), at(b, keys[name]), at(a, keys[name]))
	}
}

// value goes down into messages that are on both sides or on one; one that appears or goes without any field is told whole.
func (c *collector) value(path string, fd protoreflect.FieldDescriptor, b, a optional) {
	if fd.Message() == nil || wellKnown(fd.Message()) {
		c.add(path, text(fd, b), text(fd, a), Concealed(fd))
		return
	}
	told := len(c.found)
	switch {
	case b.is && a.is:
		c.message(path, b.v.Message(), a.v.Message())
	case a.is:
		c.message(path, a.v.Message().Type().Zero(), a.v.Message())
	default:
		c.message(path, b.v.Message(), b.v.Message().Type().Zero())
	}
	if b.is != a.is && len(c.found) == told {
		c.add(path, empty(b.is), empty(a.is), false)
	}
}

func empty(is bool) string {
	if is {
		return "{}"
	}
	return ""
}

// wellKnown messages have a form of their own as JSON, such as times.
func wellKnown(d protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

// text is a value as JSON; empty if it is absent.
func text(fd protoreflect.FieldDescriptor, o optional) string {
	if !o.is {
		return ""
	}
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		out, err := protojson.Marshal(o.v.Message().Interface())
		if err != nil {
			return "(invalid)"
		}
		return compact(out)
	case protoreflect.EnumKind:
		if v := fd.Enum().Values().ByNumber(o.v.Enum()); v != nil {
			return strconv.Quote(string(v.Name()))
		}
		return strconv.Itoa(int(o.v.Enum()))
	default:
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(o.v.Interface()); err != nil { // NaN, infinite
			return strconv.Quote(o.v.String())
		}
		return strings.TrimSuffix(out.String(), "\n")
	}
}

// compact takes out the spaces that protojson strews in at random.
func compact(in []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, in); err != nil {
		return string(in)
	}
	return out.String()
}
