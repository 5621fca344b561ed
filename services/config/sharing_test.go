package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// TestTrackingIsConfiguredByMembersOnly: who is a Salesforce user and no member configures nothing here, whatever they may see
// over there; what a member set up outlives their leaving, so that engagement with their videos goes on.
func TestTrackingIsConfiguredByMembersOnly(t *testing.T) {
	t.Attr("requirement", "LOOM-16")
	t.Parallel()
	b, issuer := withIssuerAnd(t)
	access := b.access(t, adminToken)
	require.NoError(t, put(t.Context(), access, member("creator", configv1.Role_ROLE_INTEGRATION_EDITOR, 0)))
	require.NoError(t, put(t.Context(), access, member("looker", configv1.Role_ROLE_VIEWER, 0)))
	configure := func(subject, content string) error {
		_, err := b.client(t, issuer.Token(t, subject, b.clock.Now(), nil)).PutContentSetting(t.Context(), &configv1.PutContentSettingRequest{
			Setting: &configv1.ContentSetting{Workspace: "acme", ContentId: content, Tracking: true},
		})
		return err
	}
	require.Equal(t, codes.Unauthenticated, status.Code(configure("only-at-salesforce", "v1")), "no member: no say, though the issuer knows them")
	require.Equal(t, codes.PermissionDenied, status.Code(configure("sub-looker", "v1")), "a member who may look")
	require.NoError(t, configure("sub-creator", "v1"))

	_, err := access.RemoveMember(t.Context(), &configv1.RemoveMemberRequest{Workspace: "acme", Member: "creator"})
	require.NoError(t, err)
	require.NotEqual(t, codes.OK, status.Code(configure("sub-creator", "v2")), "a member no more")
	watcher := b.watch(t, 0)
	for _, ws := range receive(t, watcher).GetWorkspaces() {
		if ws.GetWorkspace().GetId() != "acme" {
			continue
		}
		require.Len(t, ws.GetContentSettings(), 1, "their video is tracked as before")
		require.True(t, ws.GetContentSettings()[0].GetTracking())
		return
	}
	t.Fatal("the workspace is not there")
}
