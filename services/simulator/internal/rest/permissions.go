package rest

import (
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/soql"
)

// permissionObject has one row, about the caller. Source: Object Reference, "UserPermissionAccess".
const permissionObject = "UserPermissionAccess"

// permissionsOf are those that a scenario can take away, and the one without which nobody gets here.
func permissionsOf(a *schema.Access) map[string]bool {
	return map[string]bool{
		"permissionsmodifyalldata": a == nil || !a.NoModifyAll, "permissionsviewalldata": a == nil || !a.NoModifyAll, "permissionsapienabled": true,
	}
}

// permissions answers what the caller may do. Salesforce allows little more than a list of fields here, and so does this.
func permissions(c *call, q *soql.Query) reply {
	if q.Where != nil || q.Count || q.Scope.Text != "" || len(q.GroupBy)+len(q.OrderBy) > 0 {
		return queryFailure(q.Unsupported(q.From.Pos, "a condition on "+permissionObject))
	}
	row := map[string]any{"attributes": map[string]string{"type": permissionObject, "url": c.route.path() + "/sobjects/" + permissionObject + "/000000000000000AAA"}}
	known := permissionsOf(c.caller.Access)
	for _, item := range q.Select {
		if item.Path == nil || len(item.Path.Names) != 1 || item.Path.Func != "" || item.Alias != "" {
			return queryFailure(q.Unsupported(q.From.Pos, "this selection from "+permissionObject))
		}
		name := item.Path.Names[0]
		value, found := known[strings.ToLower(name)]
		if !found {
			return queryFailure(q.Invalid(item.Path.Pos, "INVALID_FIELD", "No such column '%s' on entity '%s'.", name, permissionObject))
		}
		row[name] = value
	}
	return ok(map[string]any{"totalSize": 1, "done": true, "records": []any{row}})
}

// isPermissions reports whether a query is about the caller's permissions.
func isPermissions(q *soql.Query) bool { return strings.EqualFold(q.From.Text, permissionObject) }
