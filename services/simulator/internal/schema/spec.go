package schema

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed objects/*.yaml
var builtin embed.FS

// ObjectSpec declares an object, or adds fields to one that exists already.
type ObjectSpec struct {
	Name     string `yaml:"name"`
	Label    string `yaml:"label,omitempty"`
	Plural   string `yaml:"plural,omitempty"`
	LabelJA  string `yaml:"label_ja,omitempty"`
	Prefix   string `yaml:"prefix,omitempty"`
	ReadOnly bool   `yaml:"read_only,omitempty"`
	// Setup marks setup objects, which must not be mixed with others in one write.
	Setup  bool        `yaml:"setup,omitempty"`
	Fields []FieldSpec `yaml:"fields"`
}

// FieldSpec declares one field. Fields can be created, updated, filtered and left empty unless said otherwise.
type FieldSpec struct {
	Name      string `yaml:"name"`
	Label     string `yaml:"label,omitempty"`
	LabelJA   string `yaml:"label_ja,omitempty"`
	Type      Type   `yaml:"type"`
	Length    int    `yaml:"length,omitempty"`
	Precision int    `yaml:"precision,omitempty"`
	Scale     int    `yaml:"scale,omitempty"`
	// Required means that a create without the field fails.
	Required bool `yaml:"required,omitempty"`
	// Default is what a create without the field stores.
	Default string `yaml:"default,omitempty"`
	// Values are the picklist's values; one that begins with "*" is the default, one with "!" is not active any more.
	Values     []string `yaml:"values,omitempty"`
	Restricted bool     `yaml:"restricted,omitempty"`
	// References are the objects a reference may point to, Relationship the name of the way there ("Owner").
	References   []string `yaml:"references,omitempty"`
	Relationship string   `yaml:"relationship,omitempty"`
	// ChildRelationship is the name of the way back, from the referenced object.
	ChildRelationship string `yaml:"child_relationship,omitempty"`
	ExternalID        bool   `yaml:"external_id,omitempty"`
	Unique            bool   `yaml:"unique,omitempty"`
	CaseSensitive     bool   `yaml:"case_sensitive,omitempty"`
	// Derived fields are computed by the org and never written.
	Derived bool `yaml:"derived,omitempty"`
	// CreateOnly fields cannot be updated.
	CreateOnly bool   `yaml:"create_only,omitempty"`
	NameField  bool   `yaml:"name_field,omitempty"`
	AutoNumber string `yaml:"auto_number,omitempty"`
	// Compound is the compound field this one is a part of ("Name").
	Compound string `yaml:"compound,omitempty"`
	// Encryption is "", "probabilistic", "deterministic" (exact case) or "deterministic_ci".
	Encryption string `yaml:"encryption,omitempty"`
	// Since is the version of the package that brought the field; empty for the first.
	Since string `yaml:"since,omitempty"`
}

// Spec is a set of object declarations.
type Spec struct {
	Objects []ObjectSpec `yaml:"objects"`
}

// ParseSpec reads object declarations from YAML. Unknown keys are errors.
func ParseSpec(data []byte) (Spec, error) {
	var s Spec
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return Spec{}, fmt.Errorf("schema: %w", err)
	}
	return s, nil
}

// Standard returns the declarations of the standard objects.
func Standard() (Spec, error) {
	return load("standard.yaml", "permissions.yaml", "people.yaml", "activity.yaml", "campaign.yaml")
}

// Package returns the declarations of the Throughline package in a version, "" for the newest: its objects, and its fields on
// standard objects.
func Package(version string) (Spec, error) {
	s, err := load("package.yaml")
	if err != nil || version == "" {
		return s, err
	}
	for i := range s.Objects {
		o := &s.Objects[i]
		o.Fields = slices.DeleteFunc(o.Fields, func(f FieldSpec) bool { return f.Since > version })
	}
	return s, nil
}

func load(names ...string) (Spec, error) {
	var all Spec
	for _, name := range names {
		data, err := builtin.ReadFile("objects/" + name)
		if err != nil {
			return Spec{}, fmt.Errorf("schema: %w", err)
		}
		s, err := ParseSpec(data)
		if err != nil {
			return Spec{}, fmt.Errorf("%s: %w", name, err)
		}
		all.Objects = append(all.Objects, s.Objects...)
	}
	return all, nil
}

func (s FieldSpec) validate() error {
	if _, known := storage[s.Type]; !known {
		return fmt.Errorf("type %q is not known", s.Type)
	}
	if s.Type == Reference && len(s.References) == 0 {
		return errors.New("references: a reference needs at least one object")
	}
	switch s.Encryption {
	case "", encryptedProbabilistic, encryptedExact, encryptedFolded:
	default:
		return fmt.Errorf("encryption %q is not known", s.Encryption)
	}
	if s.Unique && s.Type != String && s.Type != Email && s.Type != Double {
		return fmt.Errorf("unique: not possible for type %s", s.Type)
	}
	if strings.ContainsAny(s.Name, " .'\"") || s.Name == "" {
		return fmt.Errorf("name %q is not an API name", s.Name)
	}
	return nil
}
