package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// PutIntegration implements configv1.ConfigServiceServer.
func (s *Server) PutIntegration(ctx context.Context, req *configv1.PutIntegrationRequest) (*configv1.PutIntegrationResponse, error) {
	next := proto.CloneOf(req.GetIntegration())
	if err := s.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	integration.ReduceCampaigns(next)
	if err := s.afterDeletion(ctx, next); err != nil {
		return nil, err
	}
	notes, err := s.checkIntegration(ctx, next)
	if err != nil {
		return nil, err
	}
	if next.Suspended, err = s.staysSuspended(ctx, next); err != nil {
		return nil, err
	}
	if err := s.saveIntegration(ctx, next); err != nil {
		return nil, err
	}
	return &configv1.PutIntegrationResponse{Integration: next, Notes: notes}, nil
}

// staysSuspended says whether an integration that went off with its connection is still offered to be switched on with it: it is
// output only, and whoever switches it on needs no offer.
func (s *Server) staysSuspended(ctx context.Context, next *configv1.Integration) (bool, error) {
	if next.GetVersion() == 0 || next.GetEnabled() {
		return false, nil
	}
	old := &configv1.Integration{}
	_, err := s.load(ctx, integrationKey(next), old)
	return old.GetSuspended(), err
}

// saveIntegration saves next, which says the version it replaces, as the one after.
func (s *Server) saveIntegration(ctx context.Context, next *configv1.Integration) error {
	save, err := s.versionOf(ctx, next)
	if err != nil {
		return err
	}
	if err := s.deps.Documents.Put(ctx, save); err != nil {
		return err
	}
	s.judge(ctx, next)
	return nil
}

// versionOf makes an integration the next version of what is there, in force from now on, and returns how to save it.
func (s *Server) versionOf(ctx context.Context, next *configv1.Integration) (store.Save, error) {
	expected := next.GetVersion()
	old := &configv1.Integration{}
	if expected != 0 {
		if _, err := s.load(ctx, integrationKey(next), old); err != nil {
			return store.Save{}, err
		}
	}
	next.EffectiveFrom, next.Version = timestamppb.New(s.effectiveFrom(next, old)), expected+1
	return s.prepared(ctx, store.Save{Key: integrationKey(next), Expected: expected}, next)
}

// judge looks whether integrations that were just saved fit their orgs.
func (s *Server) judge(ctx context.Context, saved ...*configv1.Integration) {
	for _, i := range saved {
		if err := s.deps.Catalogue.JudgeSaved(ctx, i); err != nil {
			s.deps.Logger.ErrorContext(ctx, "an integration was saved, and the list of broken ones may be wrong until the next look at its org",
				"workspace", i.GetWorkspace(), "integration", i.GetId(), "error", err)
		}
	}
}

// effectiveFrom is when the version to be saved comes into force: now, and never before the version it replaces, so that
// what happened before the edit keeps the version of its time (IMM-17). A creation may choose.
func (s *Server) effectiveFrom(next, old *configv1.Integration) time.Time {
	now := s.deps.Clock.Now()
	if next.GetVersion() == 0 {
		if next.EffectiveFrom != nil {
			return next.GetEffectiveFrom().AsTime()
		}
		return now
	}
	if before := old.GetEffectiveFrom().AsTime(); before.After(now) {
		return before
	}
	return now
}

func (s *Server) checkIntegration(ctx context.Context, next *configv1.Integration) (notes []string, err error) {
	var v violations
	key := store.Key{Workspace: next.GetWorkspace(), Kind: store.KindConnection, ID: next.GetConnection()}
	switch _, err := s.deps.Documents.Get(ctx, key); {
	case errors.Is(err, store.ErrNotFound):
		v.add("integration.connection", "the workspace has no connection %q", next.GetConnection())
	case err != nil:
		return nil, err
	}
	if next.EffectiveFrom != nil && !next.GetEffectiveFrom().IsValid() {
		v.add("integration.effective_from", "not a valid time")
	}
	names := map[string]bool{}
	for i, action := range next.GetActions() {
		if names[action.GetName()] {
			v.add(fmt.Sprintf("integration.actions[%d].name", i), "%q is there twice; it is part of the write key", action.GetName())
		}
		names[action.GetName()] = true
		checkZone(&v, fmt.Sprintf("integration.actions[%d].assignment.time_zone", i), action.GetAssignment().GetTimeZone())
	}
	program, err := s.deps.Compile(proto.CloneOf(next))
	addProblems(&v, err)
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := s.checkRights(ctx, &v, next); err != nil {
		return nil, err
	}
	if notes, err = s.checkCatalogue(ctx, &v, next, program); err != nil {
		return nil, err
	}
	if err := s.checkUsers(ctx, &v, next); err != nil {
		return nil, err
	}
	campaigns, err := s.checkCampaigns(ctx, &v, next)
	if err != nil {
		return nil, err
	}
	return append(notes, campaigns...), v.err()
}

// checkUsers refuses assignees who are not there (IMM-29). An org that cannot be asked keeps nobody from saving: a user who is
// not there is passed over at run time, too, with a warning.
func (s *Server) checkUsers(ctx context.Context, v *violations, next *configv1.Integration) error {
	named := map[string]string{} // the field, by the user it names
	for i, action := range next.GetActions() {
		if id, ok := integration.FixedUser(action.GetAssignment()); ok && !action.GetDisabled() {
			named[id] = fmt.Sprintf("integration.actions[%d].assignment.fixed_user_id", i)
		}
	}
	if len(named) == 0 || !next.GetEnabled() { // What is switched off assigns nobody, and must not be kept on by this.
		return nil
	}
	c := &configv1.Connection{Workspace: next.GetWorkspace(), Id: next.GetConnection()}
	if _, err := s.load(ctx, connectionKey(c), c); err != nil {
		return err
	}
	active, err := s.activeUsers(ctx, c, slices.Sorted(maps.Keys(named)))
	if err != nil {
		s.deps.Logger.WarnContext(ctx, "saving an integration without asking its org whether the users it names are there",
			"workspace", next.GetWorkspace(), "integration", next.GetId(), "connection", c.GetId(), "error", err)
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(named)) {
		if !slices.Contains(active, id) {
			v.add(named[id], "the org of connection %q has no active user %s that it lets us see", c.GetId(), id)
		}
	}
	return nil
}

func (s *Server) activeUsers(ctx context.Context, c *configv1.Connection, ids []string) ([]string, error) {
	access, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), nil)
	if err != nil {
		return nil, err
	}
	return s.deps.Orgs.ActiveUsers(ctx, c, access, ids)
}

// addProblems adds what the compiler found, unless an earlier check has said something of the same field.
func addProblems(v *violations, err error) {
	var found *integration.Error
	switch {
	case err == nil:
		return
	case !errors.As(err, &found):
		v.add("integration", "%s", err)
		return
	}
	said := map[string]bool{}
	for _, f := range *v {
		said[f.GetField()] = true
	}
	for _, p := range found.Problems {
		field, text := "integration."+p.Path, p.Message
		if p.Line > 0 {
			text = fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, text)
		}
		if !said[field] {
			v.add(field, "%s", text)
		}
	}
}

// GetIntegration implements configv1.ConfigServiceServer.
func (s *Server) GetIntegration(ctx context.Context, req *configv1.GetIntegrationRequest) (*configv1.GetIntegrationResponse, error) {
	out := &configv1.Integration{Workspace: req.GetWorkspace(), Id: req.GetIntegration()}
	key := integrationKey(out)
	if req.GetVersion() == 0 {
		out, err := s.integration(ctx, req.GetWorkspace(), req.GetIntegration())
		return &configv1.GetIntegrationResponse{Integration: out}, err
	}
	doc, err := s.deps.Directory.GetVersion(ctx, key, req.GetVersion())
	if err != nil {
		return nil, err
	}
	return &configv1.GetIntegrationResponse{Integration: out}, decode(doc, out)
}

// ListIntegrations implements configv1.ConfigServiceServer.
func (s *Server) ListIntegrations(ctx context.Context, req *configv1.ListIntegrationsRequest) (*configv1.ListIntegrationsResponse, error) {
	integrations, err := s.integrations(ctx, req.GetWorkspace())
	return &configv1.ListIntegrationsResponse{Integrations: integrations}, err
}

// integrations reads the newest versions of those that were not deleted, by id.
func (s *Server) integrations(ctx context.Context, workspace string) ([]*configv1.Integration, error) {
	all, err := list[configv1.Integration](ctx, s, workspace, store.KindIntegration)
	return slices.DeleteFunc(all, func(i *configv1.Integration) bool { return i.GetDeletedAt() != nil }), err
}

// integration reads the newest version; the error is store.ErrNotFound if it was deleted.
func (s *Server) integration(ctx context.Context, workspace, id string) (*configv1.Integration, error) {
	out := &configv1.Integration{Workspace: workspace, Id: id}
	_, err := s.load(ctx, integrationKey(out), out)
	if err == nil && out.GetDeletedAt() != nil {
		err = store.ErrNotFound
	}
	return out, err
}

func integrationKey(i *configv1.Integration) store.Key {
	return store.Key{Workspace: i.GetWorkspace(), Kind: store.KindIntegration, ID: i.GetId()}
}
