package schema

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
)

// Type is a field's type as describe names it.
type Type string

// The field types that the simulated org knows.
const (
	ID            Type = "id"
	String        Type = "string"
	TextArea      Type = "textarea"
	Email         Type = "email"
	Phone         Type = "phone"
	URL           Type = "url"
	Picklist      Type = "picklist"
	MultiPicklist Type = "multipicklist"
	Combobox      Type = "combobox"
	Reference     Type = "reference"
	Boolean       Type = "boolean"
	Int           Type = "int"
	Double        Type = "double"
	Currency      Type = "currency"
	Percent       Type = "percent"
	DateType      Type = "date"
	DateTimeType  Type = "datetime"
)

// Storage is how values of a field are kept.
type Storage uint8

// The ways of keeping a value; see record.Value.
const (
	StoreText Storage = iota + 1
	StoreBool
	StoreInt
	StoreDouble
	StoreDate
	StoreDateTime
)

var storage = map[Type]Storage{
	ID: StoreText, String: StoreText, TextArea: StoreText, Email: StoreText, Phone: StoreText, URL: StoreText,
	Picklist: StoreText, MultiPicklist: StoreText, Combobox: StoreText, Reference: StoreText, Boolean: StoreBool,
	Int: StoreInt, Double: StoreDouble, Currency: StoreDouble, Percent: StoreDouble, DateType: StoreDate,
	DateTimeType: StoreDateTime,
}

var soapTypes = map[Type]string{
	ID: "tns:ID", Reference: "tns:ID", Boolean: "xsd:boolean", Int: "xsd:int", Double: "xsd:double", Currency: "xsd:double",
	Percent: "xsd:double", DateType: "xsd:date", DateTimeType: "xsd:dateTime",
}

const (
	encryptedProbabilistic = "probabilistic"
	encryptedExact         = "deterministic"
	encryptedFolded        = "deterministic_ci"

	// longText is the length above which a text area is "long" and cannot be filtered.
	longText = 255
)

// PicklistValue is one value of a picklist.
type PicklistValue struct {
	Active       bool    `json:"active"`
	DefaultValue bool    `json:"defaultValue"`
	Label        string  `json:"label"`
	ValidFor     *string `json:"validFor"`
	Value        string  `json:"value"`
}

// Field is one field of an object. Fields do not change once the schema is built.
type Field struct {
	FieldSpec
	// Slot is where a Record keeps the field's value.
	Slot    int
	Storage Storage
	Custom  bool
	// Createable and Updateable say whether anybody may write the field; a user may be allowed less.
	Createable, Updateable bool
	Picklist               []PicklistValue
	// DefaultValue is what a create without the field stores; nil for none.
	DefaultValue record.Value
	// Indexed fields are found by value without a scan.
	Indexed bool

	active map[string]string // folded picklist value → value as declared
}

// Text reports whether the field keeps text.
func (f *Field) Text() bool { return f.Storage == StoreText }

// Filterable reports whether a query may filter by the field.
func (f *Field) Filterable() bool {
	return f.Encryption != encryptedProbabilistic && !(f.Type == TextArea && f.Length > longText)
}

// Groupable reports whether a query may group by the field.
func (f *Field) Groupable() bool {
	return f.Filterable() && f.Storage != StoreDouble && f.Storage != StoreDateTime
}

// Exact reports whether text in the field is compared with regard to case.
func (f *Field) Exact() bool {
	return f.CaseSensitive || f.Encryption == encryptedExact || f.Type == ID || f.Type == Reference
}

// Key returns the form of a value under which an index keeps it.
func (f *Field) Key(v record.Value) string {
	if s, ok := v.(string); ok && f.Exact() {
		return s
	}
	return record.Fold(record.Text(v))
}

// Active returns the picklist value that equals s without regard to case, as it is declared.
func (f *Field) Active(s string) (string, bool) {
	v, ok := f.active[record.Fold(s)]
	return v, ok
}

// KeyField reports whether the field can be the key of an upsert.
func (f *Field) KeyField() bool { return f.ExternalID || f.Type == ID }

// Title returns the label in the language ("ja" or anything else for English).
func (f *Field) Title(language string) string {
	if strings.HasPrefix(language, "ja") && f.LabelJA != "" {
		return f.LabelJA
	}
	return f.Label
}

// newField completes a declaration.
func newField(spec FieldSpec, slot int) *Field {
	f := &Field{FieldSpec: spec, Slot: slot, Storage: storage[spec.Type], Custom: strings.HasSuffix(spec.Name, "__c")}
	f.Createable = !spec.Derived && spec.AutoNumber == ""
	f.Updateable = f.Createable && !spec.CreateOnly
	if f.Label == "" {
		f.Label = labelOf(spec.Name)
	}
	f.setLength()
	f.setPicklist()
	if f.DefaultValue == nil && spec.Default != "" {
		f.DefaultValue = spec.Default
	}
	if f.Storage == StoreBool {
		f.DefaultValue = spec.Default == "true"
	}
	if f.Relationship == "" && f.Type == Reference {
		f.Relationship = relationshipOf(spec.Name)
	}
	f.Indexed = f.ExternalID || f.Unique || f.Type == Email || indexedReference(f)
	return f
}

// indexedReference leaves out references whose targets are few, so that one value would list most of the table.
func indexedReference(f *Field) bool {
	if f.Type != Reference || f.Slot < record.SystemSlots {
		return false
	}
	for _, target := range f.References {
		if target == "User" || target == "Group" || target == "Profile" {
			return false
		}
	}
	return true
}

func (f *Field) setLength() {
	switch f.Type {
	case ID, Reference:
		f.Length = 18
	case Email:
		f.Length = defaultInt(f.Length, 80)
	case Phone:
		f.Length = defaultInt(f.Length, 40)
	case String, TextArea, URL, Picklist, Combobox:
		f.Length = defaultInt(f.Length, 255)
	case MultiPicklist:
		f.Length = defaultInt(f.Length, 4099)
	case Double, Currency, Percent:
		f.Precision = defaultInt(f.Precision, 18)
	case Int:
		f.Precision = defaultInt(f.Precision, 9)
	}
}

func (f *Field) setPicklist() {
	if len(f.Values) == 0 {
		return
	}
	f.active = make(map[string]string, len(f.Values))
	f.Picklist = make([]PicklistValue, 0, len(f.Values))
	for _, v := range f.Values {
		name, isDefault := strings.CutPrefix(v, "*")
		name, retired := strings.CutPrefix(name, "!")
		f.Picklist = append(f.Picklist, PicklistValue{Active: !retired, DefaultValue: isDefault, Label: name, Value: name})
		if retired {
			continue
		}
		f.active[record.Fold(name)] = name
		if isDefault {
			f.DefaultValue = name
		}
	}
}

func defaultInt(n, def int) int {
	if n == 0 {
		return def
	}
	return n
}

// labelOf splits an API name into words: "MobilePhone" becomes "Mobile Phone".
func labelOf(name string) string {
	name = strings.ReplaceAll(strings.TrimSuffix(name, "__c"), "_", " ")
	var b strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return strings.TrimSuffix(b.String(), " Id") + map[bool]string{true: " ID"}[strings.HasSuffix(b.String(), " Id")]
}

func relationshipOf(name string) string {
	if base, custom := strings.CutSuffix(name, "__c"); custom {
		return base + "__r"
	}
	return strings.TrimSuffix(name, "Id")
}
