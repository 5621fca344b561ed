package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/throughline-dev/throughline/proto/redact"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	_ "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	_ "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	_ "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

const planted = "planted-7f3a-secret"

// secretName is what fields with secrets or personal data are called.
var secretName = regexp.MustCompile(`secret|passw|token|private_key|credential|sealed_keys|email|^owner_name$|phone|verifier`)

// shownName is what such fields are called that may be shown: places in lists, names of fields, hashes of random texts, and
// paths of files.
var shownName = regexp.MustCompile(`page_token$|_region$|_fields$|_hash$|_file$`)

// messages calls f for every message of ours.
func messages(f func(protoreflect.MessageType)) {
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		if strings.HasPrefix(string(m.Descriptor().FullName()), "throughline.") && !m.Descriptor().IsMapEntry() {
			f(m)
		}
		return true
	})
}

func TestEverySecretFieldIsMarked(t *testing.T) {
	t.Parallel()
	messages(func(m protoreflect.MessageType) {
		for i := range m.Descriptor().Fields().Len() {
			field := m.Descriptor().Fields().Get(i)
			text := field.Kind() == protoreflect.StringKind || field.Kind() == protoreflect.BytesKind
			name := string(field.Name())
			if text && secretName.MatchString(name) && !shownName.MatchString(name) && !redact.Marked(field) {
				t.Errorf("%s looks like a secret or personal: mark it [debug_redact = true], or call it what it is", field.FullName())
			}
		}
	})
}

// plant fills every marked text below a message and reports whether there was one. Messages that hold themselves end at depth.
func plant(m protoreflect.Message, depth int) bool {
	if depth == 0 {
		return false
	}
	found := false
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case redact.Marked(field) && field.IsList() && field.Kind() == protoreflect.StringKind:
			m.Mutable(field).List().Append(protoreflect.ValueOfString(planted))
			found = true
		case redact.Marked(field) && field.Kind() == protoreflect.StringKind:
			m.Set(field, protoreflect.ValueOfString(planted))
			found = true
		case redact.Marked(field) && field.Kind() == protoreflect.BytesKind:
			m.Set(field, protoreflect.ValueOfBytes([]byte(planted)))
			found = true
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			element := m.NewField(field).List().NewElement()
			if plant(element.Message(), depth-1) {
				m.Mutable(field).List().Append(element)
				found = true
			}
		default:
			inner := m.NewField(field)
			if plant(inner.Message(), depth-1) {
				m.Set(field, inner) // of a oneof, the last one stays
				found = true
			}
		}
	}
	return found
}

type holder struct {
	Message any `json:"message"`
}

func TestMessagesNeverShowWhatIsMarked(t *testing.T) {
	t.Parallel()
	count := 0
	messages(func(mt protoreflect.MessageType) {
		reflected := mt.New()
		if !plant(reflected, 6) {
			return
		}
		count++
		m := reflected.Interface()
		encoded, err := proto.Marshal(m)
		if err != nil || !bytes.Contains(encoded, []byte(planted)) {
			t.Fatalf("%T: %v", m, err)
		}
		var logs bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewJSONHandler(&logs, nil), slog.NewTextHandler(&logs, nil)} {
			slog.New(handler).Info("hello", "message", m, "held", holder{m}, "list", []any{m})
		}
		asJSON, err := json.Marshal(holder{m})
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		asYAML, err := m.(interface{ MarshalYAML() (any, error) }).MarshalYAML()
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		out := map[string]string{
			"logs": logs.String(), "JSON": string(asJSON), "YAML": fmt.Sprint(asYAML), "error": fmt.Errorf("refused: %v", m).Error(),
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			out[verb] = fmt.Sprintf(verb+" "+verb, m, holder{m})
		}
		for where, text := range out {
			if strings.Contains(text, planted) || strings.Contains(text, fmt.Sprintf("%x", planted)) {
				t.Errorf("%T shows a secret in %s: %s", m, where, text)
			}
			if !strings.Contains(text, "REDACTED") {
				t.Errorf("%T in %s does not say that something is hidden: %s", m, where, text)
			}
		}
		if again, err := proto.Marshal(m); err != nil || !bytes.Equal(again, encoded) {
			t.Errorf("%T was changed by showing it", m)
		}
	})
	if count < 10 {
		t.Errorf("only %d messages have something to hide", count)
	}
}

func TestOddMessages(t *testing.T) {
	t.Parallel()
	var absent *configv1.Connection
	if text := fmt.Sprintf("%v %+v", absent, holder{absent}); strings.Contains(text, "PANIC") {
		t.Error(text)
	}
	if _, err := json.Marshal(holder{absent}); err != nil {
		t.Error(err)
	}
	if redact.Copy(nil) != nil {
		t.Error("nil is nil")
	}
	empty := &configv1.CreateApiKeyResponse{Key: &configv1.ApiKey{Id: "player"}}
	if text := fmt.Sprint(empty); strings.Contains(text, "REDACTED") || !strings.Contains(text, "player") {
		t.Errorf("a reader tells set from not set, and sees all else: %s", text)
	}
}
