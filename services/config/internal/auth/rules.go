package auth

import (
	"slices"
	"strings"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Rule says who may call one method.
type Rule struct {
	// Roles that may; none: anybody, even without a token.
	Roles []Role
	// Scope is what lets an API key call the method, if it has it. Unspecified: no API key may.
	Scope configv1.ApiKeyScope
	// Everywhere is set for methods that are not about one workspace. A caller limited to a workspace is let in only if the
	// method limits its answer itself (Limited).
	Everywhere bool
	Limited    bool
	// Proves is set for open methods whose request is the proof: a refused one counts as a failed authentication.
	Proves bool
	// Creates is set for methods that make the workspace that they are about, if it is not there.
	Creates bool
}

// Open reports whether the method needs no token.
func (r Rule) Open() bool { return len(r.Roles) == 0 }

// Allows reports whether the rule lets the identity call the method about the workspace, which is empty for methods
// that are about none.
func (r Rule) Allows(id Identity, workspace string) bool {
	switch {
	case r.Open():
		return true
	case r.Everywhere && !r.Limited && !id.Installation():
		return false
	case !r.Everywhere && !id.MaySee(workspace): // promise 9
		return false
	case id.Scopes != nil:
		return r.Scope != configv1.ApiKeyScope_API_KEY_SCOPE_UNSPECIFIED && slices.Contains(id.Scopes, r.Scope)
	case id.Seats != nil && r.Everywhere:
		for _, seat := range id.Seats {
			if slices.Contains(r.Roles, seat.Role) {
				return true
			}
		}
		return false
	}
	return slices.Contains(r.Roles, id.For(workspace).Role)
}

// Who is meant. Operators are among the readers, because Identity lets them see only what workspaces have granted.
var (
	admins   = []Role{RoleOwner, RoleAdmin}
	editors  = []Role{RoleOwner, RoleAdmin, RoleIntegrationEditor}
	officers = []Role{RoleOwner, RoleAdmin, RolePrivacyOfficer}
	readers  = []Role{RoleOwner, RoleAdmin, RoleIntegrationEditor, RolePrivacyOfficer, RoleViewer, RoleOperator}
	services = []Role{RoleService}
	// outcomes are read by people and by services that trace events.
	everybody = []Role{RoleOwner, RoleAdmin, RoleIntegrationEditor, RolePrivacyOfficer, RoleViewer, RoleOperator, RoleService}
)

// What an API key can be good for, besides ingest, which does not ask us.
const (
	readOutcomes  = configv1.ApiKeyScope_API_KEY_SCOPE_OUTCOMES_READ
	readSettings  = configv1.ApiKeyScope_API_KEY_SCOPE_SETTINGS_READ
	writeSettings = configv1.ApiKeyScope_API_KEY_SCOPE_SETTINGS_WRITE
)

// rules is the one table of who may call what. A method that is missing cannot be called.
var rules = map[string]Rule{
	configv1.ConfigService_PutWorkspace_FullMethodName:        {Roles: admins, Creates: true},
	configv1.ConfigService_GetWorkspace_FullMethodName:        {Roles: readers, Scope: readSettings},
	configv1.ConfigService_ListWorkspaces_FullMethodName:      {Roles: readers, Scope: readSettings, Everywhere: true, Limited: true},
	configv1.ConfigService_PutConnection_FullMethodName:       {Roles: admins},
	configv1.ConfigService_GetConnection_FullMethodName:       {Roles: readers, Scope: readSettings},
	configv1.ConfigService_ListConnections_FullMethodName:     {Roles: readers, Scope: readSettings},
	configv1.ConfigService_CheckConnection_FullMethodName:     {Roles: admins},
	configv1.ConfigService_PutIntegration_FullMethodName:      {Roles: editors, Scope: writeSettings},
	configv1.ConfigService_GetIntegration_FullMethodName:      {Roles: readers, Scope: readSettings},
	configv1.ConfigService_ListIntegrations_FullMethodName:    {Roles: readers, Scope: readSettings},
	configv1.ConfigService_PutContentSetting_FullMethodName:   {Roles: editors, Scope: writeSettings},
	configv1.ConfigService_ListContentSettings_FullMethodName: {Roles: readers, Scope: readSettings},
	configv1.ConfigService_CreateApiKey_FullMethodName:        {Roles: admins},
	configv1.ConfigService_Watch_FullMethodName:               {Roles: services, Everywhere: true},
	configv1.ConfigService_GetAccessToken_FullMethodName:      {Roles: services},
	configv1.ConfigService_ListOutcomes_FullMethodName:        {Roles: everybody, Scope: readOutcomes},
	configv1.ConfigService_CountOutcomes_FullMethodName:       {Roles: everybody, Scope: readOutcomes},

	configv1.RunLogService_ListIntegrationDays_FullMethodName: {Roles: everybody, Scope: readOutcomes},

	configv1.NoticeService_ListNotices_FullMethodName:           {Roles: readers, Scope: readSettings},
	configv1.NoticeService_QuietNotice_FullMethodName:           {Roles: editors},
	configv1.NoticeService_PutNoticeRecipient_FullMethodName:    {Roles: admins},
	configv1.NoticeService_ListNoticeRecipients_FullMethodName:  {Roles: readers},
	configv1.NoticeService_RemoveNoticeRecipient_FullMethodName: {Roles: admins},
	configv1.NoticeService_TestNoticeRecipient_FullMethodName:   {Roles: admins},

	configv1.AccessService_PutMember_FullMethodName:               {Roles: admins},
	configv1.AccessService_ListMembers_FullMethodName:             {Roles: readers},
	configv1.AccessService_RemoveMember_FullMethodName:            {Roles: admins},
	configv1.AccessService_ListMemberSessions_FullMethodName:      {Roles: admins},
	configv1.AccessService_EndMemberSessions_FullMethodName:       {Roles: admins},
	configv1.AccessService_GrantOperatorAccess_FullMethodName:     {Roles: admins},
	configv1.AccessService_ListOperatorAccess_FullMethodName:      {Roles: readers},
	configv1.AccessService_RevokeOperatorAccess_FullMethodName:    {Roles: admins},
	configv1.AccessService_ListApiKeys_FullMethodName:             {Roles: admins},
	configv1.AccessService_RevokeApiKey_FullMethodName:            {Roles: admins},
	configv1.AccessService_RedeemAdministratorLink_FullMethodName: {Everywhere: true, Proves: true},
	configv1.AccessService_SignIn_FullMethodName:                  {Everywhere: true, Proves: true},
	configv1.AccessService_SignOut_FullMethodName:                 {Roles: everybody, Everywhere: true, Limited: true},
	configv1.AccessService_ListAuditEntries_FullMethodName:        {Roles: officers},

	configv1.IntegrationHistoryService_ListIntegrationVersions_FullMethodName: {Roles: readers, Scope: readSettings},
	configv1.IntegrationHistoryService_DiffIntegrationVersions_FullMethodName: {Roles: readers, Scope: readSettings},
	configv1.IntegrationHistoryService_RollBackIntegration_FullMethodName:     {Roles: editors, Scope: writeSettings},

	configv1.SettingHistoryService_ListSettingVersions_FullMethodName: {Roles: readers, Scope: readSettings},
	configv1.SettingHistoryService_RollBackSetting_FullMethodName:     {Roles: admins},

	configv1.ContentDefaultsService_GetContentDefaults_FullMethodName:     {Roles: readers, Scope: readSettings},
	configv1.ContentDefaultsService_PutContentDefaults_FullMethodName:     {Roles: admins},
	configv1.ContentDefaultsService_ResolveContentDefaults_FullMethodName: {Roles: readers, Scope: readSettings},
	configv1.ContentDefaultsService_RecordContent_FullMethodName:          {Roles: editors, Scope: writeSettings},
	configv1.ContentDefaultsService_PreviewContentDefaults_FullMethodName: {Roles: readers, Scope: readSettings},
	configv1.ContentDefaultsService_ApplyContentDefaults_FullMethodName:   {Roles: admins},

	configv1.WorkflowService_ListWorkflows_FullMethodName:     {Roles: readers, Scope: readSettings},
	configv1.WorkflowService_CopyIntegration_FullMethodName:   {Roles: editors, Scope: writeSettings},
	configv1.WorkflowService_DeleteIntegration_FullMethodName: {Roles: editors, Scope: writeSettings},
	configv1.WorkflowService_RemoveContent_FullMethodName:     {Roles: editors, Scope: writeSettings},

	configv1.DraftService_PutDraft_FullMethodName:    {Roles: editors},
	configv1.DraftService_GetDraft_FullMethodName:    {Roles: editors},
	configv1.DraftService_ListDrafts_FullMethodName:  {Roles: editors},
	configv1.DraftService_DeleteDraft_FullMethodName: {Roles: editors},

	configv1.EventSetupService_CheckEventSetup_FullMethodName: {Roles: readers},
	configv1.EventSetupService_PutEventSetup_FullMethodName:   {Roles: admins},
	configv1.EventSetupService_GetEventSetup_FullMethodName:   {Roles: readers, Scope: readSettings},

	configv1.ConnectService_StartConnect_FullMethodName:          {Roles: admins},
	configv1.ConnectService_CreateSetupLink_FullMethodName:       {Roles: admins},
	configv1.ConnectService_GetConnectFlow_FullMethodName:        {Roles: readers},
	configv1.ConnectService_CancelConnectFlow_FullMethodName:     {Roles: admins},
	configv1.ConnectService_AcceptOtherOrg_FullMethodName:        {Roles: admins},
	configv1.ConnectService_ReplaceAppSecret_FullMethodName:      {Roles: admins},
	configv1.ConnectService_Disconnect_FullMethodName:            {Roles: admins},
	configv1.ConnectService_DiagnoseConnection_FullMethodName:    {Roles: admins},
	configv1.ConnectService_GetDiagnosis_FullMethodName:          {Roles: readers},
	configv1.ConnectService_ListConnectionHistory_FullMethodName: {Roles: readers},
	// Who overrides a state decides for the platform (XC-17).
	configv1.ConnectService_OverrideState_FullMethodName: {Roles: admins, Everywhere: true},

	configv1.ConnectionListService_ListAccounts_FullMethodName:        {Roles: readers},
	configv1.ConnectionListService_ListDependants_FullMethodName:      {Roles: readers},
	configv1.ConnectionListService_RestoreIntegrations_FullMethodName: {Roles: admins},
	configv1.ConnectionListService_DeleteConnection_FullMethodName:    {Roles: admins},

	// Who sells plans sets them: nobody upgrades their own workspace (LOOM-1).
	configv1.PlanService_SetPlan_FullMethodName:         {Roles: admins, Everywhere: true},
	configv1.PlanService_GetEntitlements_FullMethodName: {Roles: readers, Scope: readSettings},

	configv1.CatalogueService_ListObjects_FullMethodName:         {Roles: readers},
	configv1.CatalogueService_DescribeObject_FullMethodName:      {Roles: readers},
	configv1.CatalogueService_ValidateIntegration_FullMethodName: {Roles: readers},
	configv1.CatalogueService_ListBroken_FullMethodName:          {Roles: readers},
	configv1.CatalogueService_RefreshCatalogue_FullMethodName:    {Roles: admins},
	configv1.CatalogueService_PreviewIntegration_FullMethodName:  {Roles: readers},

	configv1.SetupService_GetAppGuide_FullMethodName:       {Roles: readers},
	configv1.SetupService_GetSetupGuide_FullMethodName:     {Roles: readers},
	configv1.SetupService_ListMissingFields_FullMethodName: {Roles: editors},

	// What is held of people: for whoever may change settings, until there is a role of its own.
	configv1.PrivacyService_StartErasure_FullMethodName:           {Roles: officers},
	configv1.PrivacyService_GetErasure_FullMethodName:             {Roles: officers},
	configv1.PrivacyService_ListErasures_FullMethodName:           {Roles: officers},
	configv1.PrivacyService_LiftSuppression_FullMethodName:        {Roles: officers},
	configv1.PrivacyService_ListErasureProposals_FullMethodName:   {Roles: officers},
	configv1.PrivacyService_ConfirmErasureProposal_FullMethodName: {Roles: officers},
	configv1.PrivacyService_DismissErasureProposal_FullMethodName: {Roles: officers},
	configv1.PrivacyService_ExportPerson_FullMethodName:           {Roles: officers},
	configv1.PrivacyService_GetExport_FullMethodName:              {Roles: officers},

	configv1.KeyService_GetKeyUse_FullMethodName:           {Roles: admins, Everywhere: true},
	configv1.KeyService_RewrapSecrets_FullMethodName:       {Roles: admins, Everywhere: true},
	configv1.KeyService_ListWorkspaceKeys_FullMethodName:   {Roles: readers},
	configv1.KeyService_AddWorkspaceKey_FullMethodName:     {Roles: admins},
	configv1.KeyService_PromoteWorkspaceKey_FullMethodName: {Roles: admins},
	// Who ends a workspace for good decides for the platform (XC-29).
	configv1.KeyService_DestroyWorkspaceKeys_FullMethodName: {Roles: admins, Everywhere: true},

	configv1.ReportService_PutReport_FullMethodName:             {Roles: editors, Scope: writeSettings},
	configv1.ReportService_ListReports_FullMethodName:           {Roles: everybody, Scope: readSettings},
	configv1.ReportService_DeleteReport_FullMethodName:          {Roles: editors, Scope: writeSettings},
	configv1.ReportService_PutReportPush_FullMethodName:         {Roles: editors, Scope: writeSettings},
	configv1.ReportService_GetReportPush_FullMethodName:         {Roles: readers, Scope: readSettings},
	configv1.ReportService_ListReportPushes_FullMethodName:      {Roles: readers, Scope: readSettings},
	configv1.ReportService_DeleteReportPush_FullMethodName:      {Roles: editors, Scope: writeSettings},
	configv1.ReportService_ListPushObjects_FullMethodName:       {Roles: readers},
	configv1.ReportService_ListPushFields_FullMethodName:        {Roles: readers},
	configv1.ReportRunService_StartReportRun_FullMethodName:     {Roles: editors, Scope: writeSettings},
	configv1.ReportRunService_StopReportRun_FullMethodName:      {Roles: editors, Scope: writeSettings},
	configv1.ReportRunService_ListReportRuns_FullMethodName:     {Roles: readers, Scope: readOutcomes},
	configv1.ReportRunService_GetReportRun_FullMethodName:       {Roles: readers, Scope: readOutcomes},
	configv1.ReportRunService_ListReportRunRows_FullMethodName:  {Roles: readers, Scope: readOutcomes},
	configv1.ReportRunService_NoteReportDelivery_FullMethodName: {Roles: services},
	configv1.ReportRunService_ClaimReportRun_FullMethodName:     {Roles: services, Everywhere: true},
	configv1.ReportRunService_RecordReportRun_FullMethodName:    {Roles: services},

	configv1.ReplayService_RecordReplay_FullMethodName: {Roles: admins},

	healthv1.Health_Check_FullMethodName:                                 {Everywhere: true},
	healthv1.Health_Watch_FullMethodName:                                 {Everywhere: true},
	healthv1.Health_List_FullMethodName:                                  {Everywhere: true},
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:    {Roles: everybody, Everywhere: true, Limited: true},
	reflectionalpha.ServerReflection_ServerReflectionInfo_FullMethodName: {Roles: everybody, Everywhere: true, Limited: true},
}

// RuleFor returns the rule of a method, or false if it may not be called.
func RuleFor(fullMethod string) (Rule, bool) {
	rule, ok := rules[fullMethod]
	return rule, ok
}

// callOf is how a method, named in full, is named in documents and configurations: ConfigService/Watch.
func callOf(fullMethod string) string { return fullMethod[strings.LastIndexByte(fullMethod, '.')+1:] }

func isCall(name string) bool {
	for method := range rules {
		if callOf(method) == name {
			return true
		}
	}
	return false
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
	case *configv1.ValidateIntegrationRequest:
		return r.GetIntegration().GetWorkspace()
	case *configv1.PutContentSettingRequest:
		return r.GetSetting().GetWorkspace()
	case *configv1.PutContentDefaultsRequest:
		return r.GetDefaults().GetWorkspace()
	case *configv1.PutDraftRequest:
		return r.GetDraft().GetWorkspace()
	case *configv1.PutEventSetupRequest:
		return r.GetSetup().GetWorkspace()
	case *configv1.CheckEventSetupRequest:
		return r.GetSetup().GetWorkspace()
	case *configv1.StartConnectRequest:
		return r.GetOptions().GetWorkspace()
	case *configv1.CreateSetupLinkRequest:
		return r.GetOptions().GetWorkspace()
	case *configv1.PutReportRequest:
		return r.GetReport().GetWorkspace()
	case *configv1.PutReportPushRequest:
		return r.GetPush().GetWorkspace()
	case *configv1.NoteReportDeliveryRequest:
		return r.GetDelivery().GetWorkspace()
	case *configv1.CreateApiKeyRequest:
		return r.GetKey().GetWorkspace()
	case *configv1.PutMemberRequest:
		return r.GetMember().GetWorkspace()
	case *configv1.PutNoticeRecipientRequest:
		return r.GetRecipient().GetWorkspace()
	case interface{ GetWorkspace() string }:
		return r.GetWorkspace()
	}
	return ""
}
