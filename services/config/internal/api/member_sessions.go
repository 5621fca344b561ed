package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// sessionID tells sessions apart: the beginning of the hash of their token, which lets nobody in.
func sessionID(m store.MemberSession) string {
	const size = 8
	return hex.EncodeToString(m.Hash[:min(size, len(m.Hash))])
}

// ListMemberSessions implements configv1.AccessServiceServer.
func (a *Access) ListMemberSessions(ctx context.Context, req *configv1.ListMemberSessionsRequest) (*configv1.ListMemberSessionsResponse, error) {
	sessions, err := a.deps.MemberSessions.MemberSessions(ctx, req.GetWorkspace(), req.GetMember(), a.deps.Clock.Now())
	if err != nil {
		return nil, err
	}
	own := auth.FromContext(ctx).Session
	resp := &configv1.ListMemberSessionsResponse{}
	for _, m := range sessions {
		resp.Sessions = append(resp.Sessions, &configv1.MemberSession{
			Id: sessionID(m), Member: m.Member, ExpiresAt: timestamppb.New(m.ExpiresAt), Current: bytes.Equal(m.Hash, own),
		})
	}
	return resp, nil
}

// EndMemberSessions implements configv1.AccessServiceServer.
func (a *Access) EndMemberSessions(ctx context.Context, req *configv1.EndMemberSessionsRequest) (*configv1.EndMemberSessionsResponse, error) {
	member, err := a.deps.Members.Member(ctx, req.GetWorkspace(), req.GetMember())
	if err != nil {
		return nil, err
	}
	if err := mayMake(ctx, member.Role); err != nil {
		return nil, err
	}
	now := a.deps.Clock.Now()
	sessions, err := a.deps.MemberSessions.MemberSessions(ctx, req.GetWorkspace(), member.ID, now)
	if err != nil {
		return nil, err
	}
	if req.GetSession() != "" {
		sessions = slices.DeleteFunc(sessions, func(m store.MemberSession) bool { return sessionID(m) != req.GetSession() })
	}
	act, err := actOf(ctx, now, nil)
	if err != nil {
		return nil, err
	}
	ended, err := a.deps.MemberSessions.EndMemberSessions(ctx, req.GetWorkspace(), sessions, act)
	return &configv1.EndMemberSessionsResponse{Ended: int32(ended)}, err //nolint:gosec // a member has a few
}
