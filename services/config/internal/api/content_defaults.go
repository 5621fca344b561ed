package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/defaults"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ContentDefaults implements configv1.ContentDefaultsServiceServer (LOOM-36, LOOM-37). What is said of Server holds here too.
type ContentDefaults struct {
	configv1.UnimplementedContentDefaultsServiceServer
	docs *Server
}

// NewContentDefaults returns a server.
func NewContentDefaults(docs *Server) *ContentDefaults { return &ContentDefaults{docs: docs} }

// contentDefaults reads a workspace's defaults; without any they are empty, of version 0.
func (s *Server) contentDefaults(ctx context.Context, workspace string) (*configv1.ContentDefaults, error) {
	out := &configv1.ContentDefaults{Workspace: workspace}
	_, err := s.load(ctx, contentDefaultsKey(workspace), out)
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	return out, err
}

func contentDefaultsKey(workspace string) store.Key {
	return store.Key{Workspace: workspace, Kind: store.KindContentDefaults, ID: workspace}
}

// GetContentDefaults implements configv1.ContentDefaultsServiceServer.
func (c *ContentDefaults) GetContentDefaults(ctx context.Context, req *configv1.GetContentDefaultsRequest) (*configv1.GetContentDefaultsResponse, error) {
	if err := c.docs.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	d, err := c.docs.contentDefaults(ctx, req.GetWorkspace())
	return &configv1.GetContentDefaultsResponse{Defaults: d}, err
}

// PutContentDefaults implements configv1.ContentDefaultsServiceServer.
func (c *ContentDefaults) PutContentDefaults(ctx context.Context, req *configv1.PutContentDefaultsRequest) (*configv1.PutContentDefaultsResponse, error) {
	saved := proto.CloneOf(req.GetDefaults())
	if err := c.docs.requireWorkspace(ctx, saved.GetWorkspace()); err != nil {
		return nil, err
	}
	var v violations
	equal := defaults.EqualRanks(saved)
	for _, id := range slices.Sorted(maps.Keys(equal)) {
		v.add("defaults.groups["+id+"].rank", "%s", equal[id])
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	expected := saved.GetVersion()
	saved.Version = expected + 1
	if err := c.docs.save(ctx, contentDefaultsKey(saved.GetWorkspace()), expected, saved, nil); err != nil {
		return nil, err
	}
	return &configv1.PutContentDefaultsResponse{Defaults: saved}, nil
}

// ResolveContentDefaults implements configv1.ContentDefaultsServiceServer.
func (c *ContentDefaults) ResolveContentDefaults(ctx context.Context, req *configv1.ResolveContentDefaultsRequest) (*configv1.ResolveContentDefaultsResponse, error) {
	rules, _, err := c.rules(ctx, req.GetWorkspace(), req.GetGroups())
	if err != nil {
		return nil, err
	}
	return &configv1.ResolveContentDefaultsResponse{Decided: rules.Decide(req.GetGroups(), req.GetChoice())}, nil
}

// rules reads what decides in a workspace, and refuses groups that it does not know: taken for groups that say nothing, they
// would let the wrong value through without a word.
func (c *ContentDefaults) rules(ctx context.Context, workspace string, groups []string) (defaults.Rules, *configv1.Workspace, error) {
	if err := c.docs.requireWorkspace(ctx, workspace); err != nil {
		return defaults.Rules{}, nil, err
	}
	ws := &configv1.Workspace{}
	if _, err := c.docs.load(ctx, workspaceKey(workspace), ws); err != nil {
		return defaults.Rules{}, nil, err
	}
	d, err := c.docs.contentDefaults(ctx, workspace)
	if err != nil {
		return defaults.Rules{}, nil, err
	}
	rules := defaults.Of(ws, d)
	if unknown := rules.Unknown(groups); len(unknown) > 0 {
		return rules, ws, status.Errorf(codes.NotFound, "workspace %q has no defaults for the group %s: add it, without switches if it is to say nothing",
			workspace, strings.Join(unknown, ", "))
	}
	return rules, ws, nil
}

// RecordContent implements configv1.ContentDefaultsServiceServer.
func (c *ContentDefaults) RecordContent(ctx context.Context, req *configv1.RecordContentRequest) (*configv1.RecordContentResponse, error) {
	rules, ws, err := c.rules(ctx, req.GetWorkspace(), req.GetGroups())
	if err != nil {
		return nil, err
	}
	setting := &configv1.ContentSetting{Workspace: req.GetWorkspace(), ContentId: req.GetContentId()}
	switch _, err := c.docs.load(ctx, contentKey(setting), setting); {
	case err == nil:
		return &configv1.RecordContentResponse{Setting: setting}, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	decided := rules.Decide(req.GetGroups(), req.GetChoice())
	setting.Tracking, setting.RequireAddress, setting.Version = decided.GetTracking().GetOn(), decided.GetRequireAddress().GetOn(), 1
	setting.Origin = originOf(req, decided)
	out := &configv1.RecordContentResponse{Setting: setting, Recorded: true, Decided: decided}
	saves := make([]store.Save, 1)
	if saves[0], err = c.docs.prepared(ctx, store.Save{Key: contentKey(setting)}, setting); err != nil {
		return nil, err
	}
	var save *store.Save
	if out.Workflow, save, out.Notes, err = c.docs.defaultWorkflow(ctx, ws, req.GetContentId()); err != nil {
		return nil, err
	}
	if save != nil {
		saves = append(saves, *save)
	}
	err = c.docs.deps.Documents.PutAll(ctx, saves)
	if errors.Is(err, store.ErrStale) { // somebody recorded it at the same time
		_, err = c.docs.load(ctx, contentKey(setting), setting)
		return &configv1.RecordContentResponse{Setting: setting}, err
	}
	if err != nil {
		return nil, err
	}
	if out.GetWorkflow() != nil {
		c.docs.judge(ctx, out.GetWorkflow())
	}
	return out, nil
}

// originOf keeps by what was decided. A choice that a lock kept from counting is none.
func originOf(req *configv1.RecordContentRequest, decided *configv1.DecidedContent) *configv1.ContentOrigin {
	origin := &configv1.ContentOrigin{Groups: slices.Sorted(slices.Values(req.GetGroups()))}
	if decided.GetChoosable() && req.GetChoice() != nil {
		origin.ChoseTracking, origin.ChoseRequireAddress = req.GetChoice().Tracking, req.GetChoice().RequireAddress
	}
	return origin
}
