package privacy

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Proposals keeps erasures that orgs propose (XC-32).
type Proposals interface {
	Proposals(ctx context.Context, workspace string, limit int) ([]store.Proposal, error)
	Proposal(ctx context.Context, workspace, id string) (store.Proposal, error)
	DismissProposal(ctx context.Context, workspace, id string, act store.Act) error
}

// maxListed is the most proposals of one answer; deciding on some makes room for others.
const maxListed = 1000

// ListErasureProposals implements configv1.PrivacyServiceServer.
func (s *Server) ListErasureProposals(ctx context.Context, req *configv1.ListErasureProposalsRequest) (*configv1.ListErasureProposalsResponse, error) {
	all, err := s.deps.Proposals.Proposals(ctx, req.GetWorkspace(), maxListed)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListErasureProposalsResponse{}
	for _, p := range all {
		resp.Proposals = append(resp.Proposals, &configv1.ErasureProposal{
			Workspace: p.Workspace, Id: p.ID, Connection: p.Connection, Object: p.Object, RecordId: p.RecordID,
			ProposedAt: timestamppb.New(p.ProposedAt),
		})
	}
	return resp, nil
}

// ConfirmErasureProposal implements configv1.PrivacyServiceServer. The proposal ends with the start of the erasure.
func (s *Server) ConfirmErasureProposal(ctx context.Context, req *configv1.ConfirmErasureProposalRequest) (*configv1.ConfirmErasureProposalResponse, error) {
	if !req.GetConfirm() {
		return nil, status.Error(codes.InvalidArgument, "confirm: an erasure cannot be undone; set it when you are sure")
	}
	if _, err := s.erasable(ctx, req.GetWorkspace(), req.GetBlankRows()); err != nil {
		return nil, err
	}
	p, err := s.deps.Proposals.Proposal(ctx, req.GetWorkspace(), req.GetProposalId())
	if err != nil {
		return nil, proposalStatus(err)
	}
	out, err := s.start(ctx, []string{p.PersonKey}, &configv1.Erasure{Workspace: p.Workspace, Addresses: 1, BlankRows: req.GetBlankRows()})
	return &configv1.ConfirmErasureProposalResponse{Erasure: out}, err
}

// DismissErasureProposal implements configv1.PrivacyServiceServer.
func (s *Server) DismissErasureProposal(ctx context.Context, req *configv1.DismissErasureProposalRequest) (*configv1.DismissErasureProposalResponse, error) {
	act, err := api.ActOf(ctx, s.deps.Clock.Now())
	if err != nil {
		return nil, err
	}
	if err := s.deps.Proposals.DismissProposal(ctx, req.GetWorkspace(), req.GetProposalId(), act); err != nil {
		return nil, proposalStatus(err)
	}
	s.audit(ctx, "a proposed erasure is dismissed", "workspace", req.GetWorkspace(), "proposal", req.GetProposalId())
	return &configv1.DismissErasureProposalResponse{}, nil
}

func proposalStatus(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return status.Error(codes.NotFound, "there is no such proposal in this workspace, or somebody has decided on it")
	}
	return err
}
