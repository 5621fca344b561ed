package diagnose

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// hearing listens to what an org says of itself while it is asked for other reasons.
type hearing struct {
	probe.Org

	mu    sync.Mutex
	heard salesforce.Organization
}

// Organization implements probe.Who.
func (h *hearing) Organization(ctx context.Context) (salesforce.Organization, error) {
	o, err := h.Org.Organization(ctx)
	if err == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.heard = o
	}
	return o, err
}

// said is the last answer, empty if there was none.
func (h *hearing) said() salesforce.Organization {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard
}

// noteZone saves the org's default zone if the org has changed it since: days and dates of later visits go by it (XC-36). A zone
// that nobody knows is left alone, and so is an org that has never been checked, or is another one.
func (s *Service) noteZone(ctx context.Context, c *configv1.Connection, org salesforce.Organization) {
	if c.GetOrg().GetTimeZone() == "" || org.TimeZone == c.GetOrg().GetTimeZone() || !settings.SameOrg(org.ID, c.GetOrg().GetId()) {
		return
	}
	if _, err := integration.LoadZone(org.TimeZone); err != nil {
		return
	}
	err := s.saveZone(ctx, c, org.TimeZone)
	if err != nil && !errors.Is(err, store.ErrStale) { // whoever saved it meanwhile is followed by the next diagnosis
		s.deps.Logger.WarnContext(ctx, "an org has changed its default time zone, and that could not be saved; the next diagnosis will try again",
			"workspace", c.GetWorkspace(), "connection", c.GetId(), "error", err)
	}
}

func (s *Service) saveZone(ctx context.Context, c *configv1.Connection, zone string) error {
	now := s.deps.Clock.Now()
	next := proto.CloneOf(c)
	next.Org.TimeZone, next.Version = zone, c.GetVersion()+1
	integration.FollowZone(c.GetOrg(), next.GetOrg(), now)
	encoding := proto.MarshalOptions{Deterministic: true}
	body, err := encoding.Marshal(next)
	if err != nil {
		return err
	}
	found, err := encoding.Marshal(&configv1.AuditEntry{Changes: changes.Between(c, next, "version")})
	if err != nil {
		return err
	}
	return s.deps.Documents.Put(ctx, store.Save{
		Key:      store.Key{Workspace: c.GetWorkspace(), Kind: store.KindConnection, ID: c.GetId()},
		Expected: c.GetVersion(), Body: body, Author: lifecycle.ActorDiagnosis, At: now,
		Action: "DiagnoseConnection", Reason: "the org's default time zone has changed", Changes: found,
	})
}
