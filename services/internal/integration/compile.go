package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Program is one version of an integration, ready to run. It never changes; safe for concurrent use.
type Program struct {
	integration *configv1.Integration
	condition   cel.Program
	contents    map[string]struct{}
	language    string
	actions     []action
}

// action is a compiled configv1.Action.
type action struct {
	spec       *configv1.Action
	path       string
	zone       *time.Location
	assignment *assignment
	trigger    configv1.Trigger
	fields     []field // in ascending order of name
	links      []*streamv1.PersonLink
	once       bool
}

// field is a compiled target field.
type field struct {
	name     string
	path     string
	limit    int
	policy   configv1.NullPolicy
	tooLong  configv1.TooLongPolicy
	volatile bool
	eval     evaluator
	// given is what is known of the value before there is one.
	given given
}

// given is what is known of a field's value at compile time.
type given struct {
	kind ValueKind
	// literal is the value of a constant text.
	literal string
	// sure is true when the value cannot be absent.
	sure bool
	// own is true for what an action sets by itself.
	own bool
}

// evaluator yields a field's value. A text it yields is clean and within limit already only when fitted is true.
type evaluator func(f *frame, limit int) (result, error)

// result is a value and what was done to it.
type result struct {
	value
	fitted  bool
	cutFrom int
}

// Compile checks an integration and makes it ready to run. The error is an *Error that holds every problem found.
// The program keeps i; it must not be changed afterwards.
func Compile(i *configv1.Integration) (*Program, error) {
	c := &compiler{}
	p := &Program{integration: i, language: i.GetLanguage(), contents: map[string]struct{}{}}
	for _, id := range i.GetContentIds() {
		p.contents[id] = struct{}{}
	}
	c.checkHead(i)
	p.condition = c.condition(i.GetCondition())
	names := map[string]bool{}
	for n, spec := range i.GetActions() {
		path := fmt.Sprintf("actions[%d]", n)
		if names[spec.GetName()] {
			c.add(path+".name", "%q occurs twice; an action's name is part of its records' keys", spec.GetName())
		}
		names[spec.GetName()] = true
		p.actions = append(p.actions, c.action(path, spec, i))
	}
	if len(c.list) > 0 {
		return nil, &Error{Integration: i.GetId(), Problems: c.list}
	}
	return p, nil
}

// Integration returns what was compiled. It must not be changed.
func (p *Program) Integration() *configv1.Integration { return p.integration }

// Applies tells whether the trigger and the content filter let this revision through, and an action is switched on. It does
// not look at the condition.
func (p *Program) Applies(e *streamv1.Engagement) bool {
	if !slices.ContainsFunc(p.actions, func(a action) bool { return !a.spec.GetDisabled() }) {
		return false
	}
	if len(p.contents) > 0 {
		if _, ok := p.contents[e.GetContent().GetContentId()]; !ok {
			return false
		}
	}
	visit := e.GetVisit()
	if !Concerns(p.integration, e) {
		return false
	}
	switch p.integration.GetTrigger() {
	case configv1.Trigger_TRIGGER_REGISTRATION:
		return true
	case configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED:
		return true
	case configv1.Trigger_TRIGGER_VISIT_CLOSED:
		return visit.GetState() == streamv1.VisitState_VISIT_STATE_CLOSED && !visit.GetWithdrawn()
	case configv1.Trigger_TRIGGER_VISIT_OPENED:
		// Any revision may be the first that gets here; the record's key makes all but one of them harmless.
		return visit != nil && !visit.GetWithdrawn()
	default:
		return false
	}
}

// Concerns reports whether an integration is about what an engagement is: registrations are no views, and views no registrations.
func Concerns(i *configv1.Integration, e *streamv1.Engagement) bool {
	return (i.GetTrigger() == configv1.Trigger_TRIGGER_REGISTRATION) == (e.GetVisit().GetRegistration() != nil)
}

// compiler collects problems while it builds.
type compiler struct{ problems }

func (c *compiler) condition(text string) cel.Program {
	if text == "" {
		return nil
	}
	ast := c.check("condition", text)
	if ast == nil {
		return nil
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		c.add("condition", "it gives %s; a condition must give a bool", ast.OutputType())
		return nil
	}
	return c.program("condition", ast)
}

// check type-checks CEL and reports its problems; nil when there are any.
func (c *compiler) check(path, text string) *cel.Ast {
	ast, found, err := compileCEL(text)
	if err != nil {
		c.addErr(path, err)
		return nil
	}
	for _, problem := range found {
		c.addErr(path, problem)
	}
	return ast
}

func (c *compiler) program(path string, ast *cel.Ast) cel.Program {
	program, err := programOf(ast)
	if err != nil {
		c.addErr(path, err)
		return nil
	}
	return program
}

func (c *compiler) action(path string, spec *configv1.Action, i *configv1.Integration) action {
	a := action{spec: spec, path: path, trigger: i.GetTrigger(), once: isOnce(spec, i.GetTrigger())}
	c.checkAction(path, spec, i.GetTrigger())
	if assign := spec.GetAssignment(); assign != nil {
		c.checkAssignment(path+".assignment", assign)
		a.assignment = newAssignment(spec, i.GetTrigger())
		a.zone = c.zone(path+".assignment.time_zone", assign.GetTimeZone())
		a.fields = a.assignment.fields(path)
	}
	for n, mapping := range spec.GetFields() {
		f := c.field(fieldPath(path, n), mapping, i.GetLanguage())
		f.fitTo(mapping, i.GetDescribedLengths()[DescribedKey(spec.GetObject(), f.name)])
		if spec.GetOperation() == configv1.ActionOperation_ACTION_OPERATION_INSERT && f.name == spec.GetMarkerField() {
			if f.limit -= MarkerRoom; f.limit < 1 {
				c.add(f.path+".max_length", "too short: the marker line needs %d characters of the field", MarkerRoom)
			}
		}
		a.fields = append(a.fields, f)
	}
	a.links = personLinks(spec, a.assignment)
	if isMembership(spec) {
		a.fields, a.links = append(a.fields, memberFields(path)...), memberLinks()
	}
	slices.SortStableFunc(a.fields, func(x, y field) int { return strings.Compare(x.name, y.name) })
	for n := 1; n < len(a.fields); n++ {
		if a.fields[n].name == a.fields[n-1].name {
			c.add(a.fields[n].path+".field", "%s is set twice, here and at %s", a.fields[n].name, a.fields[n-1].path)
		}
	}
	return a
}

// isOnce tells whether the first write of a record is its last: a record that stands for a visit and is made because
// the visit opened or closed tells of that moment, not of what came later. So does one that stands for the first visit of
// a day or of all (IMM-21), and one that makes a person: from then on the person is the org's.
func isOnce(spec *configv1.Action, trigger configv1.Trigger) bool {
	return makesPerson(spec) || spec.GetScope() == configv1.Scope_SCOPE_VISIT &&
		trigger != configv1.Trigger_TRIGGER_ENGAGEMENT_CHANGED && trigger != configv1.Trigger_TRIGGER_REGISTRATION
}

func (c *compiler) zone(path, name string) *time.Location {
	if name == "" {
		return nil
	}
	zone, err := LoadZone(name)
	if err != nil {
		c.addErr(path, err)
	}
	return zone
}
