package config_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config"
)

func (b *testBundle) access(t *testing.T, token string) configv1.AccessServiceClient {
	t.Helper()
	return configv1.NewAccessServiceClient(b.dial(t, token))
}

func member(id string, role configv1.Role, version int64) *configv1.Member {
	return &configv1.Member{Workspace: "acme", Id: id, Name: id, Role: role, Subject: "sub-" + id, Version: version}
}

func put(ctx context.Context, client configv1.AccessServiceClient, m *configv1.Member) error {
	_, err := client.PutMember(ctx, &configv1.PutMemberRequest{Member: m})
	return err
}

func TestMembersHaveRolesAndAnOwnerStays(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.workspace(t, "acme")
	root, admin := b.access(t, adminToken), b.access(t, acmeToken)
	require.Equal(t, codes.NotFound, status.Code(put(ctx, root, &configv1.Member{
		Workspace: "nowhere", Id: "aoi", Name: "Aoi", Role: configv1.Role_ROLE_OWNER, Subject: "s",
	})))

	require.Equal(t, codes.PermissionDenied, status.Code(put(ctx, admin, member("aoi", configv1.Role_ROLE_OWNER, 0))),
		"a workspace's admin makes no owners")
	require.NoError(t, put(ctx, root, member("aoi", configv1.Role_ROLE_OWNER, 0)), "an administrator of the installation makes the first")
	require.NoError(t, put(ctx, admin, member("ren", configv1.Role_ROLE_VIEWER, 0)))
	require.Equal(t, codes.AlreadyExists, status.Code(put(ctx, admin, member("ren", configv1.Role_ROLE_ADMIN, 0))))
	require.Equal(t, codes.PermissionDenied, status.Code(put(ctx, admin, member("ren", configv1.Role_ROLE_OWNER, 1))))
	require.Equal(t, codes.PermissionDenied, status.Code(put(ctx, admin, member("aoi", configv1.Role_ROLE_VIEWER, 1))))
	_, err := admin.RemoveMember(ctx, &configv1.RemoveMemberRequest{Workspace: "acme", Member: "aoi"})
	require.Equal(t, codes.PermissionDenied, status.Code(err))

	require.Equal(t, codes.FailedPrecondition, status.Code(put(ctx, root, member("aoi", configv1.Role_ROLE_ADMIN, 1))))
	_, err = root.RemoveMember(ctx, &configv1.RemoveMemberRequest{Workspace: "acme", Member: "aoi"})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))

	require.NoError(t, put(ctx, root, member("ren", configv1.Role_ROLE_OWNER, 1)))
	require.Equal(t, codes.Aborted, status.Code(put(ctx, root, member("ren", configv1.Role_ROLE_OWNER, 1))))
	require.NoError(t, put(ctx, root, member("aoi", configv1.Role_ROLE_PRIVACY_OFFICER, 1)))
	listed, err := admin.ListMembers(ctx, &configv1.ListMembersRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, listed.GetMembers(), 2)
	require.Equal(t, configv1.Role_ROLE_PRIVACY_OFFICER, listed.GetMembers()[0].GetRole())

	same := member("mio", configv1.Role_ROLE_VIEWER, 0)
	same.Subject = "sub-ren"
	require.Equal(t, codes.AlreadyExists, status.Code(put(ctx, root, same)))
	none := member("mio", configv1.Role_ROLE_VIEWER, 0)
	none.Subject = ""
	require.Equal(t, []string{"member.email"}, fieldsOf(t, put(ctx, root, none)))
}

func TestOwnersThatAllLeaveAtOnceLeaveOneBehind(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b, ctx := setup(t), t.Context()
	b.workspace(t, "acme")
	root := b.access(t, adminToken)
	const n = 6
	for i := range n {
		require.NoError(t, put(ctx, root, member(fmt.Sprint("m", i), configv1.Role_ROLE_OWNER, 0)))
	}
	results := make([]codes.Code, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := root.RemoveMember(ctx, &configv1.RemoveMemberRequest{Workspace: "acme", Member: fmt.Sprint("m", i)})
			results[i] = status.Code(err)
		})
	}
	wg.Wait()
	refused := 0
	for _, code := range results {
		if code == codes.FailedPrecondition {
			refused++
			continue
		}
		require.Equal(t, codes.OK, code)
	}
	require.Equal(t, 1, refused)
}

const operatorToken = "operator-token-0123456789"

func TestAnOperatorIsLetInForATimeOnly(t *testing.T) {
	t.Attr("requirement", "XC-20")
	t.Parallel()
	b := prepare(t)
	b.cfg.Callers = append(b.cfg.Callers, config.Caller{Name: "ken", Role: config.RoleOperator, Token: secret.New(operatorToken)})
	b.start(t)
	ctx := t.Context()
	b.workspace(t, "acme")
	b.workspace(t, "globex")
	ken, owner := b.client(t, operatorToken), b.access(t, acmeToken)
	sees := func(workspace string) codes.Code {
		_, err := ken.GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: workspace})
		return status.Code(err)
	}
	grant := func(operator string, until time.Duration) (*configv1.OperatorAccess, error) {
		resp, err := owner.GrantOperatorAccess(ctx, &configv1.GrantOperatorAccessRequest{
			Workspace: "acme", Operator: operator, ExpiresAt: timestamppb.New(epoch.Add(until)), Reason: "case 7",
		})
		return resp.GetAccess(), err
	}
	require.Equal(t, codes.PermissionDenied, sees("acme"))
	for _, wrong := range []time.Duration{0, -time.Hour, 8 * 24 * time.Hour} {
		_, err := grant("ken", wrong)
		require.Equal(t, []string{"expires_at"}, fieldsOf(t, err))
	}
	_, err := grant("somebody else", time.Hour)
	require.NoError(t, err)
	require.Equal(t, codes.PermissionDenied, sees("acme"))

	_, err = grant("ken", time.Hour)
	require.NoError(t, err)
	require.Equal(t, codes.OK, sees("acme"))
	require.Equal(t, codes.PermissionDenied, sees("globex"))
	listed, err := ken.ListWorkspaces(ctx, &configv1.ListWorkspacesRequest{})
	require.NoError(t, err)
	require.Len(t, listed.GetWorkspaces(), 1)
	_, err = ken.PutContentSetting(ctx, &configv1.PutContentSettingRequest{Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: "v"}})
	require.Equal(t, codes.PermissionDenied, status.Code(err), "operators read")

	b.clock.Advance(time.Hour)
	require.Equal(t, codes.PermissionDenied, sees("acme"), "expired")

	second, err := grant("ken", 2*time.Hour)
	require.NoError(t, err)
	require.Equal(t, codes.OK, sees("acme"))
	_, err = owner.RevokeOperatorAccess(ctx, &configv1.RevokeOperatorAccessRequest{Workspace: "acme", Access: second.GetId()})
	require.NoError(t, err)
	require.Equal(t, codes.PermissionDenied, sees("acme"), "revoked")

	seen, err := b.access(t, acmeViewer).ListOperatorAccess(ctx, &configv1.ListOperatorAccessRequest{Workspace: "acme"})
	require.NoError(t, err)
	require.Len(t, seen.GetAccess(), 3, "the workspace sees all of it")
	require.NotNil(t, seen.GetAccess()[0].GetRevokedAt())
}
