package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"sigs.k8s.io/yaml"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/recipe"
)

// Document is one setting to apply.
type Document struct {
	// Source says where it comes from, for messages: a file and line.
	Source string
	// Setting is a *configv1.Workspace, Connection, Integration, ContentSetting, ApiKey, ContentDefaults, EventSetup, Report or
	// ReportPush. Its version is ignored.
	Setting proto.Message
}

// kinds makes an empty setting of each kind.
var kinds = map[string]func() proto.Message{
	"Workspace":       func() proto.Message { return &configv1.Workspace{} },
	"Connection":      func() proto.Message { return &configv1.Connection{} },
	"Integration":     func() proto.Message { return &configv1.Integration{} },
	"ContentSetting":  func() proto.Message { return &configv1.ContentSetting{} },
	"ApiKey":          func() proto.Message { return &configv1.ApiKey{} },
	"ContentDefaults": func() proto.Message { return &configv1.ContentDefaults{} },
	"EventSetup":      func() proto.Message { return &configv1.EventSetup{} },
	"Report":          func() proto.Message { return &configv1.Report{} },
	"ReportPush":      func() proto.Message { return &configv1.ReportPush{} },
}

const kindNames = "Workspace, Connection, Integration, ContentSetting, ApiKey, ContentDefaults, EventSetup, Report, ReportPush"

// Parse reads the documents of one file, separated by lines of three dashes. Every problem is reported, each with file
// and line of its document and the path of the field.
func Parse(name string, data []byte) ([]Document, error) {
	var docs []Document
	var errs []error
	for _, part := range split(data) {
		source := fmt.Sprintf("%s:%d", name, part.line)
		setting, err := parseOne(part.text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", source, err))
		case setting != nil:
			docs = append(docs, Document{Source: source, Setting: setting})
		}
	}
	return docs, errors.Join(errs...)
}

// Settings returns documents of settings made in code.
func Settings[M proto.Message](source string, settings ...M) []Document {
	docs := make([]Document, len(settings))
	for i, setting := range settings {
		docs[i] = Document{Source: source, Setting: setting}
	}
	return docs
}

type part struct {
	line int
	text []byte
}

// split cuts a YAML stream. A line that begins with three dashes always ends a document, even within a text block.
func split(data []byte) []part {
	var parts []part
	current := part{line: 1}
	for n, line := range bytes.SplitAfter(data, []byte("\n")) {
		if rest, ok := bytes.CutPrefix(line, []byte("---")); ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0]))) {
			parts = append(parts, current)
			current = part{line: n + 2}
			continue
		}
		current.text = append(current.text, line...)
	}
	return append(parts, current)
}

// parseOne returns nil for a document that is empty or only comments.
func parseOne(text []byte) (proto.Message, error) {
	encoded, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("not valid YAML: %w", err)
	}
	if bytes.Equal(encoded, []byte("null")) {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return nil, errors.New("want an object with a kind or a recipe")
	}
	if _, ok := fields["recipe"]; ok && fields["kind"] == nil {
		return parseRecipe(fields)
	}
	var kind string
	_ = json.Unmarshal(fields["kind"], &kind)
	create, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("kind: %q is not one of %s (nor is there a recipe)", kind, kindNames)
	}
	delete(fields, "kind")
	return decodeSetting(kind, fields, create())
}

func decodeSetting(kind string, fields map[string]json.RawMessage, setting proto.Message) (proto.Message, error) {
	encoded, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	var generic any
	if err := json.Unmarshal(encoded, &generic); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if unknown := unknownFields(setting.ProtoReflect().Descriptor(), generic, ""); len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("%s: %s", kind, strings.Join(unknown, "; "))
	}
	if err := protojson.Unmarshal(encoded, setting); err != nil {
		// protojson quotes the value, which may be a secret that was given in the wrong form: promise 8.
		return nil, fmt.Errorf("%s: %s", kind, wrongValue(setting, fields))
	}
	return setting, nil
}

// parseRecipe builds a recipe's integration. Besides the recipe's own parameters a document may say enabled and
// effective_from, as an integration may.
func parseRecipe(fields map[string]json.RawMessage) (proto.Message, error) {
	enabled, from := true, time.Time{}
	for name, into := range map[string]any{"enabled": &enabled, "effective_from": &from} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return nil, fmt.Errorf("%s: the value does not have the right type or form", name)
			}
			delete(fields, name)
		}
	}
	encoded, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	name, params, err := recipe.Parse(encoded)
	if err != nil {
		return nil, err
	}
	i, err := recipe.Build(name, params)
	if err != nil {
		return nil, err
	}
	i.Enabled = enabled
	if !from.IsZero() {
		i.EffectiveFrom = timestamppb.New(from)
	}
	return i, nil
}
