package diagnose

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// CheckVersions compares the API version of every connection with those that its org lists, and has the ones looked at whose
// version is retired (XC-43): a program that starts may be newer or older than the one that looked last. It costs an org no call
// of its allocation. The error is the store's.
func (s *Service) CheckVersions(ctx context.Context) error {
	workspaces, err := s.deps.Documents.Workspaces(ctx)
	if err != nil {
		return err
	}
	var errs []error
	var group errgroup.Group
	group.SetLimit(parallel) // promise 7
	for _, ws := range workspaces {
		docs, err := s.deps.Documents.List(ctx, ws.ID, store.KindConnection)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, doc := range docs {
			c := &configv1.Connection{}
			if err := proto.Unmarshal(doc.Body, c); err != nil {
				errs = append(errs, fmt.Errorf("connection %s of workspace %s: %w", doc.ID, doc.Workspace, err))
				continue
			}
			group.Go(func() error {
				s.checkVersion(ctx, c)
				return nil
			})
		}
	}
	return errors.Join(append(errs, group.Wait())...)
}

// checkVersion asks one org. One that cannot be asked is asked when its time comes.
func (s *Service) checkVersion(ctx context.Context, c *configv1.Connection) {
	now, err := s.deps.Keeper.Status(ctx, lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()})
	if err != nil || !connstate.Usable(now.State) || now.State == connstate.Unknown {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Questions.Timeout)
	defer cancel()
	access, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), nil)
	if err != nil {
		return
	}
	org, done := s.deps.Connect(c, access)
	defer done()
	if err = org.CheckVersion(ctx); salesforce.ClassOf(err) != salesforce.ClassConfig {
		return
	}
	s.deps.Logger.WarnContext(ctx, "an org does not speak the API version of its connection any more; set api_version to one that it lists",
		"workspace", c.GetWorkspace(), "connection", c.GetId(), "error", err)
	if err := s.deps.Diagnoses.ScheduleCheck(ctx, c.GetWorkspace(), c.GetId(), s.deps.Clock.Now()); err != nil {
		s.deps.Logger.WarnContext(ctx, "it could not be brought forward; the daily look will come",
			"workspace", c.GetWorkspace(), "connection", c.GetId(), "error", err)
	}
}
