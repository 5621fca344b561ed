package api

import (
	"context"
	"crypto/rand"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// maxOperatorAccess is how many grants are told of at most.
const maxOperatorAccess = 1000

// GrantOperatorAccess implements configv1.AccessServiceServer.
func (a *Access) GrantOperatorAccess(ctx context.Context, req *configv1.GrantOperatorAccessRequest) (*configv1.GrantOperatorAccessResponse, error) {
	if err := a.docs.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	now := a.deps.Clock.Now()
	var v violations
	until := timeOf(&v, "expires_at", req.GetExpiresAt())
	if err := v.err(); err != nil {
		return nil, err
	}
	if !until.After(now) || until.After(now.Add(a.deps.Limits.Operator)) {
		v.add("expires_at", "want a time in the future, at most %s from now", a.deps.Limits.Operator)
		return nil, v.err()
	}
	grant := store.OperatorAccess{
		Workspace: req.GetWorkspace(), ID: rand.Text(), Operator: req.GetOperator(), Reason: req.GetReason(),
		GrantedBy: auth.FromContext(ctx).Name, GrantedAt: now, ExpiresAt: until,
	}
	message := grantMessage(grant)
	act, err := actOf(because(ctx, req.GetReason()), now, changes.Between(nil, message, "workspace"))
	if err != nil {
		return nil, err
	}
	if err := a.deps.Operators.GrantOperatorAccess(ctx, grant, act); err != nil {
		return nil, err
	}
	return &configv1.GrantOperatorAccessResponse{Access: message}, nil
}

// ListOperatorAccess implements configv1.AccessServiceServer.
func (a *Access) ListOperatorAccess(ctx context.Context, req *configv1.ListOperatorAccessRequest) (*configv1.ListOperatorAccessResponse, error) {
	grants, err := a.deps.Operators.OperatorAccess(ctx, req.GetWorkspace(), maxOperatorAccess)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListOperatorAccessResponse{}
	for _, g := range grants {
		resp.Access = append(resp.Access, grantMessage(g))
	}
	return resp, nil
}

// RevokeOperatorAccess implements configv1.AccessServiceServer.
func (a *Access) RevokeOperatorAccess(ctx context.Context, req *configv1.RevokeOperatorAccessRequest) (*configv1.RevokeOperatorAccessResponse, error) {
	now := a.deps.Clock.Now()
	act, err := actOf(ctx, now, []*configv1.FieldChange{{Path: "revoked_at", After: `"` + now.UTC().Format("2006-01-02T15:04:05Z") + `"`}})
	if err != nil {
		return nil, err
	}
	grant, err := a.deps.Operators.RevokeOperatorAccess(ctx, req.GetWorkspace(), req.GetAccess(), act)
	if err != nil {
		return nil, err
	}
	return &configv1.RevokeOperatorAccessResponse{Access: grantMessage(grant)}, nil
}

func grantMessage(g store.OperatorAccess) *configv1.OperatorAccess {
	out := &configv1.OperatorAccess{
		Id: g.ID, Workspace: g.Workspace, Operator: g.Operator, Reason: g.Reason, GrantedBy: g.GrantedBy,
		GrantedAt: timestamppb.New(g.GrantedAt), ExpiresAt: timestamppb.New(g.ExpiresAt),
	}
	if !g.RevokedAt.IsZero() {
		out.RevokedAt = timestamppb.New(g.RevokedAt)
	}
	return out
}
