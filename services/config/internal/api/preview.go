package api

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/preview"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// PreviewIntegration implements configv1.CatalogueServiceServer.
func (s *Server) PreviewIntegration(ctx context.Context, req *configv1.PreviewIntegrationRequest) (*configv1.PreviewIntegrationResponse, error) {
	if s.deps.Decide == nil {
		return nil, status.Error(codes.Unimplemented, "this installation of the config service runs without mapping's code, so it cannot preview")
	}
	request := preview.Request{Workspace: &configv1.Workspace{}, Samples: req.GetSamples(), Now: s.deps.Clock.Now()}
	if err := s.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	if _, err := s.load(ctx, workspaceKey(req.GetWorkspace()), request.Workspace); err != nil {
		return nil, err
	}
	var err error
	if request.Integration, err = s.previewed(ctx, req); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, &request, req.GetSaved() == ""); err != nil {
		return nil, err
	}
	if req.GetRecorded() != nil {
		results, err := s.previewRecorded(ctx, req, request)
		if err != nil {
			return nil, previewError(err)
		}
		return &configv1.PreviewIntegrationResponse{Results: results}, nil
	}
	if len(request.Samples) == 0 {
		if request.Samples, err = preview.Samples(); err != nil {
			return nil, err
		}
	}
	results, err := preview.Run(s.deps.Decide, request)
	switch invalid := previewError(err); {
	case invalid != err: //nolint:errorlint // it was turned into violations, or it was not
		return nil, invalid
	case err != nil:
		// The samples are the caller's own, so the error quotes nothing that the caller did not send.
		return nil, status.Errorf(codes.InvalidArgument, "the preview failed: %v", err)
	}
	return &configv1.PreviewIntegrationResponse{Results: results}, nil
}

// previewError names what is wrong with an integration that does not compile.
func previewError(err error) error {
	var invalid *integration.Error
	if !errors.As(err, &invalid) {
		return err
	}
	var v violations
	addProblems(&v, err)
	return v.err()
}

// previewed returns the integration to preview. Promise 9: it is the workspace's of the request, whatever it says itself.
func (s *Server) previewed(ctx context.Context, req *configv1.PreviewIntegrationRequest) (*configv1.Integration, error) {
	if id := req.GetSaved(); id != "" {
		return s.integration(ctx, req.GetWorkspace(), id)
	}
	out := proto.CloneOf(req.GetIntegration())
	out.Workspace = req.GetWorkspace()
	integration.ReduceCampaigns(out)
	if out.GetVersion() == 0 {
		out.Version = 1
	}
	return out, nil
}

// prepare adds what is known of the integration's org, asking nobody: its zone and, for an integration that is not saved, the
// lengths of its text fields. There may be no such connection yet.
func (s *Server) prepare(ctx context.Context, request *preview.Request, unsaved bool) error {
	i := request.Integration
	c := &configv1.Connection{Workspace: i.GetWorkspace(), Id: i.GetConnection()}
	_, err := s.load(ctx, connectionKey(c), c)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	request.OrgTimeZone = c.GetOrg().GetTimeZone()
	if err != nil || !unsaved {
		return err
	}
	objects, err := s.deps.Catalogue.Known(ctx, c, i)
	if err != nil {
		return err
	}
	program, err := s.deps.Compile(proto.CloneOf(i))
	if err != nil {
		return nil //nolint:nilerr // the preview will name the problems
	}
	i.DescribedLengths = conform.Lengths(program, objects, nil)
	return nil
}
