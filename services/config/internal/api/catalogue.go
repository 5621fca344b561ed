package api

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/catalogue"
	"github.com/throughline-dev/throughline/services/config/internal/conform"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// checkCatalogue refuses what the connection's org does not have or does not let its user write (XC-38), and notes the
// lengths of the text fields with the integration (XC-37). An org that cannot be asked keeps nobody from saving, and neither
// does it of what is switched off.
func (s *Server) checkCatalogue(ctx context.Context, v *violations, next *configv1.Integration, program *integration.Program) ([]string, error) {
	known, err := s.knownLengths(ctx, next)
	if err != nil {
		return nil, err
	}
	next.DescribedLengths = known // output only
	if !next.GetEnabled() {
		return nil, nil
	}
	return s.fit(ctx, v, next, program)
}

// fit judges an integration by its org, and notes the lengths of its text fields.
func (s *Server) fit(ctx context.Context, v *violations, next *configv1.Integration, program *integration.Program) ([]string, error) {
	c := &configv1.Connection{Workspace: next.GetWorkspace(), Id: next.GetConnection()}
	if _, err := s.load(ctx, connectionKey(c), c); err != nil {
		return nil, err
	}
	objects, notes, err := s.deps.Catalogue.Gather(ctx, c, next)
	if err != nil {
		return nil, err
	}
	next.DescribedLengths = conform.Lengths(program, objects, next.GetDescribedLengths())
	if program, err = s.deps.Compile(proto.CloneOf(next)); err != nil { // once more, with the lengths
		addProblems(v, err)
		return notes, nil
	}
	report, said := conform.Check(program, objects), slices.Clone(*v)
	for _, p := range catalogue.Problems(report.Problems) {
		if field := "integration." + p.GetField(); !said.has(field) { // diagnosis says where to change it
			v.add(field, "%s", p.GetDescription())
		}
	}
	return append(notes, report.Notes...), nil
}

// knownLengths are those that the version before was saved with.
func (s *Server) knownLengths(ctx context.Context, next *configv1.Integration) (map[string]int32, error) {
	if next.GetVersion() == 0 {
		return nil, nil
	}
	old := &configv1.Integration{}
	if _, err := s.load(ctx, integrationKey(next), old); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil // saving will say so
		}
		return nil, err
	}
	return old.GetDescribedLengths(), nil
}

// ListObjects implements configv1.CatalogueServiceServer.
func (s *Server) ListObjects(ctx context.Context, req *configv1.ListObjectsRequest) (*configv1.ListObjectsResponse, error) {
	c, err := s.connectionOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	objects, at, err := s.deps.Catalogue.Objects(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &configv1.ListObjectsResponse{AskedAt: timestamppb.New(at)}
	wanted := strings.ToLower(req.GetSearch())
	for _, o := range objects {
		named := strings.Contains(strings.ToLower(o.GetName()), wanted) || strings.Contains(strings.ToLower(o.GetLabel()), wanted)
		if named && (o.GetCreateable() || !req.GetCreateable()) {
			out.Objects = append(out.Objects, o)
		}
	}
	return out, nil
}

// DescribeObject implements configv1.CatalogueServiceServer.
func (s *Server) DescribeObject(ctx context.Context, req *configv1.DescribeObjectRequest) (*configv1.DescribeObjectResponse, error) {
	c, err := s.connectionOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	described, err := s.deps.Catalogue.Object(ctx, c, req.GetObject())
	if err != nil {
		return nil, err
	}
	if described.Object == nil {
		return nil, noObject(c, req.GetObject())
	}
	return &configv1.DescribeObjectResponse{Object: described.Object, AskedAt: timestamppb.New(described.AskedAt)}, nil
}

// ValidateIntegration implements configv1.CatalogueServiceServer.
func (s *Server) ValidateIntegration(ctx context.Context, req *configv1.ValidateIntegrationRequest) (*configv1.ValidateIntegrationResponse, error) {
	next := proto.CloneOf(req.GetIntegration())
	if err := s.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	integration.ReduceCampaigns(next)
	next.Enabled = true // what is switched off is asked about, too: that is what this call is for
	for _, a := range next.GetActions() {
		a.Disabled = false
	}
	notes, err := s.checkIntegration(ctx, next)
	out := &configv1.ValidateIntegrationResponse{Notes: notes}
	var found violations
	if !errors.As(err, &found) {
		return out, err
	}
	for _, f := range found {
		out.Problems = append(out.Problems, problemOf(f))
	}
	return out, nil
}

func problemOf(f *errdetails.BadRequest_FieldViolation) *configv1.IntegrationProblem {
	return &configv1.IntegrationProblem{Field: strings.TrimPrefix(f.GetField(), "integration."), Description: f.GetDescription()}
}

// ListBroken implements configv1.CatalogueServiceServer.
func (s *Server) ListBroken(ctx context.Context, req *configv1.ListBrokenRequest) (*configv1.ListBrokenResponse, error) {
	if err := s.requireWorkspace(ctx, req.GetWorkspace()); err != nil {
		return nil, err
	}
	broken, err := s.deps.Catalogue.BrokenOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	broken, err = s.addGoneCampaigns(ctx, req, broken)
	return &configv1.ListBrokenResponse{Broken: broken}, err
}

// RefreshCatalogue implements configv1.CatalogueServiceServer.
func (s *Server) RefreshCatalogue(ctx context.Context, req *configv1.RefreshCatalogueRequest) (*configv1.RefreshCatalogueResponse, error) {
	c, err := s.connectionOf(ctx, req.GetWorkspace(), req.GetConnection())
	if err != nil {
		return nil, err
	}
	objects, err := s.deps.Catalogue.Refresh(ctx, c, req.GetObjects())
	if err != nil {
		return nil, err
	}
	broken, err := s.deps.Catalogue.BrokenOf(ctx, req.GetWorkspace(), req.GetConnection())
	return &configv1.RefreshCatalogueResponse{Objects: objects, Broken: broken}, err
}

func (s *Server) connectionOf(ctx context.Context, workspace, id string) (*configv1.Connection, error) {
	c := &configv1.Connection{Workspace: workspace, Id: id}
	_, err := s.load(ctx, connectionKey(c), c)
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "workspace %q has no connection %q", workspace, id)
	}
	return c, err
}
