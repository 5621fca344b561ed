package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/diagnose"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// checkMatchPolicy refuses a policy that looks for people by a field that one of the workspace's orgs cannot search (ZOOM-4). A
// policy that stays as it was is not looked at, so that a change of an org keeps nobody from saving something else, and an org
// that cannot be asked keeps nobody from saving either: diagnosis will say it.
func (s *Server) checkMatchPolicy(ctx context.Context, next *configv1.Workspace) error {
	old := &configv1.Workspace{}
	if _, err := s.load(ctx, workspaceKey(next.GetId()), old); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil // it has no connections yet
		}
		return err
	}
	if proto.Equal(old.GetMatchPolicy(), next.GetMatchPolicy()) {
		return nil
	}
	connections, err := list[configv1.Connection](ctx, s, next.GetId(), store.KindConnection)
	if err != nil {
		return err
	}
	var v violations
	for _, c := range connections {
		now, err := s.deps.Keeper.Status(ctx, lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()})
		if err != nil {
			return err
		}
		if connstate.Usable(now.State) {
			if err := s.checkSearchable(ctx, &v, c, next.GetMatchPolicy()); err != nil {
				return err
			}
		}
	}
	return v.err()
}

func (s *Server) checkSearchable(ctx context.Context, v *violations, c *configv1.Connection, policy *configv1.MatchPolicy) error {
	fields := diagnose.MatchFields(policy)
	for _, object := range slices.Sorted(maps.Keys(fields)) {
		described, err := s.deps.Catalogue.Object(ctx, c, object)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.deps.Logger.WarnContext(ctx, "saving a match policy without asking an org whether its fields can be searched",
				"workspace", c.GetWorkspace(), "connection", c.GetId(), "object", object, "error", err)
			continue
		}
		for _, f := range described.Object.GetFields() {
			if !f.GetEncrypted() || f.GetFilterable() || !slices.Contains(fields[object], f.GetName()) {
				continue
			}
			path := "workspace.match_policy." + strings.ToLower(object) + "_email_fields"
			if f.GetName() == "Email" {
				path = "workspace.match_policy.objects"
			}
			v.add(path, "FIELD_ENCRYPTED_PROBABILISTIC: %s.%s is encrypted in the org of connection %q so that nobody can be found by it; encrypt it "+
				"deterministically (Setup › Platform Encryption › Encryption Policy › Encrypt Fields › Encryption Scheme)", object, f.GetName(), c.GetId())
		}
	}
	return nil
}
