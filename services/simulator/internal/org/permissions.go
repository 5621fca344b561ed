package org

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/record"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// packageSets are the permission sets that the package brings.
var packageSets = []scenario.PermissionSet{
	{Name: "Engagement_Viewer", Label: "Engagement Viewer", Objects: map[string][]string{"Engagement__c": {"read"}, "Content__c": {"read"}}},
	{Name: "Engagement_Integration", Label: "Engagement Integration", Objects: map[string][]string{
		"Engagement__c": {"read", "create", "edit"}, "Content__c": {"read", "create", "edit"},
	}},
}

func verbs(allowed []string) (may schema.ObjectAccess) {
	for _, verb := range allowed {
		switch verb {
		case "read":
			may.Read = true
		case "create":
			may.Create = true
		case "edit":
			may.Edit = true
		case "delete":
			may.Delete = true
		}
	}
	return may
}

// permissionSets makes those of the package and of the scenario, with what they allow.
func (s *seeder) permissionSets(spec *scenario.Org) error {
	sets := spec.PermissionSets
	if spec.Package {
		sets = append(append([]scenario.PermissionSet{}, packageSets...), sets...)
	}
	for _, set := range sets {
		if s.refs["set:"+set.Name] != "" {
			continue
		}
		row := map[string]any{"ref": "set:" + set.Name, "Name": set.Name, "Label": cmp.Or(set.Label, set.Name), "IsCustom": true}
		if err := s.row("PermissionSet", row); err != nil {
			return fmt.Errorf("permission set %s: %w", set.Name, err)
		}
		for object, allowed := range set.Objects {
			if err := s.objectPermissions("set:"+set.Name, object, verbs(allowed)); err != nil {
				return fmt.Errorf("permission set %s: %w", set.Name, err)
			}
		}
	}
	return nil
}

// profileSet makes the permission set that every profile owns. Source: Object Reference, "PermissionSet".
func (s *seeder) profileSet(profile string) error {
	access := s.org.profiles[strings.ToLower(profile)]
	all := access == nil || !access.NoModifyAll
	ref := "set of profile:" + strings.ToLower(profile)
	err := s.row("PermissionSet", map[string]any{
		"ref": ref, "Name": "X" + s.refs["profile:"+strings.ToLower(profile)], "Label": profile, "IsOwnedByProfile": true,
		"ProfileId": "@profile:" + strings.ToLower(profile), "PermissionsModifyAllData": all,
	})
	if err != nil {
		return err
	}
	for _, object := range s.org.Schema.Objects() {
		if object.Setup {
			continue
		}
		if err := s.objectPermissions(ref, object.Name, access.Object(object)); err != nil {
			return err
		}
	}
	return nil
}

// objectPermissions makes one row. The absence of one means no access. Source: Object Reference, "ObjectPermissions".
func (s *seeder) objectPermissions(parent, object string, may schema.ObjectAccess) error {
	if !may.Read {
		return nil
	}
	return s.row("ObjectPermissions", map[string]any{
		"ParentId": "@" + parent, "SobjectType": object, "PermissionsRead": may.Read, "PermissionsCreate": may.Create,
		"PermissionsEdit": may.Edit, "PermissionsDelete": may.Delete,
	})
}

// assign gives a user permission sets, the one of its profile among them.
func (s *seeder) assign(u *scenario.User, profile string) error {
	refs := []string{"set of profile:" + strings.ToLower(profile)}
	for _, name := range u.PermissionSets {
		refs = append(refs, "set:"+name)
	}
	for _, ref := range refs {
		if s.refs[ref] == "" && strings.HasPrefix(ref, "set of") {
			continue // a profile that was there before
		}
		if err := s.row("PermissionSetAssignment", map[string]any{"AssigneeId": "@" + u.Username, "PermissionSetId": "@" + ref}); err != nil {
			return err
		}
	}
	return nil
}

// grantsOf returns what permission sets let a user do besides what the profile does, by lower-case name of the object.
func (o *Org) grantsOf(user string) map[string]schema.ObjectAccess {
	assignments, _ := o.Schema.Object("PermissionSetAssignment")
	permissions, _ := o.Schema.Object("ObjectPermissions")
	o.mu.RLock()
	defer o.mu.RUnlock()
	sets := map[string]bool{}
	o.tables[assignments].All(func(r *record.Record) bool {
		if !r.Deleted() && r.Text(assignments.Slot("AssigneeId")) == user {
			sets[r.Text(assignments.Slot("PermissionSetId"))] = true
		}
		return true
	})
	out := map[string]schema.ObjectAccess{}
	o.tables[permissions].All(func(r *record.Record) bool {
		if r.Deleted() || !sets[r.Text(permissions.Slot("ParentId"))] {
			return true
		}
		key := strings.ToLower(r.Text(permissions.Slot("SobjectType")))
		have := out[key]
		out[key] = schema.ObjectAccess{
			Read:   have.Read || r.True(permissions.Slot("PermissionsRead")),
			Create: have.Create || r.True(permissions.Slot("PermissionsCreate")),
			Edit:   have.Edit || r.True(permissions.Slot("PermissionsEdit")),
			Delete: have.Delete || r.True(permissions.Slot("PermissionsDelete")),
		}
		return true
	})
	return out
}
