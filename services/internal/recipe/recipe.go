package recipe

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

//go:embed recipes/*.yaml
var files embed.FS

// Recipe describes a ready-made integration.
type Recipe struct {
	// Name is what Build takes.
	Name string
	// Title and Description are for people, by language (ja, en).
	Title, Description map[string]string
	// Parameters names the fields of Params that this recipe heeds besides those that every recipe does, in snake case.
	Parameters []string
	// NeedsPackage is true when the recipe writes objects that only the Throughline package has.
	NeedsPackage bool

	base        *configv1.Integration
	withPackage *configv1.Action
}

// document is the shape of a recipe file.
type document struct {
	Name         string            `json:"name"`
	Title        map[string]string `json:"title"`
	Description  map[string]string `json:"description"`
	Parameters   []string          `json:"parameters"`
	NeedsPackage bool              `json:"needs_package"`
	Integration  json.RawMessage   `json:"integration"`
	// WithPackage changes every action when the package is installed: what it sets replaces, its fields are added.
	WithPackage json.RawMessage `json:"with_package"`
}

// load reads the embedded files once, sorted by name.
var load = sync.OnceValues(func() ([]Recipe, error) {
	names, err := fs.Glob(files, "recipes/*.yaml")
	if err != nil {
		return nil, err
	}
	var recipes []Recipe
	for _, name := range names {
		raw, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("recipe file %s: %w", name, err)
		}
		recipes = append(recipes, r)
	}
	slices.SortFunc(recipes, func(a, b Recipe) int { return strings.Compare(a.Name, b.Name) })
	return recipes, nil
})

// parse reads one recipe file; an unknown key is an error.
func parse(raw []byte) (Recipe, error) {
	var d document
	if err := yaml.UnmarshalStrict(raw, &d); err != nil {
		return Recipe{}, err
	}
	r := Recipe{
		Name: d.Name, Title: d.Title, Description: d.Description, Parameters: d.Parameters, NeedsPackage: d.NeedsPackage,
		base: &configv1.Integration{},
	}
	if err := protojson.Unmarshal(d.Integration, r.base); err != nil {
		return Recipe{}, fmt.Errorf("integration: %w", err)
	}
	if len(d.WithPackage) > 0 {
		r.withPackage = &configv1.Action{}
		if err := protojson.Unmarshal(d.WithPackage, r.withPackage); err != nil {
			return Recipe{}, fmt.Errorf("with_package: %w", err)
		}
	}
	return r, nil
}

// List returns every recipe, by name.
func List() []Recipe {
	recipes, err := load()
	if err != nil {
		// The files are part of the program and a test reads them all.
		panic(err)
	}
	return slices.Clone(recipes)
}

// Params is what a workspace chooses. Parse reads it from JSON.
type Params struct {
	// Workspace, ID and Connection are required; ID must be unique within the workspace.
	Workspace  string `json:"workspace"`
	ID         string `json:"id"`
	Connection string `json:"connection"`
	// Name defaults to the recipe's title in Language.
	Name string `json:"name"`
	// Language fixes the language of generated texts: ja or en. Empty: the reader's, else the workspace's (XC-34).
	Language string `json:"language"`
	// PackageInstalled says that the org has Throughline's objects and external id fields.
	PackageInstalled bool `json:"package_installed"`
	// ContentIDs limits the integration to some contents; empty: all.
	ContentIDs []string `json:"content_ids"`
	// Condition is a further condition in CEL; it must hold besides the recipe's own.
	Condition string `json:"condition"`

	// Assignees is the chain of owners of a task; empty: the owner of the matched record (IMM-27 to IMM-29).
	Assignees []configv1.Assignee `json:"-"`
	// FixedUser is the id of the user that a fixed user in the chain stands for (IMM-29).
	FixedUser string `json:"fixed_user"`
	// RequireAssignee makes no task that would belong to the integration user (IMM-34).
	RequireAssignee bool `json:"require_assignee"`
	// UnknownViewers tells the document's owner about viewers without an address too (IMM-36).
	UnknownViewers bool `json:"unknown_viewers"`
	// QueuesAllowed lets queues own tasks (IMM-30).
	QueuesAllowed bool `json:"queues_allowed"`
	// TimeZone decides the day a task is due (IANA); empty: the workspace's, else the org's (IMM-25).
	TimeZone string `json:"time_zone"`
	// ZoneRule says whose zone that is instead: org, assignee or fixed. With assignee, TimeZone stands in for a zone that is
	// not known.
	ZoneRule ZoneRule `json:"zone_rule"`
	// Texts replaces the text of fields, by field and language (ja, en), e.g. that of Subject and Description (IMM-22). A
	// language that is left out keeps the recipe's.
	Texts map[string]map[string]string `json:"texts"`
	// Constants sets further fields to fixed values, by field: texts, numbers, booleans. So a task gets what the org
	// demands, or a record type (IMM-20).
	Constants map[string]any `json:"constants"`
	// Repeat says how often one person's visits to one document make a task; empty: EveryVisit.
	Repeat Repeat `json:"repeat"`
	// CampaignID is the campaign that viewers become members of, 18 characters from 701 (IMM-38).
	CampaignID string `json:"campaign_id"`
	// MemberStatus is the label of one of its member statuses, at most 40 characters; empty: the campaign's default (IMM-40).
	MemberStatus string `json:"member_status"`
	// RaiseStatus gives it to those too who are members already, unless that would lower theirs (IMM-39).
	RaiseStatus bool `json:"raise_status"`
}

// Repeat says how often a task is made.
type Repeat string

const (
	// EveryVisit makes one task per visit.
	EveryVisit Repeat = "every_visit"
	// OncePerDay makes one task per person, document and day.
	OncePerDay Repeat = "once_per_day"
	// OnceEver makes one task per person and document.
	OnceEver Repeat = "once_ever"
)

// repeats are the settings that stand for each Repeat. The default leaves the setting as the recipe has it.
var repeats = map[Repeat]configv1.Repeat{
	"": configv1.Repeat_REPEAT_UNSPECIFIED, EveryVisit: configv1.Repeat_REPEAT_EVERY_VISIT,
	OncePerDay: configv1.Repeat_REPEAT_ONCE_PER_DAY, OnceEver: configv1.Repeat_REPEAT_ONCE_EVER,
}

// ZoneRule says whose zone decides days.
type ZoneRule string

const (
	// OrgZone is the org's default zone.
	OrgZone ZoneRule = "org"
	// AssigneeZone is that of the user who owns the task.
	AssigneeZone ZoneRule = "assignee"
	// FixedZone is the one that TimeZone names.
	FixedZone ZoneRule = "fixed"
)

// zoneRules are the settings that stand for each ZoneRule.
var zoneRules = map[ZoneRule]configv1.ZoneRule{
	"": configv1.ZoneRule_ZONE_RULE_UNSPECIFIED, OrgZone: configv1.ZoneRule_ZONE_RULE_ORG,
	AssigneeZone: configv1.ZoneRule_ZONE_RULE_ASSIGNEE, FixedZone: configv1.ZoneRule_ZONE_RULE_FIXED,
}

// Validate reports what is missing or out of range, by name.
func (p Params) Validate() error {
	var errs []error
	for _, needed := range [][2]string{{"workspace", p.Workspace}, {"id", p.ID}, {"connection", p.Connection}} {
		if needed[1] == "" {
			errs = append(errs, fmt.Errorf("%s is missing", needed[0]))
		}
	}
	if !slices.Contains([]string{"", "ja", "en"}, p.Language) {
		errs = append(errs, fmt.Errorf("language: %q is not ja or en", p.Language))
	}
	if _, ok := repeats[p.Repeat]; !ok {
		errs = append(errs, fmt.Errorf("repeat: %q is not %s, %s or %s", p.Repeat, EveryVisit, OncePerDay, OnceEver))
	}
	if _, ok := zoneRules[p.ZoneRule]; !ok {
		errs = append(errs, fmt.Errorf("zone_rule: %q is not %s, %s or %s", p.ZoneRule, OrgZone, AssigneeZone, FixedZone))
	}
	if len([]rune(p.MemberStatus)) > maxStatus {
		errs = append(errs, fmt.Errorf("member_status: at most %d characters", maxStatus))
	}
	if p.RaiseStatus && p.MemberStatus == "" {
		errs = append(errs, errors.New("raise_status: needs member_status, the status to raise to"))
	}
	for _, field := range slices.Sorted(maps.Keys(p.Constants)) {
		if constant(p.Constants[field]) == nil {
			errs = append(errs, fmt.Errorf("constants: %s must be a text, a number, true or false", field))
		}
	}
	return errors.Join(errs...)
}

// maxStatus is the length of CampaignMember.Status (Object Reference, "CampaignMember").
const maxStatus = 40

// Build returns the integration of a recipe, enabled, with version 0: ready to be saved. It does not compile it; the
// save does. Errors name the recipe and the parameter.
func Build(name string, p Params) (*configv1.Integration, error) {
	all := List()
	at := slices.IndexFunc(all, func(r Recipe) bool { return r.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("no recipe is named %q", name)
	}
	r := all[at]
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", name, err)
	}
	if r.NeedsPackage && !p.PackageInstalled {
		return nil, fmt.Errorf("recipe %s: it writes package objects; install the Throughline package in the org of connection %s first",
			name, p.Connection)
	}
	if err := r.checkTexts(p); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", name, err)
	}
	return r.build(p), nil
}

func (r *Recipe) build(p Params) *configv1.Integration {
	i := proto.CloneOf(r.base)
	i.Workspace, i.Id, i.Connection, i.Name = p.Workspace, p.ID, p.Connection, p.Name
	i.Enabled, i.Recipe, i.Language, i.ContentIds = true, r.Name, p.Language, slices.Clone(p.ContentIDs)
	if i.GetName() == "" {
		if i.Name = r.Title[p.Language]; i.GetName() == "" {
			i.Name = r.Title["en"]
		}
	}
	if p.Condition != "" {
		i.Condition = "(" + i.GetCondition() + ") && (" + p.Condition + ")"
	}
	for _, a := range i.GetActions() {
		if a.GetAssignment() != nil {
			assign(a.GetAssignment(), p)
		}
		if slices.Contains(r.Parameters, "repeat") {
			a.Repeat = repeats[p.Repeat]
		}
		if p.PackageInstalled {
			usePackage(a, r.withPackage)
		}
		if slices.Contains(r.Parameters, "campaign_id") {
			join(a, p)
		}
		fill(a, p)
	}
	return i
}

// join names the campaign and the member's status.
func join(a *configv1.Action, p Params) {
	a.RaiseStatus = p.RaiseStatus
	for field, value := range map[string]string{"CampaignId": p.CampaignID, "Status": p.MemberStatus} {
		if value != "" {
			a.Fields = append(a.Fields, &configv1.FieldMapping{
				Field: field, MaxLength: int32(len(value)), Source: &configv1.FieldMapping_Constant{Constant: constant(value)},
			})
		}
	}
}

// usePackage applies with_package to an action.
func usePackage(a, change *configv1.Action) {
	if change == nil {
		return
	}
	proto.Merge(a, change)
	if a.GetExternalIdField() != "" {
		a.MarkerField = ""
	}
}

func assign(a *configv1.Assignment, p Params) {
	if len(p.Assignees) > 0 {
		a.Chain = slices.Clone(p.Assignees)
	}
	a.RequireAssignee, a.UnknownViewers = p.RequireAssignee, p.UnknownViewers
	a.QueuesAllowed, a.TimeZone = p.QueuesAllowed, p.TimeZone
	a.FixedUserId, a.ZoneRule = p.FixedUser, zoneRules[p.ZoneRule]
}
