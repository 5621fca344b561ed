package auth

import (
	"slices"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Rule says who may call one method.
type Rule struct {
	// Roles that may; none: anybody, even without a token.
	Roles []Role
	// Everywhere is set for methods that are not about one workspace. A caller limited to a workspace is let in only if the
	// method limits its answer itself (Limited).
	Everywhere bool
	Limited    bool
}

// Open reports whether the method needs no token.
func (r Rule) Open() bool { return len(r.Roles) == 0 }

// Allows reports whether the rule lets the identity call the method about the workspace, which is empty for methods
// that are about none.
func (r Rule) Allows(id Identity, workspace string) bool {
	if r.Open() {
		return true
	}
	if !slices.Contains(r.Roles, id.Role) {
		return false
	}
	if r.Everywhere {
		return id.Workspace == "" || r.Limited
	}
	return id.MaySee(workspace)
}

var (
	admins   = []Role{RoleAdmin}
	readers  = []Role{RoleAdmin, RoleViewer}
	services = []Role{RoleService}
	// outcomes are read by people and by services that trace events.
	everybody = []Role{RoleAdmin, RoleViewer, RoleService}
)

// rules is the one table of who may call what. A method that is missing cannot be called.
var rules = map[string]Rule{
	configv1.ConfigService_PutWorkspace_FullMethodName:        {Roles: admins},
	configv1.ConfigService_GetWorkspace_FullMethodName:        {Roles: readers},
	configv1.ConfigService_ListWorkspaces_FullMethodName:      {Roles: readers, Everywhere: true, Limited: true},
	configv1.ConfigService_PutConnection_FullMethodName:       {Roles: admins},
	configv1.ConfigService_GetConnection_FullMethodName:       {Roles: readers},
	configv1.ConfigService_ListConnections_FullMethodName:     {Roles: readers},
	configv1.ConfigService_CheckConnection_FullMethodName:     {Roles: admins},
	configv1.ConfigService_PutIntegration_FullMethodName:      {Roles: admins},
	configv1.ConfigService_GetIntegration_FullMethodName:      {Roles: readers},
	configv1.ConfigService_ListIntegrations_FullMethodName:    {Roles: readers},
	configv1.ConfigService_PutContentSetting_FullMethodName:   {Roles: admins},
	configv1.ConfigService_ListContentSettings_FullMethodName: {Roles: readers},
	configv1.ConfigService_CreateApiKey_FullMethodName:        {Roles: admins},
	configv1.ConfigService_Watch_FullMethodName:               {Roles: services, Everywhere: true},
	configv1.ConfigService_GetAccessToken_FullMethodName:      {Roles: services},
	configv1.ConfigService_ListOutcomes_FullMethodName:        {Roles: everybody},
	configv1.ConfigService_CountOutcomes_FullMethodName:       {Roles: everybody},

	configv1.KeyService_GetKeyUse_FullMethodName:           {Roles: admins, Everywhere: true},
	configv1.KeyService_RewrapSecrets_FullMethodName:       {Roles: admins, Everywhere: true},
	configv1.KeyService_ListWorkspaceKeys_FullMethodName:   {Roles: readers},
	configv1.KeyService_AddWorkspaceKey_FullMethodName:     {Roles: admins},
	configv1.KeyService_PromoteWorkspaceKey_FullMethodName: {Roles: admins},

	healthv1.Health_Check_FullMethodName:                                 {Everywhere: true},
	healthv1.Health_Watch_FullMethodName:                                 {Everywhere: true},
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:    {Roles: everybody, Everywhere: true, Limited: true},
	reflectionalpha.ServerReflection_ServerReflectionInfo_FullMethodName: {Roles: everybody, Everywhere: true, Limited: true},
}

// RuleFor returns the rule of a method, or false if it may not be called.
func RuleFor(fullMethod string) (Rule, bool) {
	rule, ok := rules[fullMethod]
	return rule, ok
}

// WorkspaceOf returns the workspace a request is about, "" if it names none.
func WorkspaceOf(request any) string {
	switch r := request.(type) {
	case *configv1.PutWorkspaceRequest:
		return r.GetWorkspace().GetId()
	case *configv1.PutConnectionRequest:
		return r.GetConnection().GetWorkspace()
	case *configv1.PutIntegrationRequest:
		return r.GetIntegration().GetWorkspace()
	case *configv1.PutContentSettingRequest:
		return r.GetSetting().GetWorkspace()
	case *configv1.CreateApiKeyRequest:
		return r.GetKey().GetWorkspace()
	case interface{ GetWorkspace() string }:
		return r.GetWorkspace()
	}
	return ""
}
