package config_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
)

// aboutNone are the calls that name no workspace.
var aboutNone = map[string]bool{
	"ConfigService/ListWorkspaces": true, "ConfigService/Watch": true, "AccessService/SignOut": true, "KeyService/GetKeyUse": true,
	"KeyService/RewrapSecrets": true, "ReportRunService/ClaimReportRun": true, "ServerReflection/ServerReflectionInfo": true,
}

// Whoever may see every workspace is told that one is not there, whatever is asked about it, and what to do; else a misspelt id
// would look like a workspace in which nothing happened. Others are told nothing, see TestNoCallerReachesIntoAnotherWorkspace.
func TestNoCallTakesAWorkspaceThatIsNotThereForAnEmptyOne(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b, _ := withIssuerAnd(t, walkers()...)
	calls := documentedCalls(t)
	var callers []caller
	for _, role := range allRoles {
		if role != config.RoleOperator { // sees those that let it in
			where := map[bool]string{true: "acme"}[role == config.RoleService]
			callers = append(callers, caller{name: string(role), token: walkToken(role, where), role: string(role), everywhere: true})
		}
	}
	conns := b.dialAll(t, callers)
	for _, method := range b.registered(t) {
		name := string(method.Parent().Name()) + "/" + string(method.Name())
		if calls[name].open || proto.Size(about(method.Input(), "acm")) == 0 {
			require.True(t, calls[name].open || aboutNone[name], "%s is about no workspace", name)
			continue
		}
		for i, c := range callers {
			if !c.may(name, calls[name]) {
				continue
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			got := answerTo(ctx, conns[i], method, "acm")
			cancel()
			if name == "ConfigService/PutWorkspace" {
				require.Equal(t, codes.InvalidArgument, got.Code(), "it makes one, and is told what else it needs")
				continue
			}
			require.Equal(t, codes.NotFound, got.Code(), "%s by %s: %s", name, c.name, got.Message())
			require.Contains(t, got.Message(), `there is no workspace "acm"`, "%s by %s", name, c.name)
			require.Contains(t, got.Message(), "throughline workspaces", "%s by %s", name, c.name)
		}
	}
}

func TestAWorkspaceIsThereFromWhenItIsMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list := func(workspace string) error {
		_, err := b.admin.ListConnections(t.Context(), &configv1.ListConnectionsRequest{Workspace: workspace})
		return err
	}
	require.Equal(t, codes.NotFound, status.Code(list("initech")))
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "initech", Name: "Initech"}})
	require.NoError(t, err)
	require.NoError(t, list("initech"))
	require.Equal(t, codes.InvalidArgument, status.Code(list("ini\x00tech")), "no store is asked for what none can hold")
}

// What became of the events of a workspace that was ended, and who ended it, stays readable.
func TestAWorkspaceWhoseKeysAreDestroyedIsStillThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := b.dial(t, adminToken)
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{Id: "acme", Name: "Acme"}})
	require.NoError(t, err)
	_, err = configv1.NewKeyServiceClient(admin).DestroyWorkspaceKeys(t.Context(),
		&configv1.DestroyWorkspaceKeysRequest{Workspace: "acme", Confirm: "acme"})
	require.NoError(t, err)
	_, err = b.admin.ListOutcomes(t.Context(), &configv1.ListOutcomesRequest{Workspace: "acme", EventId: "event"})
	require.NoError(t, err)
	require.NotEmpty(t, b.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme"}))
	for _, method := range b.registered(t) {
		if proto.Size(about(method.Input(), "acme")) > 0 {
			require.NotContains(t, answerTo(t.Context(), admin, method, "acme").Message(), "there is no workspace", method.Name())
		}
	}
}
