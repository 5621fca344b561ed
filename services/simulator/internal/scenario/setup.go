package scenario

import (
	"fmt"
	"slices"
)

// PermissionSet lets its users do more with objects than their profile does.
type PermissionSet struct {
	// Name is the API name.
	Name  string `yaml:"name"`
	Label string `yaml:"label,omitempty"`
	// Objects lists what is allowed: read, create, edit, delete.
	Objects map[string][]string `yaml:"objects,omitempty"`
}

// Layout is a page layout.
type Layout struct {
	Object string `yaml:"object"`
	Name   string `yaml:"name"`
	// RelatedLists are named as the metadata of layouts names them: the child object and its reference to this one,
	// Engagement__c.Contact__c.
	RelatedLists []string `yaml:"related_lists,omitempty"`
	// Profiles use it; empty: all of them. Unassigned: none does.
	Profiles   []string `yaml:"profiles,omitempty"`
	Unassigned bool     `yaml:"unassigned,omitempty"`
}

// RecordPage is a record page of the Lightning App Builder.
type RecordPage struct {
	Object string `yaml:"object"`
	Name   string `yaml:"name"`
}

// packageVersions are those that the package was published in.
var packageVersions = []string{"", "1.0", "1.1", "1.2"}

func (o *Org) validateSetup() error {
	if !slices.Contains(packageVersions, o.PackageVersion) {
		return fmt.Errorf("package_version: %q is none of %v", o.PackageVersion, packageVersions[1:])
	}
	for i, p := range o.PermissionSets {
		if p.Name == "" {
			return fmt.Errorf("permission_sets[%d].name: must not be empty", i)
		}
	}
	for i, l := range o.Layouts {
		if l.Object == "" || l.Name == "" {
			return fmt.Errorf("layouts[%d]: needs an object and a name", i)
		}
	}
	for i, p := range o.RecordPages {
		if p.Object == "" || p.Name == "" {
			return fmt.Errorf("record_pages[%d]: needs an object and a name", i)
		}
	}
	return nil
}
