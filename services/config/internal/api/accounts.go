package api

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ListAccounts implements configv1.ConnectionListServiceServer.
func (s *Server) ListAccounts(ctx context.Context, req *configv1.ListAccountsRequest) (*configv1.ListAccountsResponse, error) {
	listed, err := s.ListConnections(ctx, &configv1.ListConnectionsRequest{Workspace: req.GetWorkspace()})
	if err != nil {
		return nil, err
	}
	docs, err := s.deps.Documents.List(ctx, req.GetWorkspace(), store.KindConnection)
	if err != nil {
		return nil, err
	}
	made, err := s.deps.Accounts.Creations(ctx, req.GetWorkspace(), store.KindConnection)
	if err != nil {
		return nil, err
	}
	integrations, err := list[configv1.Integration](ctx, s, req.GetWorkspace(), store.KindIntegration)
	if err != nil {
		return nil, err
	}
	saved := map[string]store.Document{}
	for _, doc := range docs {
		saved[doc.ID] = doc
	}
	resp := &configv1.ListAccountsResponse{}
	for _, c := range listed.GetConnections() {
		if !finds(req.GetSearch(), c) || req.GetEnvironment() != 0 && req.GetEnvironment() != environmentOf(c) {
			continue
		}
		a := &configv1.Account{
			Connection: c.GetId(), Name: c.GetName(), Environment: environmentOf(c), AccountName: c.GetOrg().GetName(),
			Username: c.GetConsent().GetUsername(), Login: loginOf(c.GetStatus()), Entitlement: c.GetEntitlement(),
		}
		if doc, ok := saved[c.GetId()]; ok {
			a.ModifiedAt, a.ModifiedBy = timestamppb.New(doc.SavedAt), doc.SavedBy
		}
		if m, ok := made[c.GetId()]; ok {
			a.CreatedAt, a.CreatedBy = timestamppb.New(m.At), m.By
		}
		a.Activity, a.Integrations = activityOf(c, integrations)
		resp.Accounts = append(resp.Accounts, a)
	}
	return resp, nil
}

// finds reports whether a search finds the connection, by a name or an address.
func finds(search string, c *configv1.Connection) bool {
	search = strings.ToLower(strings.TrimSpace(search))
	return slices.ContainsFunc([]string{
		c.GetId(), c.GetName(), c.GetOrg().GetName(), c.GetConsent().GetUsername(), c.GetLoginUrl(), c.GetOrg().GetInstanceUrl(),
	}, func(text string) bool { return strings.Contains(strings.ToLower(text), search) })
}

// environmentOf is what the org is, or is meant to be while it has not said.
func environmentOf(c *configv1.Connection) configv1.Environment {
	switch meant := c.GetSettings().GetEnvironment(); {
	case c.GetOrg().GetSandbox():
		return configv1.Environment_ENVIRONMENT_SANDBOX
	case c.GetOrg() != nil:
		return configv1.Environment_ENVIRONMENT_PRODUCTION
	case meant != configv1.Environment_ENVIRONMENT_UNSPECIFIED:
		return meant
	case strings.HasPrefix(c.GetLoginUrl(), "https://test.salesforce.com"):
		return configv1.Environment_ENVIRONMENT_SANDBOX
	}
	return configv1.Environment_ENVIRONMENT_PRODUCTION
}

// loginOf tells in three words where a connection stands.
func loginOf(status *configv1.ConnectionStatus) configv1.LoginStatus {
	switch state := status.GetState(); {
	case state == connstate.Unknown:
		return configv1.LoginStatus_LOGIN_STATUS_NOT_AVAILABLE
	case !connstate.Usable(state):
		return configv1.LoginStatus_LOGIN_STATUS_LOGGED_OUT
	case state == connstate.Degraded && keepsUsOut(status.GetReason()):
		return configv1.LoginStatus_LOGIN_STATUS_NOT_AVAILABLE
	}
	return configv1.LoginStatus_LOGIN_STATUS_LOGGED_IN
}

// keepsUsOut reports whether an org that has not revoked anything lets us in all the same.
func keepsUsOut(reason streamv1.Reason) bool {
	switch reason {
	case streamv1.Reason_REASON_SF_APP_BLOCKED, streamv1.Reason_REASON_SF_IP_RESTRICTED, streamv1.Reason_REASON_SF_API_DISABLED,
		streamv1.Reason_REASON_SF_UNAVAILABLE:
		return true
	}
	return false
}

// activityOf tells whether integrations write through a connection, and how many there are.
func activityOf(c *configv1.Connection, integrations []*configv1.Integration) (configv1.ActivityStatus, int32) {
	status, n := configv1.ActivityStatus_ACTIVITY_STATUS_INACTIVE, int32(0)
	for _, i := range integrations {
		if i.GetConnection() != c.GetId() {
			continue
		}
		n++
		if i.GetEnabled() {
			status = configv1.ActivityStatus_ACTIVITY_STATUS_ACTIVE
		}
	}
	if c.GetPaused() || !c.GetEntitlement().GetEntitled() {
		status = configv1.ActivityStatus_ACTIVITY_STATUS_PAUSED
	}
	return status, n
}
