package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// goneSeen is how many members that failed for their campaign's sake are looked through (promise 7).
const goneSeen = 1000

// addGoneCampaigns flags the actions of integrations in force whose campaign turned out to be deleted when a member was to be
// added (IMM-40). The run log is what says so: a version that was saved since is not flagged, for saving asks the org.
func (s *Server) addGoneCampaigns(ctx context.Context, req *configv1.ListBrokenRequest, broken []*configv1.BrokenIntegration) ([]*configv1.BrokenIntegration, error) {
	failed, err := s.deps.RunLog.Outcomes(ctx, store.OutcomeQuery{
		Workspace: req.GetWorkspace(), Status: int32(streamv1.Status_STATUS_FAILED), Reason: int32(streamv1.Reason_REASON_CAMPAIGN_GONE), Limit: goneSeen,
	})
	if err != nil || len(failed) == 0 {
		return broken, err
	}
	all, err := s.integrations(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	inForce := map[string]*configv1.Integration{}
	for _, i := range all {
		if i.GetEnabled() && (req.GetConnection() == "" || i.GetConnection() == req.GetConnection()) {
			inForce[i.GetId()] = i
		}
	}
	for _, row := range slices.Backward(failed) { // the oldest first: that is when it was found
		o := &streamv1.Outcome{}
		if err := proto.Unmarshal(row.Body, o); err != nil {
			return nil, fmt.Errorf("decode outcome %s of workspace %s: %w", row.ID, row.Workspace, err)
		}
		if i := inForce[o.GetIntegration()]; i != nil && i.GetVersion() == o.GetIntegrationVersion() {
			broken = flagGone(broken, i, o)
		}
	}
	slices.SortFunc(broken, func(a, b *configv1.BrokenIntegration) int {
		return strings.Compare(a.GetIntegration(), b.GetIntegration())
	})
	return broken, nil
}

// flagGone adds the actions that name the campaign an outcome tells of.
func flagGone(broken []*configv1.BrokenIntegration, i *configv1.Integration, o *streamv1.Outcome) []*configv1.BrokenIntegration {
	for n, action := range i.GetActions() {
		m, ok := integration.MembershipOf(action)
		if !ok || action.GetDisabled() || !strings.Contains(o.GetDetail(), m.Campaign) {
			continue
		}
		problem := &configv1.IntegrationProblem{
			Field: fmt.Sprintf("actions[%d].fields[%d]", n, m.Field),
			Description: fmt.Sprintf("CAMPAIGN_GONE: the campaign %s was deleted, or the integration user cannot see it any more; "+
				"choose another, restore it and save the integration again, or switch the action off", m.Campaign),
		}
		at := slices.IndexFunc(broken, func(b *configv1.BrokenIntegration) bool { return b.GetIntegration() == i.GetId() })
		if at < 0 {
			at, broken = len(broken), append(broken, &configv1.BrokenIntegration{
				Integration: i.GetId(), Version: i.GetVersion(), Connection: i.GetConnection(), FoundAt: timestamppb.New(o.GetDecidedAt().AsTime()),
			})
		}
		known := slices.ContainsFunc(broken[at].GetProblems(), func(p *configv1.IntegrationProblem) bool { return proto.Equal(p, problem) })
		if !known {
			broken[at].Problems = append(broken[at].Problems, problem)
		}
	}
	return broken
}
