package api

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/guide"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// GetAppGuide implements configv1.SetupServiceServer.
func (s *Server) GetAppGuide(ctx context.Context, req *configv1.GetAppGuideRequest) (*configv1.GetAppGuideResponse, error) {
	if err := s.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	callback := ""
	if s.deps.Pages {
		callback = s.deps.Consent.CallbackURL()
	}
	return &configv1.GetAppGuideResponse{Guides: guide.Apps(callback)}, nil
}

// GetSetupGuide implements configv1.SetupServiceServer.
func (s *Server) GetSetupGuide(ctx context.Context, req *configv1.GetSetupGuideRequest) (*configv1.GetSetupGuideResponse, error) {
	c, err := s.connectionOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	now, err := s.deps.Keeper.Status(ctx, lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()})
	if err != nil {
		return nil, err
	}
	out := &configv1.GetSetupGuideResponse{Status: now.Message(), Outgoing: &configv1.OutgoingAddresses{
		Networks: s.deps.Outgoing.InUse(), Announced: s.deps.Outgoing.Announced(), Where: guide.Addresses(),
	}}
	if c.GetSettings().GetNeedsPackage() {
		demand := s.deps.Demand(c)
		out.Package = &configv1.PackageReport{RequiredVersion: demand.MinVersion, InstallUrl: demand.InstallURL}
	}
	d, err := s.deps.Diagnosis.Last(ctx, c.GetWorkspace(), c.GetId())
	if errors.Is(err, store.ErrNotFound) {
		out.Policies = probe.Policies(probe.Facts{})
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out.AskedAt, out.Layouts = d.GetAt(), d.GetLayouts()
	if found := d.GetPackage(); found != nil && out.Package != nil {
		out.Package.InstalledVersion, out.Package.Unavailable = found.GetInstalledVersion(), found.GetUnavailable()
	}
	for _, r := range d.GetResults() {
		switch {
		case slices.Contains([]string{probe.PolicyUsers, probe.PolicyTokens, probe.PolicyIP}, r.GetProbe()):
			out.Policies = append(out.Policies, r)
		case r.GetStatus() != configv1.ProbeStatus_PROBE_STATUS_OK:
			out.Findings = append(out.Findings, r)
		}
	}
	return out, nil
}

// ListMissingFields implements configv1.SetupServiceServer.
func (s *Server) ListMissingFields(ctx context.Context, req *configv1.ListMissingFieldsRequest) (*configv1.ListMissingFieldsResponse, error) {
	if err := s.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	i := &configv1.Integration{Workspace: req.GetWorkspace(), Id: req.GetSaved()}
	if req.GetIntegration() != nil {
		i = proto.CloneOf(req.GetIntegration())
		i.Workspace = req.GetWorkspace() // promise 9
		integration.ReduceCampaigns(i)
	} else if _, err := s.load(ctx, integrationKey(i), i); err != nil {
		return nil, err
	}
	program, err := s.deps.Compile(proto.CloneOf(i))
	if err != nil {
		var v violations
		addProblems(&v, err)
		return nil, v.err()
	}
	c, err := s.connectionOf(ctx, i.GetWorkspace(), i.GetConnection())
	if err != nil {
		return nil, err
	}
	out := &configv1.ListMissingFieldsResponse{User: userOf(c)}
	if !req.GetNoRefresh() {
		if out.Refreshed, err = s.deps.Catalogue.Refresh(ctx, c, conform.Used(i)); err != nil {
			return nil, err
		}
	}
	objects := map[string]*configv1.DescribedObject{}
	for _, name := range conform.Used(i) {
		described, err := s.deps.Catalogue.Object(ctx, c, name)
		if err != nil {
			return nil, err
		}
		if described.Old != nil {
			return nil, status.Errorf(codes.Unavailable, "the org of connection %q could not be asked; what it said at %s may be out of date",
				c.GetId(), described.AskedAt.UTC())
		}
		objects[name] = described.Object
	}
	out.Fields = guide.Missing(program.Targets(), objects)
	out.Text = guide.Ask(out.GetFields(), out.GetUser())
	return out, nil
}

// userOf is the user who reads and writes through a connection, "" when that is the org's to say.
func userOf(c *configv1.Connection) string {
	if name := c.GetConsent().GetUsername(); name != "" {
		return name
	}
	return c.GetJwtBearer().GetSubject()
}
