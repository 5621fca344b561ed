package conform

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Objects are descriptions by the name that the integration uses. One that is nil is not there, or not for the user; one
// that is missing could not be asked for and is not judged.
type Objects map[string]*configv1.DescribedObject

// Report is what there is to say of an integration.
type Report struct {
	// Problems keep its records from being written, in the order of the actions and of their fields' names.
	Problems []integration.Problem
	// Notes need not be mended.
	Notes []string
}

// Used returns the objects that an integration's actions write, each once, by name; those switched off write none.
func Used(i *configv1.Integration) []string {
	var names []string
	for _, a := range i.GetActions() {
		if !a.GetDisabled() {
			names = append(names, a.GetObject())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Lengths returns the described lengths of the text fields that an integration sets, for Integration.described_lengths.
// Where an object could not be asked for, what was known stays.
func Lengths(program *integration.Program, objects Objects, known map[string]int32) map[string]int32 {
	out := map[string]int32{}
	for _, target := range program.Targets() {
		object, asked := objects[target.Object]
		for _, f := range target.Fields {
			key := integration.DescribedKey(target.Object, f.Name)
			if !asked {
				if length, ok := known[key]; ok && !f.Own {
					out[key] = length
				}
				continue
			}
			if d := field(object, f.Name); d != nil && !f.Own && cuttable[d.GetType()] && d.GetLength() > 0 {
				out[key] = d.GetLength()
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Check judges an integration by what its org was described to have.
func Check(program *integration.Program, objects Objects) Report {
	c := &checker{spec: program.Integration()}
	for _, target := range program.Targets() {
		if object, asked := objects[target.Object]; asked {
			c.target = target
			c.object(object)
		}
	}
	return c.report
}

// CheckTarget judges what is asked of one object by itself, without an integration.
func CheckTarget(target integration.Target, object *configv1.DescribedObject) Report {
	c := &checker{target: target}
	c.object(object)
	return c.report
}

// checker judges one action at a time.
type checker struct {
	spec   *configv1.Integration
	target integration.Target
	report Report
}

func (c *checker) problem(path, format string, args ...any) {
	c.report.Problems = append(c.report.Problems, integration.Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) note(path, format string, args ...any) {
	c.report.Notes = append(c.report.Notes, path+": "+fmt.Sprintf(format, args...))
}

func (c *checker) object(o *configv1.DescribedObject) {
	path := c.target.Path + ".object"
	switch {
	case o == nil:
		c.problem(path, "SF_FIELD_GONE: the org has no object %s that it lets the integration user see", c.target.Object)
		return
	case !o.GetCreateable():
		c.problem(path, "SF_NO_PERMISSION: the integration user may not create %s", named(o.GetLabel(), o.GetName()))
		return
	case c.target.Changes && !o.GetUpdateable():
		c.problem(path, "SF_NO_PERMISSION: the integration user may create but not change %s, and an upsert does both",
			named(o.GetLabel(), o.GetName()))
		return
	}
	for _, f := range c.target.Fields {
		c.field(o, f)
	}
	c.key(o)
	c.marker(o)
	c.required(o)
}

// field judges one mapping.
func (c *checker) field(o *configv1.DescribedObject, f integration.TargetField) {
	path := f.Path
	if !f.Own {
		path += ".field"
	}
	d := field(o, f.Name)
	switch {
	case d == nil:
		c.unwritable(path, "SF_FIELD_GONE: %s has no field %s that the org lets the integration user see%s", o.GetName(), f.Name, meant(o, f.Name))
		return
	case !d.GetCreateable():
		c.unwritable(path, "SF_NO_PERMISSION: the integration user may not set %s", named(d.GetLabel(), d.GetName()))
		return
	case c.target.Changes && !d.GetUpdateable():
		c.unwritable(path, "SF_NO_PERMISSION: the integration user may set %s on a new record only, and an upsert changes records, too",
			named(d.GetLabel(), d.GetName()))
		return
	}
	if f.Own {
		return
	}
	if code, why := mismatch(f, d); why != "" {
		c.problem(f.Path, "%s: %s is of type %s; %s", code, named(d.GetLabel(), d.GetName()), d.GetType(), why)
		return
	}
	c.picklist(f, d)
	c.length(f, d)
}

// unwritable is a problem, unless the integration leaves out what may not be written (XC-39).
func (c *checker) unwritable(path, format string, args ...any) {
	if c.spec.GetLeaveOutFields() {
		c.note(path, format+"; records are written without it", args...)
		return
	}
	c.problem(path, format, args...)
}

// length refuses constants that do not fit, and texts of fields that have become shorter since the integration was saved.
func (c *checker) length(f integration.TargetField, d *configv1.DescribedField) {
	if !cuttable[d.GetType()] || d.GetLength() == 0 {
		return
	}
	takes := int(d.GetLength())
	if had := integration.Units(f.Literal); had > takes && (f.MaxLength == 0 || f.MaxLength > takes) {
		c.problem(f.Path+".constant", "TYPE_MISMATCH: the text has %d characters, %s takes %d; shorten it, or say max_length to have it cut",
			had, named(d.GetLabel(), d.GetName()), takes)
		return
	}
	was := int(c.spec.GetDescribedLengths()[integration.DescribedKey(c.target.Object, f.Name)])
	if was > takes && f.Kind != integration.ValueNumber && f.Kind != integration.ValueFlag && (f.MaxLength == 0 || f.MaxLength > takes) {
		c.problem(f.Path, "TYPE_MISMATCH: %s takes %d characters now, and took %d when the integration was saved; say max_length: %d to have texts cut to that",
			named(d.GetLabel(), d.GetName()), takes, was, takes)
	}
}

// picklist refuses a constant that is no active value of a restricted picklist.
func (c *checker) picklist(f integration.TargetField, d *configv1.DescribedField) {
	if f.Literal == "" || (d.GetType() != typePicklist && d.GetType() != typeMultiPicklist) {
		return
	}
	values := []string{f.Literal}
	if d.GetType() == typeMultiPicklist {
		values = strings.Split(f.Literal, ";")
	}
	for _, value := range values {
		known := slices.ContainsFunc(d.GetPicklist(), func(p *configv1.PicklistChoice) bool {
			return strings.EqualFold(p.GetValue(), strings.TrimSpace(value))
		})
		switch {
		case known:
		case d.GetRestrictedPicklist():
			c.problem(f.Path+".constant", "TYPE_MISMATCH: %s has no active value %q; it has %s",
				named(d.GetLabel(), d.GetName()), value, choices(d))
		default:
			c.note(f.Path+".constant", "%s has no active value %q; the org takes it all the same", named(d.GetLabel(), d.GetName()), value)
		}
	}
}

// key judges the field by which an upsert finds its record.
func (c *checker) key(o *configv1.DescribedObject) {
	if c.target.ExternalIDField == "" {
		return
	}
	path := c.target.Path + ".external_id_field"
	d := field(o, c.target.ExternalIDField)
	switch {
	case d == nil:
		c.problem(path, "SF_FIELD_GONE: %s has no field %s that the org lets the integration user see%s",
			o.GetName(), c.target.ExternalIDField, meant(o, c.target.ExternalIDField))
	case !d.GetExternalId():
		c.problem(path, "MAPPING_INVALID: %s is no external id; tick External ID in its definition, or use another field",
			named(d.GetLabel(), d.GetName()))
	case !d.GetCreateable():
		c.problem(path, "SF_NO_PERMISSION: the integration user may not set %s", named(d.GetLabel(), d.GetName()))
	case d.GetEncrypted() && !d.GetFilterable():
		c.problem(path, "FIELD_ENCRYPTED_PROBABILISTIC: %s is encrypted so that no record can be found by it; encrypt it deterministically",
			named(d.GetLabel(), d.GetName()))
	case !textual[d.GetType()] || d.GetLength() < ids.Length:
		c.problem(path, "TYPE_MISMATCH: %s cannot hold our keys, which are texts of %d characters", named(d.GetLabel(), d.GetName()), ids.Length)
	case !d.GetUnique():
		c.note(path, "%s is not unique; once two records have the same value, writes to them fail with KEY_AMBIGUOUS",
			named(d.GetLabel(), d.GetName()))
	}
}

// marker judges the field that takes the marker line of an insert.
func (c *checker) marker(o *configv1.DescribedObject) {
	if c.target.MarkerField == "" {
		return
	}
	path := c.target.Path + ".marker_field"
	d := field(o, c.target.MarkerField)
	switch {
	case d == nil:
		c.problem(path, "SF_FIELD_GONE: %s has no field %s that the org lets the integration user see%s",
			o.GetName(), c.target.MarkerField, meant(o, c.target.MarkerField))
	case !d.GetCreateable():
		c.problem(path, "SF_NO_PERMISSION: the integration user may not set %s", named(d.GetLabel(), d.GetName()))
	case !lineTypes[d.GetType()] || int(d.GetLength()) < c.target.MarkerRoom:
		c.problem(path, "TYPE_MISMATCH: %s cannot take the marker line, a text of up to %d characters",
			named(d.GetLabel(), d.GetName()), c.target.MarkerRoom)
	}
}

// namedByPerson reports whether a field is the name of an account that is a person: Salesforce makes it of the last and first name,
// and refuses one that is given (XC-41).
func (c *checker) namedByPerson(o *configv1.DescribedObject, d *configv1.DescribedField) bool {
	return o.GetName() == "Account" && d.GetName() == "Name" && field(o, "IsPersonAccount") != nil &&
		slices.ContainsFunc(c.target.Fields, func(f integration.TargetField) bool { return strings.EqualFold(f.Name, "LastName") })
}

// required names what a new record needs and does not get. Source of the rule: SOAP API Developer Guide,
// "DescribeSObjectResult", createable, nillable and defaultedOnCreate.
func (c *checker) required(o *configv1.DescribedObject) {
	for _, d := range o.GetFields() {
		if !d.GetCreateable() || d.GetNillable() || d.GetDefaultedOnCreate() || d.GetType() == typeBoolean {
			continue
		}
		if strings.EqualFold(d.GetName(), c.target.ExternalIDField) || strings.EqualFold(d.GetName(), c.target.MarkerField) || c.namedByPerson(o, d) {
			continue
		}
		at := slices.IndexFunc(c.target.Fields, func(f integration.TargetField) bool { return strings.EqualFold(f.Name, d.GetName()) })
		switch {
		case at < 0:
			c.problem(c.target.Path+".fields", "REQUIRED_FIELD_MISSING: a new %s needs %s; map it", o.GetName(), named(d.GetLabel(), d.GetName()))
		case !c.target.Fields[at].Sure && !c.target.Fields[at].Own:
			c.note(c.target.Fields[at].Path, "a new %s needs %s, and the mapping may give nothing; the org then refuses the record",
				o.GetName(), named(d.GetLabel(), d.GetName()))
		}
	}
}

// field finds a field; API names are the same without regard to case.
func field(o *configv1.DescribedObject, name string) *configv1.DescribedField {
	for _, f := range o.GetFields() {
		if strings.EqualFold(f.GetName(), name) {
			return f
		}
	}
	return nil
}

// named gives people both names: “Due Date Only” (ActivityDate).
func named(label, name string) string {
	if label == "" || label == name {
		return name
	}
	return fmt.Sprintf("%q (%s)", label, name)
}

// maxChoices bounds how many picklist values an error names.
const maxChoices = 20

func choices(d *configv1.DescribedField) string {
	var names []string
	for _, p := range d.GetPicklist() {
		if len(names) == maxChoices {
			return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(d.GetPicklist())-maxChoices)
		}
		names = append(names, fmt.Sprintf("%q", p.GetValue()))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
