package schema

import "github.com/throughline-dev/throughline/services/simulator/internal/record"

// Summary is one entry of the global describe.
type Summary struct {
	Activateable        bool              `json:"activateable"`
	Createable          bool              `json:"createable"`
	Custom              bool              `json:"custom"`
	CustomSetting       bool              `json:"customSetting"`
	DataTranslation     bool              `json:"dataTranslationEnabled"`
	DeepCloneable       bool              `json:"deepCloneable"`
	Deletable           bool              `json:"deletable"`
	DeprecatedAndHidden bool              `json:"deprecatedAndHidden"`
	FeedEnabled         bool              `json:"feedEnabled"`
	HasSubtypes         bool              `json:"hasSubtypes"`
	IDEnabled           bool              `json:"idEnabled"`
	IsInterface         bool              `json:"isInterface"`
	IsSubtype           bool              `json:"isSubtype"`
	KeyPrefix           string            `json:"keyPrefix"`
	Label               string            `json:"label"`
	LabelPlural         string            `json:"labelPlural"`
	Layoutable          bool              `json:"layoutable"`
	Mergeable           bool              `json:"mergeable"`
	MruEnabled          bool              `json:"mruEnabled"`
	Name                string            `json:"name"`
	Queryable           bool              `json:"queryable"`
	Replicateable       bool              `json:"replicateable"`
	Retrieveable        bool              `json:"retrieveable"`
	Searchable          bool              `json:"searchable"`
	Triggerable         bool              `json:"triggerable"`
	Undeletable         bool              `json:"undeletable"`
	Updateable          bool              `json:"updateable"`
	URLs                map[string]string `json:"urls"`
}

// Description is the answer of an object's describe resource.
type Description struct {
	ActionOverrides       []any              `json:"actionOverrides"`
	ChildRelationships    []ChildDescription `json:"childRelationships"`
	CompactLayoutable     bool               `json:"compactLayoutable"`
	Fields                []FieldDescription `json:"fields"`
	NamedLayoutInfos      []any              `json:"namedLayoutInfos"`
	NetworkScopeFieldName *string            `json:"networkScopeFieldName"`
	RecordTypeInfos       []RecordTypeInfo   `json:"recordTypeInfos"`
	SearchLayoutable      bool               `json:"searchLayoutable"`
	SupportedScopes       []PicklistScope    `json:"supportedScopes"`
	Summary
}

// PicklistScope is one query scope.
type PicklistScope struct {
	Label string `json:"label"`
	Name  string `json:"name"`
}

// ChildDescription is one child relationship of a description.
type ChildDescription struct {
	CascadeDelete       bool     `json:"cascadeDelete"`
	ChildSObject        string   `json:"childSObject"`
	DeprecatedAndHidden bool     `json:"deprecatedAndHidden"`
	Field               string   `json:"field"`
	JunctionIDListNames []string `json:"junctionIdListNames"`
	JunctionReferenceTo []string `json:"junctionReferenceTo"`
	RelationshipName    *string  `json:"relationshipName"`
	RestrictedDelete    bool     `json:"restrictedDelete"`
}

// RecordTypeInfo is one record type of a description; every object has at least the master type.
type RecordTypeInfo struct {
	Active                   bool              `json:"active"`
	Available                bool              `json:"available"`
	DefaultRecordTypeMapping bool              `json:"defaultRecordTypeMapping"`
	DeveloperName            string            `json:"developerName"`
	Master                   bool              `json:"master"`
	Name                     string            `json:"name"`
	RecordTypeID             string            `json:"recordTypeId"`
	URLs                     map[string]string `json:"urls"`
}

// FieldDescription is one field of a description.
type FieldDescription struct {
	Aggregatable             bool            `json:"aggregatable"`
	AIPredictionField        bool            `json:"aiPredictionField"`
	AutoNumber               bool            `json:"autoNumber"`
	ByteLength               int             `json:"byteLength"`
	Calculated               bool            `json:"calculated"`
	CalculatedFormula        *string         `json:"calculatedFormula"`
	CascadeDelete            bool            `json:"cascadeDelete"`
	CaseSensitive            bool            `json:"caseSensitive"`
	CompoundFieldName        *string         `json:"compoundFieldName"`
	ControllerName           *string         `json:"controllerName"`
	Createable               bool            `json:"createable"`
	Custom                   bool            `json:"custom"`
	DefaultValue             any             `json:"defaultValue"`
	DefaultValueFormula      *string         `json:"defaultValueFormula"`
	DefaultedOnCreate        bool            `json:"defaultedOnCreate"`
	DependentPicklist        bool            `json:"dependentPicklist"`
	DeprecatedAndHidden      bool            `json:"deprecatedAndHidden"`
	Digits                   int             `json:"digits"`
	DisplayLocationInDecimal bool            `json:"displayLocationInDecimal"`
	Encrypted                bool            `json:"encrypted"`
	ExternalID               bool            `json:"externalId"`
	ExtraTypeInfo            *string         `json:"extraTypeInfo"`
	Filterable               bool            `json:"filterable"`
	FilteredLookupInfo       *string         `json:"filteredLookupInfo"`
	Groupable                bool            `json:"groupable"`
	HighScaleNumber          bool            `json:"highScaleNumber"`
	HTMLFormatted            bool            `json:"htmlFormatted"`
	IDLookup                 bool            `json:"idLookup"`
	InlineHelpText           *string         `json:"inlineHelpText"`
	Label                    string          `json:"label"`
	Length                   int             `json:"length"`
	Mask                     *string         `json:"mask"`
	MaskType                 *string         `json:"maskType"`
	Name                     string          `json:"name"`
	NameField                bool            `json:"nameField"`
	NamePointing             bool            `json:"namePointing"`
	Nillable                 bool            `json:"nillable"`
	Permissionable           bool            `json:"permissionable"`
	PicklistValues           []PicklistValue `json:"picklistValues"`
	PolymorphicForeignKey    bool            `json:"polymorphicForeignKey"`
	Precision                int             `json:"precision"`
	QueryByDistance          bool            `json:"queryByDistance"`
	ReferenceTargetField     *string         `json:"referenceTargetField"`
	ReferenceTo              []string        `json:"referenceTo"`
	RelationshipName         *string         `json:"relationshipName"`
	RelationshipOrder        *int            `json:"relationshipOrder"`
	RestrictedDelete         bool            `json:"restrictedDelete"`
	RestrictedPicklist       bool            `json:"restrictedPicklist"`
	Scale                    int             `json:"scale"`
	SearchPrefilterable      bool            `json:"searchPrefilterable"`
	SoapType                 string          `json:"soapType"`
	Sortable                 bool            `json:"sortable"`
	Type                     Type            `json:"type"`
	Unique                   bool            `json:"unique"`
	Updateable               bool            `json:"updateable"`
	WriteRequiresMasterRead  bool            `json:"writeRequiresMasterRead"`
}

// Summarize describes o in short for a profile. Path is the version's path, "/services/data/v67.0".
func (s *Schema) Summarize(o *Object, a *Access, path string) Summary {
	may := a.Object(o)
	base := path + "/sobjects/" + o.Name
	return Summary{
		Createable: may.Create, Updateable: may.Edit, Deletable: may.Delete, Undeletable: may.Delete,
		Custom: o.Custom, KeyPrefix: o.Prefix, Label: o.Label, LabelPlural: o.Plural, Name: o.Name,
		Layoutable: !o.ReadOnly, Mergeable: mergeable(o.Name), MruEnabled: !o.ReadOnly, Queryable: true, Replicateable: true,
		Retrieveable: true, Searchable: true, Triggerable: !o.ReadOnly, FeedEnabled: mergeable(o.Name), IDEnabled: true,
		URLs: map[string]string{"sobject": base, "describe": base + "/describe", "rowTemplate": base + "/{ID}"},
	}
}

func mergeable(name string) bool { return name == "Lead" || name == "Contact" || name == "Account" }

// Describe describes o as a profile sees it: fields that it may not see are absent.
func (s *Schema) Describe(o *Object, a *Access, path string) Description {
	d := Description{
		ActionOverrides: []any{}, NamedLayoutInfos: []any{}, CompactLayoutable: true, SearchLayoutable: true,
		Summary: s.Summarize(o, a, path), ChildRelationships: []ChildDescription{},
		SupportedScopes: []PicklistScope{{Label: "All " + o.Plural, Name: "everything"}, {Label: "My " + o.Plural, Name: "mine"}},
		RecordTypeInfos: []RecordTypeInfo{{
			Active: true, Available: true, DefaultRecordTypeMapping: true, DeveloperName: "Master", Master: true,
			Name: "Master", RecordTypeID: "012000000000000AAA",
			URLs: map[string]string{"layout": path + "/sobjects/" + o.Name + "/describe/layouts/012000000000000AAA"},
		}},
	}
	if types := recordTypes(o, path); types != nil {
		d.RecordTypeInfos[0].DefaultRecordTypeMapping = false
		d.RecordTypeInfos = append(types, d.RecordTypeInfos...)
	}
	for _, f := range o.Fields {
		if s.shown(f) && a.Visible(o, f) {
			d.Fields = append(d.Fields, s.describeField(o, f, a))
		}
	}
	for _, c := range o.Children {
		d.ChildRelationships = append(d.ChildRelationships, ChildDescription{
			ChildSObject: c.Object.Name, Field: c.Field.Name, RelationshipName: textOrNull(c.Field.ChildRelationship),
			JunctionIDListNames: []string{}, JunctionReferenceTo: []string{},
		})
	}
	return d
}

// shown hides references none of whose targets exist in this org.
func (s *Schema) shown(f *Field) bool {
	return f.Type != Reference || len(s.Targets(f)) > 0
}

// Targets returns the objects of this org that the reference field may point to.
func (s *Schema) Targets(f *Field) []*Object {
	var out []*Object
	for _, name := range f.References {
		if o, ok := s.Object(name); ok {
			out = append(out, o)
		}
	}
	return out
}

func (s *Schema) describeField(o *Object, f *Field, a *Access) FieldDescription {
	targets := []string{}
	for _, t := range s.Targets(f) {
		targets = append(targets, t.Name)
	}
	editable := a.Editable(o, f)
	defaulted := f.DefaultValue != nil || f.Storage == StoreBool || f.AutoNumber != "" || f.Name == "OwnerId"
	d := FieldDescription{
		Name: f.Name, Label: f.Label, Type: f.Type, SoapType: soapType(f.Type), Custom: f.Custom, NameField: f.NameField,
		Length: f.Length, ByteLength: f.Length * 3, Precision: f.Precision, Scale: f.Scale,
		Createable: f.Createable && editable && !o.ReadOnly, Updateable: f.Updateable && editable && !o.ReadOnly,
		Nillable:          !f.Required && !systemField(f) && f.Storage != StoreBool && f.AutoNumber == "" && !defaultedStandard(f),
		DefaultedOnCreate: defaulted || systemField(f), DefaultValue: nil, AutoNumber: f.AutoNumber != "",
		ExternalID: f.ExternalID, Unique: f.Unique, CaseSensitive: f.CaseSensitive,
		IDLookup:   f.ExternalID || f.Type == ID || f.Type == Email || (f.NameField && f.AutoNumber == "" && f.Text()),
		Filterable: f.Filterable(), Sortable: f.Filterable(), Groupable: f.Groupable(), Aggregatable: f.Filterable() && f.Storage != StoreBool,
		Encrypted: f.Encryption != "", RestrictedPicklist: f.Restricted, PicklistValues: f.Picklist,
		ReferenceTo: targets, RelationshipName: textOrNull(f.Relationship), CompoundFieldName: textOrNull(f.Compound),
		PolymorphicForeignKey: len(targets) > 1, NamePointing: len(targets) > 1, Permissionable: !f.Required && !systemField(f) && !f.Derived,
	}
	if f.Storage == StoreBool {
		d.DefaultValue = f.DefaultValue
	}
	if f.Type == Int {
		d.Digits, d.Precision = f.Precision, 0
	}
	if d.PicklistValues == nil {
		d.PicklistValues = []PicklistValue{}
	}
	return d
}

// defaultedStandard marks picklists that the platform itself fills, such as Task.Status: never empty, never asked for.
func defaultedStandard(f *Field) bool {
	return !f.Custom && f.Type == Picklist && f.DefaultValue != nil && (f.Name == "Status" || f.Name == "Priority")
}

func systemField(f *Field) bool { return f.Slot < record.SystemSlots }

func soapType(t Type) string {
	if s, ok := soapTypes[t]; ok {
		return s
	}
	return "xsd:string"
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
