package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	sourcev1 "github.com/throughline-dev/throughline/proto/throughline/source/v1"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// release writes the blobs of a new version: go test ./golden -release v2. What an earlier version wrote stays.
var release = flag.String("release", "", "write blobs of the current messages into testdata/`version`")

// onTopics are the messages that lie in Kafka, where an older or newer program may find them.
var onTopics = map[string]func() proto.Message{
	"viewing_event": func() proto.Message { return &sourcev1.ViewingEvent{} },
	"activity":      func() proto.Message { return &streamv1.Activity{} },
	"visit":         func() proto.Message { return &streamv1.Visit{} },
	"engagement":    func() proto.Message { return &streamv1.Engagement{} },
	"resolved":      func() proto.Message { return &streamv1.Resolved{} },
	"write":         func() proto.Message { return &streamv1.Write{} },
	"field_values":  func() proto.Message { return &streamv1.FieldValues{} },
	"personal_data": func() proto.Message { return &streamv1.PersonalData{} },
	"outcome":       func() proto.Message { return &streamv1.Outcome{} },
	"dead_letter":   func() proto.Message { return &streamv1.DeadLetter{} },
	"open_visit":    func() proto.Message { return &statev1.OpenVisit{} },
	"totals":        func() proto.Message { return &statev1.Totals{} },
	"ledger_entry":  func() proto.Message { return &statev1.LedgerEntry{} },
	"change":        func() proto.Message { return &streamv1.Change{} },
	"replay_mark":   func() proto.Message { return &statev1.ReplayMark{} },
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

func TestEveryReleasedBlobReadsAndWritesBack(t *testing.T) {
	if *release != "" {
		write(t, filepath.Join("testdata", *release))
	}
	versions, err := filepath.Glob("testdata/*")
	if err != nil || len(versions) == 0 {
		t.Fatalf("no stored versions: %v", err)
	}
	for _, dir := range versions {
		for name, empty := range onTopics {
			path := filepath.Join(dir, name+".binpb")
			blob, err := os.ReadFile(path)
			if os.IsNotExist(err) {
				continue // a message that this version did not have yet
			}
			t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) {
				if err != nil {
					t.Fatal(err)
				}
				m := empty()
				if err := proto.Unmarshal(blob, m); err != nil {
					t.Fatalf("%s no longer decodes: %v", path, err)
				}
				unknown(t, m.ProtoReflect())
				again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				if string(again) != string(blob) {
					t.Errorf("%s is written back differently: a field changed its number or type", path)
				}
			})
		}
	}
}

// A consumer one version behind passes on what it does not know.
func TestUnknownFieldsArePassedOn(t *testing.T) {
	blob, err := proto.Marshal(filled(&streamv1.Visit{}))
	if err != nil {
		t.Fatal(err)
	}
	const newField = "\xfa\xff\x03\x05later" // field 8191, bytes
	m := &streamv1.Visit{}
	if err := proto.Unmarshal(append(blob, newField...), m); err != nil {
		t.Fatal(err)
	}
	if string(m.ProtoReflect().GetUnknown()) != newField {
		t.Errorf("the unknown field was dropped")
	}
	again, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(again) != len(blob)+len(newField) {
		t.Errorf("the unknown field is not written back")
	}
}

func write(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, empty := range onTopics {
		blob, err := proto.MarshalOptions{Deterministic: true}.Marshal(filled(empty()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".binpb"), blob, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// unknown names every field of the blob that this version has dropped.
func unknown(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if len(m.GetUnknown()) > 0 {
		t.Errorf("%s has lost a field that was released: %x", m.Descriptor().FullName(), m.GetUnknown())
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				unknown(t, v.List().Get(i).Message())
			}
		default:
			unknown(t, v.Message())
		}
		return true
	})
}

// filled sets every field of a message, the last of a oneof, to a value that follows from its number.
func filled(m proto.Message) proto.Message {
	fill(m.ProtoReflect(), 0)
	return m
}

const maxDepth = 6

func fill(m protoreflect.Message, depth int) {
	if depth > maxDepth {
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case fd.IsMap():
		case fd.IsList():
			list := m.Mutable(fd).List()
			if fd.Message() != nil {
				fill(list.AppendMutable().Message(), depth+1)
			} else {
				list.Append(scalar(fd))
			}
		case fd.Message() != nil:
			fill(m.Mutable(fd).Message(), depth+1)
		default:
			m.Set(fd, scalar(fd))
		}
	}
}

func scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	n := int64(fd.Number())
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(n)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n) + 0.5)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n) + 0.25)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(fd.Name()))
	default:
		return protoreflect.ValueOfString(string(fd.Name()))
	}
}
