package org

import (
	"fmt"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/dml"
	"github.com/throughline-dev/throughline/services/simulator/internal/query"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// buildSchema puts together the standard objects, the package and what the scenario adds.
func buildSchema(spec *scenario.Org) (*schema.Schema, error) {
	standard, err := schema.Standard()
	if err != nil {
		return nil, err
	}
	specs := []schema.Spec{standard}
	if spec.PersonAccounts {
		persons, err := schema.Persons()
		if err != nil {
			return nil, err
		}
		specs = append(specs, persons)
	}
	if spec.DataPrivacy {
		individuals, err := schema.Individuals()
		if err != nil {
			return nil, err
		}
		specs = append(specs, individuals)
	}
	if spec.Package {
		pkg, err := schema.Package(spec.PackageVersion)
		if err != nil {
			return nil, err
		}
		specs = append(specs, pkg)
	}
	specs = append(specs, schema.Spec{Objects: spec.Objects})
	if err := adjustFields(specs, spec); err != nil {
		return nil, err
	}
	return schema.Build(specs...)
}

// adjustFields applies picklist values and encryption to the declarations.
func adjustFields(specs []schema.Spec, spec *scenario.Org) error {
	for name, values := range spec.Picklists {
		f, err := findField(specs, name)
		if err != nil {
			return fmt.Errorf("picklists: %w", err)
		}
		f.Values = values
	}
	for name, scheme := range spec.Encrypted {
		f, err := findField(specs, name)
		if err != nil {
			return fmt.Errorf("encrypted: %w", err)
		}
		f.Encryption = scheme
	}
	return nil
}

func findField(specs []schema.Spec, name string) (*schema.FieldSpec, error) {
	object, field, _ := strings.Cut(name, ".")
	for i := len(specs) - 1; i >= 0; i-- {
		for j := range specs[i].Objects {
			o := &specs[i].Objects[j]
			for k := range o.Fields {
				if strings.EqualFold(o.Name, object) && strings.EqualFold(o.Fields[k].Name, field) {
					return &o.Fields[k], nil
				}
			}
		}
	}
	return nil, fmt.Errorf("there is no field %s", name)
}

func (o *Org) buildRules(spec *scenario.Org) (*dml.Rules, error) {
	rules := &dml.Rules{Language: spec.Language, TaskQueues: spec.TaskQueues}
	for i, v := range spec.ValidationRules {
		env := &query.Env{Schema: o.Schema, Data: o, Zone: o.Zone}
		holds, err := env.Condition(v.Object, v.When, o.clock.Now)
		if err != nil {
			return nil, fmt.Errorf("validation_rules[%d].when: %w", i, err)
		}
		rules.Validation = append(rules.Validation, dml.ValidationRule{Object: v.Object, Holds: holds, Message: v.Message, Field: v.Field})
	}
	for _, d := range spec.DuplicateRules {
		rules.Duplicates = append(rules.Duplicates, dml.DuplicateRule{
			Name: d.Name, Object: d.Object, Fields: d.Fields, Block: d.Mode == "block", Message: d.Message,
		})
	}
	return rules, nil
}

// SetValidation replaces the validation rules, as an administrator would, from the next transaction on. It lasts as long as
// this Org does: one that is loaded anew has the rules of its scenario.
func (o *Org) SetValidation(validation []scenario.ValidationRule) error {
	spec := o.Spec
	spec.ValidationRules = validation
	rules, err := o.buildRules(&spec)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rules = rules
	return nil
}
