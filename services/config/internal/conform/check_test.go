package conform_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// row is the object that the tests write.
func row() *configv1.DescribedObject {
	open := func(name, kind string, length int32) *configv1.DescribedField {
		return &configv1.DescribedField{
			Name: name, Label: "The " + name, Type: kind, Length: length, Createable: true, Updateable: true, Nillable: true, Filterable: true,
		}
	}
	key := open("Key__c", "string", 64)
	key.ExternalId, key.Unique = true, true
	stage := open("Stage__c", "picklist", 255)
	stage.RestrictedPicklist = true
	stage.Picklist = []*configv1.PicklistChoice{{Value: "Open"}, {Value: "Closed"}}
	loose := proto.CloneOf(stage)
	loose.Name, loose.RestrictedPicklist = "Loose__c", false
	tags := proto.CloneOf(stage)
	tags.Name, tags.Type = "Tags__c", "multipicklist"
	return &configv1.DescribedObject{
		Name: "Row__c", Label: "Row", Createable: true, Updateable: true,
		Fields: []*configv1.DescribedField{
			key, stage, loose, tags,
			open("Text__c", "string", 80), open("Long__c", "textarea", 32000), open("Number__c", "double", 0), open("Count__c", "int", 0),
			open("Flag__c", "boolean", 0), open("Day__c", "date", 0), open("At__c", "datetime", 0), open("Time__c", "time", 0),
			open("Lead__c", "reference", 18), open("Place__c", "location", 0), open("New__c", "hologram", 0),
		},
	}
}

// fieldOf returns a field to change.
func fieldOf(o *configv1.DescribedObject, name string) *configv1.DescribedField {
	for _, f := range o.GetFields() {
		if f.GetName() == name {
			return f
		}
	}
	panic(name)
}

func rule(fields ...*configv1.FieldMapping) *configv1.Integration {
	return &configv1.Integration{
		Workspace: "acme", Id: "rule", Connection: "main", Trigger: configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED,
		Actions: []*configv1.Action{{
			Name: "row", Object: "Row__c", Operation: configv1.ActionOperation_ACTION_OPERATION_UPSERT,
			ExternalIdField: "Key__c", Scope: configv1.Scope_SCOPE_ENGAGEMENT, Fields: fields,
		}},
	}
}

func inserting(fields ...*configv1.FieldMapping) *configv1.Integration {
	i := rule(fields...)
	i.Trigger = configv1.Trigger_TRIGGER_VISIT_CLOSED
	a := i.Actions[0]
	a.Operation, a.Scope = configv1.ActionOperation_ACTION_OPERATION_INSERT, configv1.Scope_SCOPE_VISIT
	a.ExternalIdField, a.MarkerField = "", "Long__c"
	return i
}

func path(field, p string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Path{Path: p}}
}

func expression(field, e string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Expression{Expression: e}}
}

func constant(field, text string) *configv1.FieldMapping {
	return &configv1.FieldMapping{Field: field, Source: &configv1.FieldMapping_Constant{
		Constant: &configv1.Constant{Value: &configv1.Constant_Text{Text: text}},
	}}
}

func compiled(t *testing.T, i *configv1.Integration) *integration.Program {
	t.Helper()
	program, err := integration.Compile(i)
	require.NoError(t, err)
	return program
}

// judge returns problems as "path: message".
func judge(t *testing.T, i *configv1.Integration, o *configv1.DescribedObject) (problems, notes []string) {
	t.Helper()
	report := conform.Check(compiled(t, i), conform.Objects{"Row__c": o})
	for _, p := range report.Problems {
		problems = append(problems, p.String())
	}
	return problems, report.Notes
}

func TestAnIntegrationThatFitsHasNoProblems(t *testing.T) {
	t.Parallel()
	for _, i := range []*configv1.Integration{rule(constant("Text__c", "Hello")), inserting(constant("text__C", "Hello"))} {
		problems, notes := judge(t, i, row())
		require.Empty(t, problems)
		require.Empty(t, notes)
	}
}

func TestWhatCouldNotBeAskedForIsNotJudged(t *testing.T) {
	t.Parallel()
	report := conform.Check(compiled(t, rule(constant("Nowhere__c", "x"))), conform.Objects{"Other__c": nil})
	require.Empty(t, report)
}

func TestValuesMustSuitTheTypeOfTheirField(t *testing.T) {
	t.Parallel()
	const views, title, at, seen = "engagement.views", "content.title", "visit.last_activity_at", "visit.counts_as_view"
	takes := map[string][]string{
		"Text__c": {title, at}, "Long__c": {title, at}, "Stage__c": {title, at}, "Lead__c": {title, at},
		"Number__c": {views}, "Count__c": {views}, "Flag__c": {seen}, "Day__c": {title}, "At__c": {title, at}, "Time__c": {title},
		"New__c": {views, title, at, seen},
	}
	for field, good := range takes {
		for _, source := range []string{views, title, at, seen} {
			problems, _ := judge(t, rule(path(field, source)), row())
			fits := false
			for _, g := range good {
				fits = fits || g == source
			}
			if fits {
				require.Empty(t, problems, "%s into %s", source, field)
				continue
			}
			require.Len(t, problems, 1, "%s into %s", source, field)
			require.Regexp(t, `^actions\[0\]\.fields\[0\]: TYPE_MISMATCH: "The `+field+`" \(`+field+`\) is of type `, problems[0])
		}
	}
}

func TestProblemsNameTheFieldAndTheReason(t *testing.T) {
	t.Parallel()
	change := func(name string, f func(*configv1.DescribedField)) func(*configv1.DescribedObject) {
		return func(o *configv1.DescribedObject) { f(fieldOf(o, name)) }
	}
	none := func(*configv1.DescribedObject) {}
	short := constant("Text__c", strings.Repeat("資", 81))
	cut := proto.CloneOf(short)
	cut.MaxLength = 80
	for name, c := range map[string]struct {
		rule *configv1.Integration
		org  func(*configv1.DescribedObject)
		want string // of the only problem; "" for none
	}{
		"unknown field":   {rule(constant("Nowhere__c", "x")), none, "actions[0].fields[0].field: SF_FIELD_GONE: Row__c has no field Nowhere__c"},
		"no right to set": {rule(constant("Text__c", "x")), change("Text__c", func(f *configv1.DescribedField) { f.Createable = false }), "actions[0].fields[0].field: SF_NO_PERMISSION: the integration user may not set"},
		"no right to change": {
			rule(constant("Text__c", "x")), change("Text__c", func(f *configv1.DescribedField) { f.Updateable = false }),
			"actions[0].fields[0].field: SF_NO_PERMISSION: the integration user may set",
		},
		"never changed":     {inserting(constant("Text__c", "x")), change("Text__c", func(f *configv1.DescribedField) { f.Updateable = false }), ""},
		"no object right":   {rule(constant("Text__c", "x")), func(o *configv1.DescribedObject) { o.Createable = false }, "actions[0].object: SF_NO_PERMISSION: the integration user may not create"},
		"no change right":   {rule(constant("Text__c", "x")), func(o *configv1.DescribedObject) { o.Updateable = false }, "actions[0].object: SF_NO_PERMISSION: the integration user may create but not change"},
		"unsupported type":  {rule(constant("Place__c", "x")), none, "actions[0].fields[0]: UNSUPPORTED_FIELD_TYPE"},
		"CEL type":          {rule(expression("Number__c", "content.title")), none, "actions[0].fields[0]: TYPE_MISMATCH: \"The Number__c\" (Number__c) is of type double; the mapping gives a text"},
		"CEL type at run":   {rule(expression("Number__c", "dyn(content.title)")), none, ""},
		"constant number":   {rule(constant("Number__c", "-1.5")), none, ""},
		"constant flag":     {rule(constant("Flag__c", "TRUE")), none, ""},
		"constant day":      {rule(constant("Day__c", "2026-03-01")), none, ""},
		"constant no day":   {rule(constant("Day__c", "tomorrow")), none, "actions[0].fields[0]: TYPE_MISMATCH"},
		"constant time":     {rule(constant("At__c", "2026-03-01T09:00:00.000+0900")), none, ""},
		"too long constant": {rule(short), none, "actions[0].fields[0].constant: TYPE_MISMATCH: the text has 81 characters, \"The Text__c\" (Text__c) takes 80"},
		"cut on purpose":    {rule(cut), none, ""},
		"picklist":          {rule(constant("Stage__c", "Won")), none, `actions[0].fields[0].constant: TYPE_MISMATCH: "The Stage__c" (Stage__c) has no active value "Won"; it has "Open", "Closed"`},
		"picklist known":    {rule(constant("Stage__c", "closed")), none, ""},
		"multi picklist":    {rule(constant("Tags__c", "Open;Won")), none, "actions[0].fields[0].constant: TYPE_MISMATCH"},
		"multi known":       {rule(constant("Tags__c", "Open; Closed")), none, ""},
		"loose picklist":    {rule(constant("Loose__c", "Won")), none, ""},
		"required":          {rule(constant("Text__c", "x")), change("Count__c", func(f *configv1.DescribedField) { f.Nillable = false }), `actions[0].fields: REQUIRED_FIELD_MISSING: a new Row__c needs "The Count__c" (Count__c)`},
		"required, set":     {rule(constant("Text__c", "x")), change("Text__c", func(f *configv1.DescribedField) { f.Nillable = false }), ""},
		"required, default": {rule(constant("Text__c", "x")), change("Count__c", func(f *configv1.DescribedField) { f.Nillable, f.DefaultedOnCreate = false, true }), ""},
		"required checkbox": {rule(constant("Text__c", "x")), change("Flag__c", func(f *configv1.DescribedField) { f.Nillable = false }), ""},
		"key gone":          {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.Name = "Other__c" }), "actions[0].external_id_field: SF_FIELD_GONE"},
		"key is no key":     {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.ExternalId = false }), "actions[0].external_id_field: MAPPING_INVALID"},
		"key read-only":     {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.Createable = false }), "actions[0].external_id_field: SF_NO_PERMISSION"},
		"key encrypted":     {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.Encrypted, f.Filterable = true, false }), "actions[0].external_id_field: FIELD_ENCRYPTED_PROBABILISTIC"},
		"key deterministic": {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.Encrypted = true }), ""},
		"key too short":     {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.Length = 18 }), "actions[0].external_id_field: TYPE_MISMATCH"},
		"key a number":      {rule(constant("Text__c", "x")), change("Key__c", func(f *configv1.DescribedField) { f.Type = "double" }), "actions[0].external_id_field: TYPE_MISMATCH"},
		"marker gone":       {inserting(constant("Text__c", "x")), change("Long__c", func(f *configv1.DescribedField) { f.Name = "Other__c" }), "actions[0].marker_field: SF_FIELD_GONE"},
		"marker read-only":  {inserting(constant("Text__c", "x")), change("Long__c", func(f *configv1.DescribedField) { f.Createable = false }), "actions[0].marker_field: SF_NO_PERMISSION"},
		"marker too short":  {inserting(constant("Text__c", "x")), change("Long__c", func(f *configv1.DescribedField) { f.Length = 40 }), "actions[0].marker_field: TYPE_MISMATCH"},
	} {
		o := row()
		c.org(o)
		problems, _ := judge(t, c.rule, o)
		if c.want == "" {
			require.Empty(t, problems, name)
			continue
		}
		require.Len(t, problems, 1, "%s: %v", name, problems)
		require.True(t, strings.HasPrefix(problems[0], c.want), "%s: %s", name, problems[0])
	}

	problems, _ := judge(t, rule(constant("Text__c", "x")), nil)
	require.Equal(t, []string{"actions[0].object: SF_FIELD_GONE: the org has no object Row__c that it lets the integration user see"}, problems)
}

func TestFieldsThatMayBeLeftOutAreNotes(t *testing.T) {
	t.Parallel()
	i := rule(constant("Nowhere__c", "x"), constant("Text__c", "x"), constant("Stage__c", "Won"))
	i.LeaveOutFields = true
	o := row()
	fieldOf(o, "Text__c").Updateable = false
	problems, notes := judge(t, i, o)
	require.Len(t, problems, 1, "a bad value is a problem all the same")
	require.Len(t, notes, 2)
	require.Contains(t, notes[0], "records are written without it")
}

func TestNotesTellWhatMayGoWrong(t *testing.T) {
	t.Parallel()
	o := row()
	fieldOf(o, "Text__c").Nillable, fieldOf(o, "Key__c").Unique = false, false
	problems, notes := judge(t, rule(path("Text__c", "content.title"), constant("Loose__c", "Won")), o)
	require.Empty(t, problems)
	require.Len(t, notes, 3)
	require.Contains(t, notes[0], `no active value "Won"`)
	require.Contains(t, notes[1], "KEY_AMBIGUOUS")
	require.Contains(t, notes[2], "the mapping may give nothing")
}

func TestTheLengthsOfTextFieldsAreKeptWithTheIntegration(t *testing.T) {
	t.Parallel()
	program := compiled(t, rule(path("Text__c", "content.title"), path("Long__c", "content.title"), path("Stage__c", "content.title"),
		path("Number__c", "engagement.views"), path("Nowhere__c", "content.title")))
	lengths := conform.Lengths(program, conform.Objects{"Row__c": row()}, nil)
	require.Equal(t, map[string]int32{"Row__c.Text__c": 80, "Row__c.Long__c": 32000}, lengths)
	known := map[string]int32{"Row__c.Text__c": 40, "Row__c.Forgotten__c": 7}
	require.Equal(t, map[string]int32{"Row__c.Text__c": 40}, conform.Lengths(program, nil, known), "an org that cannot be asked changes nothing")
	require.Nil(t, conform.Lengths(program, conform.Objects{"Row__c": nil}, known))
}

func TestAFieldThatBecameShorterBreaksWhatWasSavedBefore(t *testing.T) {
	t.Parallel()
	i := rule(path("Text__c", "content.title"))
	i.DescribedLengths = map[string]int32{"Row__c.Text__c": 255}
	problems, _ := judge(t, i, row())
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], "takes 80 characters now, and took 255 when the integration was saved")
	i.Actions[0].Fields[0].MaxLength = 80
	problems, _ = judge(t, i, row())
	require.Empty(t, problems, "nothing longer is ever written")
}

func TestManyPicklistValuesAreNotAllNamed(t *testing.T) {
	t.Parallel()
	o := row()
	for n := range 500 {
		fieldOf(o, "Stage__c").Picklist = append(fieldOf(o, "Stage__c").Picklist, &configv1.PicklistChoice{Value: fmt.Sprintf("V%d", n)})
	}
	problems, _ := judge(t, rule(constant("Stage__c", "Won")), o)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], "and 482 more")
	require.Less(t, len(problems[0]), 600)
}

func TestANameThatIsAlikeIsSuggested(t *testing.T) {
	t.Parallel()
	o := row()
	fieldOf(o, "Flag__c").Label = "Opted out"
	fieldOf(o, "Day__c").Name = "acme__Due_Day__c"
	fieldOf(o, "Time__c").Createable = false
	for name, want := range map[string]string{
		"Txet__c": "Text__c", "Text": "Text__c", "text_c": "Text__c", "Opted_Out__c": "Flag__c", "DueDay__c": "acme__Due_Day__c",
		"Weather__c": "", "Tine__c": "", "X": "",
	} {
		problems, _ := judge(t, rule(constant(name, "x")), o)
		require.Len(t, problems, 1, name)
		if want == "" {
			require.NotContains(t, problems[0], "did you mean", name)
			continue
		}
		require.Contains(t, problems[0], "; did you mean "+want+"?", name)
	}
}

// An account that is a person is named by Salesforce, of its last and first name.
func TestAPersonAccountNeedsNoName(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-41")
	account := row()
	account.Name = "Account"
	name, last := proto.CloneOf(fieldOf(account, "Text__c")), proto.CloneOf(fieldOf(account, "Text__c"))
	name.Name, name.Nillable, last.Name = "Name", false, "LastName"
	person := proto.CloneOf(fieldOf(account, "Flag__c"))
	person.Name = "IsPersonAccount"
	account.Fields = append(account.Fields, name, last)
	check := func(fields ...*configv1.FieldMapping) (problems []string) {
		i := rule(fields...)
		i.Actions[0].Object = "Account"
		for _, p := range conform.Check(compiled(t, i), conform.Objects{"Account": account}).Problems {
			problems = append(problems, p.String())
		}
		return problems
	}
	require.NotEmpty(t, check(constant("LastName", "Sato")), "the org has no person accounts")
	account.Fields = append(account.Fields, person)
	require.Empty(t, check(constant("LastName", "Sato")))
	require.NotEmpty(t, check(constant("Text__c", "x")), "a business needs a name")
}
