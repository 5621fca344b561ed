package auth

import (
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Role is what kind of caller somebody is (XC-20).
type Role string

// The roles.
const (
	// RoleOwner may do everything in a workspace, and is the only one who makes owners.
	RoleOwner Role = "owner"
	// RoleAdmin changes settings, keys, and members who are not owners.
	RoleAdmin Role = "admin"
	// RoleIntegrationEditor changes integrations and the switches of contents.
	RoleIntegrationEditor Role = "integration_editor"
	// RolePrivacyOfficer reads settings and the audit log.
	RolePrivacyOfficer Role = "privacy_officer"
	// RoleViewer reads settings and outcomes.
	RoleViewer Role = "viewer"
	// RoleOperator runs the platform, and reads a workspace's data only while the workspace lets it.
	RoleOperator Role = "operator"
	// RoleService is the data plane: it watches all settings, gets access tokens and reads outcomes.
	RoleService Role = "service"
)

// allRoles are the roles a caller of the configuration may have.
var allRoles = []Role{
	RoleOwner, RoleAdmin, RoleIntegrationEditor, RolePrivacyOfficer, RoleViewer, RoleOperator, RoleService,
}

func checkRole(r Role) error {
	if slices.Contains(allRoles, r) {
		return nil
	}
	names := make([]string, len(allRoles))
	for i, known := range allRoles {
		names[i] = string(known)
	}
	return fmt.Errorf("role: %q is not one of %s", r, strings.Join(names, ", "))
}

var memberRoles = map[configv1.Role]Role{
	configv1.Role_ROLE_OWNER:              RoleOwner,
	configv1.Role_ROLE_ADMIN:              RoleAdmin,
	configv1.Role_ROLE_INTEGRATION_EDITOR: RoleIntegrationEditor,
	configv1.Role_ROLE_PRIVACY_OFFICER:    RolePrivacyOfficer,
	configv1.Role_ROLE_VIEWER:             RoleViewer,
}

// MemberRole returns the role that a member's number stands for, or false for one that this program does not know: such a
// member may do nothing.
func MemberRole(number int32) (Role, bool) {
	role, ok := memberRoles[configv1.Role(number)]
	return role, ok
}
