package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

const activeUser, goneUser = "005000000000101AAA", "005000000000102AAA"

// naming is a rule whose chain ends with a user.
func naming(user string) *configv1.Integration {
	i := rule("acme")
	i.Enabled = true
	i.Actions[0].Assignment = &configv1.Assignment{
		Chain:       []configv1.Assignee{configv1.Assignee_ASSIGNEE_RECORD_OWNER, configv1.Assignee_ASSIGNEE_FIXED_USER},
		FixedUserId: user,
	}
	return i
}

func TestUsersNamedAsAssigneesMustBeThere(t *testing.T) {
	t.Parallel()
	put := func(b *testBundle, i *configv1.Integration) error {
		_, err := b.admin.PutIntegration(t.Context(), &configv1.PutIntegrationRequest{Integration: i})
		return err
	}
	at := []string{"integration.actions[0].assignment.fixed_user_id"}

	t.Run("AnActiveUserIsTaken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		b.org.users = []string{activeUser}
		require.NoError(t, put(b, naming(activeUser[:15])))
	})

	t.Run("ADeletedOrInactiveOneIsRefused", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "IMM-29")
		b := setup(t)
		b.workspace(t, "acme")
		b.org.users = []string{activeUser}
		err := put(b, naming(goneUser))
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Equal(t, at, fieldsOf(t, err))
		require.Contains(t, err.Error(), "no active user "+goneUser)

		off := naming(goneUser)
		off.Enabled = false
		require.NoError(t, put(b, off), "what is switched off assigns nobody")
	})

	t.Run("WhatIsNoUserIsRefusedWithoutAsking", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		for _, id := range []string{"", "00Q000000000101AAA", "005000000000101AAB"} {
			require.Equal(t, at, fieldsOf(t, put(b, naming(id))), id)
		}
		require.Zero(t, b.org.count(), "no token was needed")
	})

	t.Run("AnOrgThatCannotBeAskedKeepsNobodyFromSaving", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.workspace(t, "acme")
		b.org.refuseWith("invalid_grant")
		require.NoError(t, put(b, naming(goneUser)))
	})
}

func TestTheZoneRuleOfAWorkspaceGoesWithItsZone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, ws := range []*configv1.Workspace{
		{Id: "acme", Name: "Acme", ZoneRule: configv1.ZoneRule_ZONE_RULE_FIXED},
		{Id: "acme", Name: "Acme", ZoneRule: configv1.ZoneRule_ZONE_RULE_ORG, TimeZone: "UTC"},
		{Id: "acme", Name: "Acme", ZoneRule: 99},
	} {
		_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: ws})
		require.Equal(t, []string{"workspace.zone_rule"}, fieldsOf(t, err))
	}
	_, err := b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{
		Id: "acme", Name: "Acme", ZoneRule: configv1.ZoneRule_ZONE_RULE_ASSIGNEE, TimeZone: "Asia/Tokyo",
		MatchPolicy: &configv1.MatchPolicy{SandboxSuffix: true, LeadEmailFields: []string{"Work__c"}},
	}})
	require.NoError(t, err)
	_, err = b.admin.PutWorkspace(t.Context(), &configv1.PutWorkspaceRequest{Workspace: &configv1.Workspace{
		Id: "other", Name: "Other", MatchPolicy: &configv1.MatchPolicy{ContactEmailFields: []string{"Email = '' OR Id"}},
	}})
	require.Equal(t, []string{"workspace.match_policy.contact_email_fields[0]"}, fieldsOf(t, err))
}
