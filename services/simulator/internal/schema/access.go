package schema

import (
	"maps"
	"strings"
)

// ObjectAccess is what a user may do with an object.
type ObjectAccess struct{ Read, Create, Edit, Delete bool }

// Access is what one profile may see and do. The zero value and nil may do everything. It must not be changed once in use.
type Access struct {
	// Objects lists the objects with restricted access, by lower-case API name.
	Objects map[string]ObjectAccess
	// Hidden and ReadOnly list fields as "lead.phone", in lower case.
	Hidden, ReadOnly map[string]bool
	// NoModifyAll takes away the permission to modify all data, which is only told, not enforced.
	NoModifyAll bool
	// NoViewSetup takes away the permission to view setup.
	NoViewSetup bool
}

// With returns the access with what permission sets add to it: verbs on objects, never fewer.
func (a *Access) With(grants map[string]ObjectAccess) *Access {
	if a == nil || len(grants) == 0 {
		return a
	}
	out := *a
	out.Objects = maps.Clone(a.Objects)
	for object, g := range grants {
		have, limited := out.Objects[object]
		if !limited {
			continue // everything is allowed already
		}
		out.Objects[object] = ObjectAccess{
			Read: have.Read || g.Read, Create: have.Create || g.Create, Edit: have.Edit || g.Edit, Delete: have.Delete || g.Delete,
		}
	}
	return &out
}

// Object returns what the profile may do with o.
func (a *Access) Object(o *Object) ObjectAccess {
	full := ObjectAccess{Read: true, Create: !o.ReadOnly, Edit: !o.ReadOnly, Delete: !o.ReadOnly}
	if a == nil {
		return full
	}
	limited, ok := a.Objects[strings.ToLower(o.Name)]
	if !ok {
		return full
	}
	return ObjectAccess{
		Read: limited.Read, Create: full.Create && limited.Create,
		Edit: full.Edit && limited.Edit, Delete: full.Delete && limited.Delete,
	}
}

// Visible reports whether the profile sees the field at all.
func (a *Access) Visible(o *Object, f *Field) bool {
	return a == nil || len(a.Hidden) == 0 || !a.Hidden[strings.ToLower(o.Name+"."+f.Name)]
}

// Editable reports whether the profile may write the field, where the field can be written.
func (a *Access) Editable(o *Object, f *Field) bool {
	return a == nil || len(a.ReadOnly) == 0 || !a.ReadOnly[strings.ToLower(o.Name+"."+f.Name)]
}
