package api

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// PutWorkspace implements configv1.ConfigServiceServer.
func (s *Server) PutWorkspace(ctx context.Context, req *configv1.PutWorkspaceRequest) (*configv1.PutWorkspaceResponse, error) {
	if err := s.checkWorkspace(req.GetWorkspace()); err != nil {
		return nil, err
	}
	if err := s.checkMatchPolicy(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	saved := proto.CloneOf(req.GetWorkspace())
	expected := saved.GetVersion()
	saved.Version = expected + 1
	saved.Plans, saved.Lapses = nil, nil // output only: nobody upgrades themselves (LOOM-1)
	var keys []byte
	if expected == 0 {
		var err error
		if keys, err = s.deps.Installation.NewKeys(saved.GetId()); err != nil {
			return nil, err
		}
	} else {
		old := &configv1.Workspace{}
		if _, err := s.load(ctx, workspaceKey(saved.GetId()), old); err != nil {
			return nil, err
		}
		saved.Plans = old.GetPlans()
	}
	if err := s.save(ctx, workspaceKey(saved.GetId()), expected, saved, keys); err != nil {
		return nil, err
	}
	return &configv1.PutWorkspaceResponse{Workspace: saved}, nil
}

// GetWorkspace implements configv1.ConfigServiceServer.
func (s *Server) GetWorkspace(ctx context.Context, req *configv1.GetWorkspaceRequest) (*configv1.GetWorkspaceResponse, error) {
	ws := &configv1.Workspace{}
	_, err := s.load(ctx, workspaceKey(req.GetWorkspace()), ws)
	return &configv1.GetWorkspaceResponse{Workspace: ws}, err
}

// ListWorkspaces implements configv1.ConfigServiceServer. The answer is limited to what the caller may see.
func (s *Server) ListWorkspaces(ctx context.Context, _ *configv1.ListWorkspacesRequest) (*configv1.ListWorkspacesResponse, error) {
	docs, err := s.deps.Directory.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	resp := &configv1.ListWorkspacesResponse{}
	caller := auth.FromContext(ctx)
	for _, doc := range docs {
		if !caller.MaySee(doc.Workspace) { // Promise 9
			continue
		}
		ws := &configv1.Workspace{}
		if err := decode(doc, ws); err != nil {
			return nil, err
		}
		resp.Workspaces = append(resp.Workspaces, ws)
	}
	return resp, nil
}

// orderBy is what a ranking may consist of. It becomes part of a query, and identity must be able to compare by it: with
// anything else it would put off every engagement of the workspace.
var orderBy = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,79}( (ASC|DESC))?$`)

// checkWorkspace finds what the proto's own rules cannot express.
func (s *Server) checkWorkspace(ws *configv1.Workspace) error {
	var v violations
	if own := ws.GetRetention(); own != nil && s.deps.CheckRetention != nil {
		if field, problem := s.deps.CheckRetention(own); field != "" {
			v.add("workspace.retention."+field, "%s", problem)
		}
	}
	checkZone(&v, "workspace.time_zone", ws.GetTimeZone())
	if err := integration.CheckZoneRule(ws.GetZoneRule(), ws.GetTimeZone()); err != nil {
		v.add("workspace.zone_rule", "%s", err)
	}
	if address := ws.GetHistoryUrl(); address != "" {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
			v.add("workspace.history_url", "want an http or https address without user name")
		}
	}
	if ws.Lateness != nil && (ws.GetLateness().AsDuration() < time.Minute || ws.GetLateness().AsDuration() > 366*24*time.Hour) {
		v.add("workspace.lateness", "want 1 minute to 366 days")
	}
	if n := ws.GetVisits().GetViewSeconds(); !(n >= 0 && n <= 86400) {
		v.add("workspace.visits.view_seconds", "want 0 to 86400")
	}
	if n := ws.GetVisits().GetViewPercent(); !(n >= 0 && n <= 100) {
		v.add("workspace.visits.view_percent", "want 0 to 100")
	}
	objects := ws.GetMatchPolicy().GetObjects()
	if len(objects) == 2 && objects[0] == objects[1] {
		v.add("workspace.match_policy.objects", "%s is there twice", objects[0])
	}
	for _, field := range ws.GetMatchPolicy().GetOrderBy() {
		if !orderBy.MatchString(field) {
			v.add("workspace.match_policy.order_by", "%q is not a field with ASC or DESC", field)
		}
	}
	return v.err()
}

// checkZone accepts IANA names and "".
func checkZone(v *violations, field, zone string) {
	if zone == "" {
		return
	}
	if _, err := time.LoadLocation(zone); err != nil || strings.EqualFold(zone, "local") {
		v.add(field, "%q is not a time zone such as Asia/Tokyo", zone)
	}
}
