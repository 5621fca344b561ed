package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// checkCampaigns refuses campaigns that are not in the connection's org (IMM-38) and statuses that a campaign does not have,
// for which Salesforce would take the default without a word (IMM-40). It returns notes for confirmation: which campaign it
// is. An org that cannot be asked keeps nobody from saving: at run time members of a missing campaign fail, CAMPAIGN_GONE.
func (s *Server) checkCampaigns(ctx context.Context, v *violations, next *configv1.Integration) ([]string, error) {
	named := map[int]integration.Membership{}
	ids := map[string]bool{}
	for i, action := range next.GetActions() {
		if m, ok := integration.MembershipOf(action); ok && !action.GetDisabled() {
			named[i], ids[m.Campaign] = m, true
		}
	}
	if len(named) == 0 || !next.GetEnabled() { // as for users
		return nil, nil
	}
	c := &configv1.Connection{Workspace: next.GetWorkspace(), Id: next.GetConnection()}
	if _, err := s.load(ctx, connectionKey(c), c); err != nil {
		return nil, err
	}
	campaigns, err := s.campaigns(ctx, c, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		s.deps.Logger.WarnContext(ctx, "saving an integration without asking its org whether the campaigns it names are there",
			"workspace", next.GetWorkspace(), "integration", next.GetId(), "connection", c.GetId(), "error", err)
		return []string{"the org of connection " + c.GetId() + " could not be asked whether the campaigns are there"}, nil
	}
	var notes []string
	for _, i := range slices.Sorted(maps.Keys(named)) {
		m := named[i]
		at := slices.IndexFunc(campaigns, func(x Campaign) bool { return x.ID == m.Campaign })
		if at < 0 {
			v.add(fmt.Sprintf("integration.actions[%d].fields[%d]", i, m.Field),
				"BAD_CAMPAIGN_ID: the org of connection %q has no campaign %s that it lets us see", c.GetId(), m.Campaign)
			continue
		}
		x := campaigns[at]
		if m.Status != "" && !slices.Contains(x.Statuses, m.Status) {
			v.add(fmt.Sprintf("integration.actions[%d].fields[%d]", i, m.StatusField),
				"the campaign has no member status %q; it has %s", m.Status, strings.Join(x.Statuses, ", "))
		}
		note := fmt.Sprintf("campaign %s is %q", x.ID, x.Name)
		if !x.Active {
			note += "; it is inactive, members are added all the same"
		}
		notes = append(notes, note)
	}
	return notes, nil
}

func (s *Server) campaigns(ctx context.Context, c *configv1.Connection, ids []string) ([]Campaign, error) {
	access, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), nil)
	if err != nil {
		return nil, err
	}
	return s.deps.Orgs.Campaigns(ctx, c, access, ids)
}
