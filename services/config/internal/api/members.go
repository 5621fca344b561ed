package api

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// PutMember implements configv1.AccessServiceServer.
func (a *Access) PutMember(ctx context.Context, req *configv1.PutMemberRequest) (*configv1.PutMemberResponse, error) {
	next := proto.CloneOf(req.GetMember())
	if err := a.docs.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	var old store.Member
	if next.GetVersion() > 0 {
		var err error
		if old, err = a.deps.Members.Member(ctx, next.GetWorkspace(), next.GetId()); err != nil {
			return nil, err
		}
		if old.Version != next.GetVersion() {
			return nil, store.ErrStale
		}
	} else if err := a.roomFor(ctx, next); err != nil {
		return nil, err
	}
	if err := mayMake(ctx, old.Role, int32(next.GetRole())); err != nil {
		return nil, err
	}
	saved, err := a.merged(ctx, old, next)
	if err != nil {
		return nil, err
	}
	found := changes.Between(messageOf(old), messageOf(saved), "version")
	if next.GetEmail() != "" {
		found = append(found, &configv1.FieldChange{Path: "email", Concealed: true})
	}
	act, err := actOf(ctx, a.deps.Clock.Now(), found)
	if err != nil {
		return nil, err
	}
	switch err := a.deps.Members.PutMember(ctx, saved, act); {
	case errors.Is(err, store.ErrStale) && saved.Version == 0:
		return nil, status.Errorf(codes.AlreadyExists, "the workspace has a member %q", saved.ID)
	case err != nil:
		return nil, err
	}
	saved.Version++
	return &configv1.PutMemberResponse{Member: messageOf(saved)}, nil
}

// roomFor bounds the members of a workspace (promise 7).
func (a *Access) roomFor(ctx context.Context, next *configv1.Member) error {
	members, err := a.deps.Members.Members(ctx, next.GetWorkspace())
	if err == nil && len(members) >= a.deps.Limits.Members {
		return status.Errorf(codes.FailedPrecondition, "the workspace has %d members, the most there may be", len(members))
	}
	return err
}

// mayMake lets only owners, and administrators of the whole installation, touch owners.
func mayMake(ctx context.Context, roles ...int32) error {
	caller := auth.FromContext(ctx)
	if caller.Role == auth.RoleOwner || caller.Installation() {
		return nil
	}
	for _, role := range roles {
		if role == store.RoleOwner {
			return status.Error(codes.PermissionDenied, "only owners may make, change or remove owners")
		}
	}
	return nil
}

// merged is what is to be stored. An address is only kept until the member's subject is known.
func (a *Access) merged(ctx context.Context, old store.Member, next *configv1.Member) (store.Member, error) {
	out := store.Member{
		Workspace: next.GetWorkspace(), ID: next.GetId(), Name: next.GetName(), Role: int32(next.GetRole()), Version: next.GetVersion(),
		Subject: old.Subject, EmailHash: old.EmailHash,
	}
	email := normalize.Fold(next.GetEmail())
	var v violations
	switch {
	case next.GetSubject() != "":
		out.Subject, out.EmailHash = next.GetSubject(), nil
	case email != "" && !strings.Contains(email, "@"):
		v.add("member.email", "want an address")
	case email != "":
		hash, err := a.emailHash(ctx, next.GetWorkspace(), email)
		if err != nil {
			return store.Member{}, err
		}
		out.Subject, out.EmailHash = "", hash // whoever signs in with it next
	case out.Subject == "" && out.EmailHash == nil:
		v.add("member.email", "say how the member signs in: by email or by subject")
	}
	return out, v.err()
}

// emailHash recognises an address without keeping it. Promise 8.
func (a *Access) emailHash(ctx context.Context, workspace, email string) ([]byte, error) {
	doc, err := a.deps.Documents.Get(ctx, workspaceKey(workspace))
	if err != nil {
		return nil, err
	}
	keys, err := a.deps.Installation.OpenKeys(workspace, doc.Sealed)
	if err != nil {
		return nil, err
	}
	return keys.Hash([]byte("member\x00" + email)), nil
}

func messageOf(m store.Member) *configv1.Member {
	return &configv1.Member{
		Workspace: m.Workspace, Id: m.ID, Name: m.Name, Role: configv1.Role(m.Role), Subject: m.Subject, Version: m.Version,
	}
}

// ListMembers implements configv1.AccessServiceServer.
func (a *Access) ListMembers(ctx context.Context, req *configv1.ListMembersRequest) (*configv1.ListMembersResponse, error) {
	members, err := a.deps.Members.Members(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListMembersResponse{}
	for _, m := range members {
		resp.Members = append(resp.Members, messageOf(m))
	}
	return resp, nil
}

// RemoveMember implements configv1.AccessServiceServer.
func (a *Access) RemoveMember(ctx context.Context, req *configv1.RemoveMemberRequest) (*configv1.RemoveMemberResponse, error) {
	old, err := a.deps.Members.Member(ctx, req.GetWorkspace(), req.GetMember())
	if err != nil {
		return nil, err
	}
	if err := mayMake(ctx, old.Role); err != nil {
		return nil, err
	}
	act, err := actOf(ctx, a.deps.Clock.Now(), changes.Between(messageOf(old), nil, "version"))
	if err != nil {
		return nil, err
	}
	return &configv1.RemoveMemberResponse{}, a.deps.Members.RemoveMember(ctx, old, act)
}
