package api

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/preview"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Persons tells who was erased, and takes down who looked at personal data.
type Persons interface {
	Suppressions(ctx context.Context, workspace string, personKeys []string) ([]store.Suppression, error)
	AddAudit(ctx context.Context, e store.AuditEntry) error
}

// recordedSince is how far back recorded engagements are looked for if nothing is said.
const recordedSince = 7 * 24 * time.Hour

// maySeePersonal are the roles that see addresses and names.
var maySeePersonal = []auth.Role{auth.RoleOwner, auth.RoleAdmin, auth.RolePrivacyOfficer}

// previewRecorded runs the preview over recorded engagements.
func (s *Server) previewRecorded(ctx context.Context, req *configv1.PreviewIntegrationRequest, request preview.Request) ([]*configv1.PreviewResult, error) {
	which, caller := req.GetRecorded(), auth.FromContext(ctx)
	switch {
	case len(req.GetSamples()) > 0:
		var v violations
		v.add("recorded", "choose either samples or recorded engagements")
		return nil, v.err()
	case s.deps.Topics == nil:
		return nil, status.Error(codes.FailedPrecondition, "this installation of the config service has no broker, so there is nothing recorded to look at")
	case which.GetReveal() && !slices.Contains(maySeePersonal, caller.Role):
		return nil, status.Error(codes.PermissionDenied, "addresses and names are for owners, administrators and privacy officers; without reveal they are masked")
	}
	found, err := s.findRecorded(ctx, request, which)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, status.Error(codes.NotFound, "no such engagement is recorded, or not any more; look further back with since")
	}
	doc, err := s.deps.Documents.Get(ctx, workspaceKey(req.GetWorkspace()))
	if err != nil {
		return nil, err
	}
	keys, err := s.deps.Installation.OpenKeys(req.GetWorkspace(), doc.Sealed)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		sample, err := preview.Sample(f, keys)
		if err != nil {
			return nil, err
		}
		request.Samples, request.TraceParents = append(request.Samples, sample), append(request.TraceParents, f.TraceParent)
		if zone := f.Resolved.GetOrgTimeZone(); zone != "" {
			request.OrgTimeZone = zone
		}
	}
	if which.GetReveal() { // before it is shown (promise 8)
		err := s.deps.Persons.AddAudit(ctx, store.AuditEntry{
			Act:       store.Act{Actor: caller.Name, Role: string(caller.Role), Action: "CatalogueService/PreviewIntegration", At: s.deps.Clock.Now()},
			Workspace: req.GetWorkspace(), Kind: "personal_data", Target: request.Integration.GetId(),
		})
		if err != nil {
			return nil, err
		}
	}
	results, err := s.runRecorded(request, which.GetReveal())
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		e := f.Resolved.GetEngagement()
		results[i].Recorded = &configv1.RecordedEngagement{
			EngagementId: e.GetEngagementId(), VisitId: e.GetVisit().GetVisitId(), Revision: e.GetRevision(),
			At: e.GetVisit().GetLastActivityAt(), Masked: !which.GetReveal(), Unresolved: f.Unresolved,
		}
	}
	return results, nil
}

// runRecorded runs the preview, and without reveal once more over made-up people, to tell what depends on who somebody is.
func (s *Server) runRecorded(request preview.Request, reveal bool) ([]*configv1.PreviewResult, error) {
	results, err := preview.Run(s.deps.Decide, request)
	if err != nil || reveal {
		return results, err
	}
	request.Samples = preview.Masked(request.Samples)
	masked, err := preview.Run(s.deps.Decide, request)
	if err != nil {
		return nil, err
	}
	return preview.Mask(results, masked), nil
}

func (s *Server) findRecorded(ctx context.Context, request preview.Request, which *configv1.RecordedSelection) ([]preview.Found, error) {
	workspace := request.Workspace.GetId()
	since := s.deps.Clock.Now().Add(-recordedSince)
	if which.Since != nil {
		since = which.GetSince().AsTime()
	}
	ctx, cancel := context.WithTimeout(ctx, s.deps.ReadTimeout) // promise 7
	defer cancel()
	return preview.Find(ctx, s.deps.Topics, preview.Selection{
		Workspace: workspace, Connection: request.Integration.GetConnection(), Since: since,
		Engagement: which.GetEngagementId(), Event: which.GetEventId(), Newest: int(which.GetNewest()),
		Erased: func(ctx context.Context, keys []string) (map[string]bool, error) {
			rows, err := s.deps.Persons.Suppressions(ctx, workspace, keys)
			out := map[string]bool{}
			for _, r := range rows {
				out[r.PersonKey] = r.LiftedAt.IsZero()
			}
			return out, err
		},
	})
}
