package api

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// saveTries is how often another save of the same setting may come in between, where the caller has not read a version.
const saveTries = 3

// SetPlan implements configv1.PlanServiceServer.
func (s *Server) SetPlan(ctx context.Context, req *configv1.SetPlanRequest) (*configv1.SetPlanResponse, error) {
	next := proto.CloneOf(req.GetPlan())
	if next.EffectiveFrom == nil {
		next.EffectiveFrom = timestamppb.New(s.deps.Clock.Now())
	}
	if !next.GetEffectiveFrom().IsValid() {
		var v violations
		v.add("plan.effective_from", "not a valid time")
		return nil, v.err()
	}
	if err := s.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		ws, key := &configv1.Workspace{}, workspaceKey(req.GetWorkspace())
		doc, err := s.load(ctx, key, ws)
		if err != nil {
			return nil, err
		}
		ws.Plans = plan.Add(ws.GetPlans(), next)
		ws.Version = doc.Version + 1
		err = s.save(ctx, key, doc.Version, ws, nil)
		if errors.Is(err, store.ErrStale) && try < saveTries {
			continue
		}
		return &configv1.SetPlanResponse{Plans: ws.GetPlans()}, err
	}
}

// GetEntitlements implements configv1.PlanServiceServer.
func (s *Server) GetEntitlements(ctx context.Context, req *configv1.GetEntitlementsRequest) (*configv1.GetEntitlementsResponse, error) {
	plans, err := s.plans(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	connections, err := list[configv1.Connection](ctx, s, req.GetWorkspace(), store.KindConnection)
	if err != nil {
		return nil, err
	}
	resp := &configv1.GetEntitlementsResponse{Plans: plans}
	for _, source := range plan.Sources() {
		e := s.deps.Plans.Entitlement(plans, source, s.deps.Clock.Now())
		for _, c := range connections {
			if plan.OfProduct(c.GetSettings().GetSource()) == source {
				e.Connections = append(e.Connections, c.GetId())
			}
		}
		resp.Entitlements = append(resp.Entitlements, e)
	}
	return resp, nil
}

// plans are what the workspace has subscribed to.
func (s *Server) plans(ctx context.Context, workspace string) ([]*configv1.Plan, error) {
	ws := &configv1.Workspace{}
	_, err := s.load(ctx, workspaceKey(workspace), ws)
	return ws.GetPlans(), err
}

func (s *Server) entitlement(ctx context.Context, workspace string, source plan.Source) (*configv1.Entitlement, error) {
	plans, err := s.plans(ctx, workspace)
	return s.deps.Plans.Entitlement(plans, source, s.deps.Clock.Now()), err
}

// requirePlan refuses what the workspace's plan does not include, and names the plans that do (LOOM-1, ZOOM-1, HOPIN-1).
func (s *Server) requirePlan(ctx context.Context, workspace string, source plan.Source) error {
	plans, err := s.plans(ctx, workspace)
	if err != nil {
		return err
	}
	rules := s.deps.Plans
	lapse := plan.Lapsed(rules.ForConnection(rules.Lapses(plans), source), s.deps.Clock.Now())
	if lapse == nil {
		return nil
	}
	return withDetail(status.New(codes.FailedPrecondition, plan.Text(lapse)+"; workspace "+workspace+" has another or none"),
		&errdetails.ErrorInfo{Reason: "PLAN_NOT_ENTITLED", Domain: errorDomain, Metadata: map[string]string{
			"source": plan.Name(source), "needed": strings.Join(lapse.GetNeeded(), ","),
		}}).Err()
}
