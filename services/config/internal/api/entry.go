package api

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// mayConnect refuses to begin a login that the workspace's plan does not include, or to what is installed already.
func (s *Server) mayConnect(ctx context.Context, o *configv1.ConnectOptions) error {
	listed, err := list[configv1.Connection](ctx, s, o.GetWorkspace(), store.KindConnection)
	if err != nil {
		return err
	}
	next := &configv1.Connection{Id: o.GetConnection(), Settings: o.GetSettings(), LoginUrl: o.GetLoginUrl()}
	product := o.GetSettings().GetSource()
	for _, c := range listed {
		if c.GetId() == o.GetConnection() && product == "" {
			product = c.GetSettings().GetSource()
		}
	}
	if err := notInstalled(next, listed); err != nil {
		return err
	}
	return s.requirePlan(ctx, o.GetWorkspace(), plan.OfProduct(product))
}

// mayEnter lets settings of a connection be changed whatever the plan, but lets nothing be connected by credentials that must
// not be connected by a login either. Credentials of one that is connected may be entered again, as when a file is applied.
func (s *Server) mayEnter(ctx context.Context, next, old *configv1.Connection) error {
	settings := next.GetSettings()
	if old.GetVersion() != 0 && settings.GetSource() == old.GetSettings().GetSource() {
		status, err := s.deps.Keeper.Status(ctx, lifecycle.Key{Workspace: next.GetWorkspace(), Connection: next.GetId()})
		if err != nil || !hasSecrets(next) || connstate.Usable(status.State) {
			return err
		}
	}
	listed, err := list[configv1.Connection](ctx, s, next.GetWorkspace(), store.KindConnection)
	if err != nil {
		return err
	}
	if err := notInstalled(next, listed); err != nil {
		return err
	}
	if err := s.requirePlan(ctx, next.GetWorkspace(), plan.OfProduct(settings.GetSource())); err != nil {
		return err
	}
	if err := consent.CheckPhone(settings); err != nil {
		return connectError(err)
	}
	var v violations
	if consent.ComparesAddress(settings) {
		v.add("connection.settings.any_address", "connect it by a login, which compares the addresses of both administrators, or say that they may differ")
	}
	return v.err()
}

// hopin is installed once for a whole organisation and all its events, in each environment (HOPIN-2).
const hopin = "hopin"

// notInstalled refuses a second connection of what is installed once.
func notInstalled(next *configv1.Connection, listed []*configv1.Connection) error {
	if next.GetSettings().GetSource() != hopin {
		return nil
	}
	for _, c := range listed {
		if c.GetId() == next.GetId() {
			return nil // it is the one, and is connected again
		}
	}
	for _, c := range listed {
		if c.GetSettings().GetSource() != hopin || environmentOf(c) != environmentOf(next) {
			continue
		}
		text := "it is installed already for the whole workspace, as connection " + c.GetId() + ": change the settings of that one"
		return withDetail(status.New(codes.FailedPrecondition, text), &errdetails.ErrorInfo{
			Reason: "ALREADY_INSTALLED", Domain: errorDomain, Metadata: map[string]string{"connection": c.GetId()},
		}).Err()
	}
	return nil
}
