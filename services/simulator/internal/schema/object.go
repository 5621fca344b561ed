package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

// Object is one kind of record. Objects do not change once the schema is built.
type Object struct {
	Name, Label, Plural, LabelJA, Prefix string
	Custom, ReadOnly, Setup              bool
	// Fields are in slot order.
	Fields []*Field
	// Children are the references of other objects to this one.
	Children []Child

	byName         map[string]*Field
	byRelationship map[string]*Field
}

// Child is a reference from another object.
type Child struct {
	Object *Object
	Field  *Field
}

// Field finds a field by API name, without regard to case.
func (o *Object) Field(name string) (*Field, bool) {
	if f, ok := o.byName[name]; ok {
		return f, true
	}
	f, ok := o.byName[strings.ToLower(name)]
	return f, ok
}

// Relationship finds the reference field with a relationship name, without regard to case.
func (o *Object) Relationship(name string) (*Field, bool) {
	f, ok := o.byRelationship[strings.ToLower(name)]
	return f, ok
}

// Slot returns the slot of a field, or -1.
func (o *Object) Slot(name string) int {
	if f, ok := o.Field(name); ok {
		return f.Slot
	}
	return -1
}

// NameField returns the field that names a record to people; every object has one.
func (o *Object) NameField() *Field {
	for _, f := range o.Fields {
		if f.NameField {
			return f
		}
	}
	return o.Fields[record.SlotID]
}

// Title returns the label in the language.
func (o *Object) Title(language string) string {
	if strings.HasPrefix(language, "ja") && o.LabelJA != "" {
		return o.LabelJA
	}
	return o.Label
}

// Schema is the set of an org's objects. It does not change once built and is safe for concurrent use.
type Schema struct {
	objects  []*Object
	byName   map[string]*Object
	byPrefix map[string]*Object
}

// Build puts declarations together. A later declaration of the same object adds fields to it, or replaces fields of
// the same name. Custom objects without a prefix get a00, a01 and so on.
func Build(specs ...Spec) (*Schema, error) {
	s := &Schema{byName: map[string]*Object{}, byPrefix: map[string]*Object{}}
	for _, spec := range specs {
		for _, o := range spec.Objects {
			if err := s.add(o); err != nil {
				return nil, fmt.Errorf("object %s: %w", o.Name, err)
			}
		}
	}
	return s, s.link()
}

// Object finds an object by API name, without regard to case.
func (s *Schema) Object(name string) (*Object, bool) {
	o, ok := s.byName[strings.ToLower(name)]
	return o, ok
}

// ByPrefix finds the object that an id's key prefix names.
func (s *Schema) ByPrefix(prefix string) (*Object, bool) {
	o, ok := s.byPrefix[prefix]
	return o, ok
}

// Objects returns all objects in declaration order. The caller must not change the slice.
func (s *Schema) Objects() []*Object { return s.objects }

func (s *Schema) add(spec ObjectSpec) error {
	o, known := s.Object(spec.Name)
	if !known {
		o = &Object{Name: spec.Name, byName: map[string]*Field{}, byRelationship: map[string]*Field{}}
		o.Custom = strings.HasSuffix(spec.Name, "__c")
		s.byName[strings.ToLower(spec.Name)] = o
		s.objects = append(s.objects, o)
		for _, f := range systemFields {
			o.put(newField(f, len(o.Fields)))
		}
	}
	o.describe(spec)
	for _, f := range spec.Fields {
		if err := f.validate(); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		slot := len(o.Fields)
		if old, ok := o.Field(f.Name); ok {
			slot = old.Slot
		}
		o.put(newField(f, slot))
	}
	return nil
}

func (o *Object) describe(spec ObjectSpec) {
	o.Label = firstOf(spec.Label, o.Label, labelOf(spec.Name))
	o.Plural = firstOf(spec.Plural, o.Plural, o.Label+"s")
	o.LabelJA = firstOf(spec.LabelJA, o.LabelJA)
	o.Prefix = firstOf(spec.Prefix, o.Prefix)
	o.ReadOnly = o.ReadOnly || spec.ReadOnly
	o.Setup = o.Setup || spec.Setup
}

func (o *Object) put(f *Field) {
	if f.Slot == len(o.Fields) {
		o.Fields = append(o.Fields, f)
	} else {
		o.Fields[f.Slot] = f
	}
	o.byName[strings.ToLower(f.Name)] = f
	o.byName[f.Name] = f
	if f.Relationship != "" {
		o.byRelationship[strings.ToLower(f.Relationship)] = f
	}
}

// link gives prefixes to custom objects and finds the way back of every reference.
func (s *Schema) link() error {
	for i, o := range s.objects {
		if o.Prefix == "" {
			o.Prefix = fmt.Sprintf("a%02d", i)
		}
		if other, taken := s.byPrefix[o.Prefix]; taken {
			return fmt.Errorf("object %s: prefix %s is already that of %s", o.Name, o.Prefix, other.Name)
		}
		s.byPrefix[o.Prefix] = o
	}
	for _, o := range s.objects {
		for _, f := range o.Fields {
			for _, target := range f.References {
				if t, ok := s.Object(target); ok && !hasChild(t, o, f) {
					t.Children = append(t.Children, Child{Object: o, Field: f})
				}
			}
		}
	}
	return nil
}

func hasChild(t, o *Object, f *Field) bool {
	return slices.ContainsFunc(t.Children, func(c Child) bool { return c.Object == o && c.Field.Name == f.Name })
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// systemFields are those of every object, in the order of record.SlotID and the following.
var systemFields = []FieldSpec{
	{Name: "Id", Type: ID, Label: "Record ID", Derived: true},
	{Name: "IsDeleted", Type: Boolean, Label: "Deleted", Derived: true},
	{Name: "CreatedDate", Type: DateTimeType, Label: "Created Date", LabelJA: "作成日", Derived: true},
	{Name: "CreatedById", Type: Reference, Label: "Created By ID", LabelJA: "作成者", References: []string{"User"}, Relationship: "CreatedBy", Derived: true},
	{Name: "LastModifiedDate", Type: DateTimeType, Label: "Last Modified Date", LabelJA: "最終更新日", Derived: true},
	{Name: "LastModifiedById", Type: Reference, Label: "Last Modified By ID", LabelJA: "最終更新者", References: []string{"User"}, Relationship: "LastModifiedBy", Derived: true},
	{Name: "SystemModstamp", Type: DateTimeType, Label: "System Modstamp", Derived: true},
}
