package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// ListDependants implements configv1.ConnectionListServiceServer.
func (s *Server) ListDependants(ctx context.Context, req *configv1.ListDependantsRequest) (*configv1.ListDependantsResponse, error) {
	if err := s.requireConnection(ctx, req.GetWorkspace(), req.GetConnection()); err != nil {
		return nil, err
	}
	integrations, err := s.through(ctx, lifecycle.Key{Workspace: req.GetWorkspace(), Connection: req.GetConnection()})
	return &configv1.ListDependantsResponse{Dependants: dependants(integrations)}, err
}

// through returns the integrations that write through a connection, by id.
func (s *Server) through(ctx context.Context, key lifecycle.Key) ([]*configv1.Integration, error) {
	all, err := list[configv1.Integration](ctx, s, key.Workspace, store.KindIntegration)
	return slices.DeleteFunc(all, func(i *configv1.Integration) bool { return i.GetConnection() != key.Connection }), err
}

func dependants(integrations []*configv1.Integration) []*configv1.Dependant {
	out := make([]*configv1.Dependant, len(integrations))
	for n, i := range integrations {
		out[n] = &configv1.Dependant{Integration: i.GetId(), Name: i.GetName(), Enabled: i.GetEnabled(), Suspended: i.GetSuspended()}
	}
	return out
}

// suspend switches off the integrations of a connection that has ended, and returns all that can be restored (IMM-14).
// Calling it again finishes what was interrupted.
func (s *Server) suspend(ctx context.Context, key lifecycle.Key) ([]string, error) {
	integrations, err := s.through(ctx, key)
	if err != nil {
		return nil, err
	}
	var suspended []string
	for _, i := range integrations {
		err := s.amendIntegration(ctx, i, func(now *configv1.Integration) bool {
			off := now.GetEnabled() && now.GetConnection() == key.Connection
			if off {
				now.Enabled, now.Suspended = false, true
			}
			return off
		})
		if err != nil {
			return nil, err
		}
		if i.GetSuspended() {
			suspended = append(suspended, i.GetId())
		}
	}
	return suspended, nil
}

// amendIntegration changes the newest version of an integration, if change says that there is something to change. i
// becomes that version.
func (s *Server) amendIntegration(ctx context.Context, i *configv1.Integration, change func(now *configv1.Integration) bool) error {
	for try := 1; ; try++ {
		old := &configv1.Integration{}
		if _, err := s.load(ctx, integrationKey(i), old); err != nil {
			return err
		}
		next := proto.CloneOf(old)
		proto.Reset(i)
		if !change(next) {
			proto.Merge(i, old)
			return nil
		}
		proto.Merge(i, old) // which one it is, for another try
		err := s.saveIntegration(ctx, next)
		if errors.Is(err, store.ErrStale) && try < saveTries {
			continue
		}
		proto.Reset(i)
		proto.Merge(i, next)
		return err
	}
}

// RestoreIntegrations implements configv1.ConnectionListServiceServer. Those that are switched on go the way of every other
// save, so what no longer fits the org is refused and told.
func (s *Server) RestoreIntegrations(ctx context.Context, req *configv1.RestoreIntegrationsRequest) (*configv1.RestoreIntegrationsResponse, error) {
	if err := s.requireConnection(ctx, req.GetWorkspace(), req.GetConnection()); err != nil {
		return nil, err
	}
	integrations, err := s.through(ctx, lifecycle.Key{Workspace: req.GetWorkspace(), Connection: req.GetConnection()})
	if err != nil {
		return nil, err
	}
	integrations = slices.DeleteFunc(integrations, func(i *configv1.Integration) bool { return !i.GetSuspended() })
	var v violations
	for n, id := range req.GetIntegrations() {
		if !slices.ContainsFunc(integrations, func(i *configv1.Integration) bool { return i.GetId() == id }) {
			v.add(fmt.Sprintf("integrations[%d]", n), "%q was not switched off with the connection", id)
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	resp := &configv1.RestoreIntegrationsResponse{}
	for _, i := range integrations {
		if !req.GetAll() && !slices.Contains(req.GetIntegrations(), i.GetId()) {
			err := s.amendIntegration(ctx, i, func(now *configv1.Integration) bool {
				was := now.GetSuspended()
				now.Suspended = false
				return was
			})
			if err != nil {
				return nil, err
			}
			continue
		}
		next := proto.CloneOf(i)
		next.Enabled = true
		_, err := s.PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: next})
		var wrong violations
		switch {
		case errors.As(err, &wrong):
			resp.NotRestored = append(resp.NotRestored, &configv1.NotRestored{Integration: i.GetId(), Problem: wrong.Error()})
		case err != nil:
			return nil, err
		default:
			resp.Restored = append(resp.Restored, i.GetId())
		}
	}
	return resp, nil
}

// DeleteConnection implements configv1.ConnectionListServiceServer.
func (s *Server) DeleteConnection(ctx context.Context, req *configv1.DeleteConnectionRequest) (*configv1.DeleteConnectionResponse, error) {
	if err := s.requireConnection(ctx, req.GetWorkspace(), req.GetConnection()); err != nil {
		return nil, err
	}
	key := lifecycle.Key{Workspace: req.GetWorkspace(), Connection: req.GetConnection()}
	integrations, err := s.through(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(integrations) > 0 && !req.GetConfirmed() {
		return nil, hasDependants(integrations)
	}
	resp := &configv1.DeleteConnectionResponse{}
	// In this order it can be called again after every step.
	if resp.Revoked, err = s.end(ctx, key, true); err != nil {
		return nil, err
	}
	if _, err := s.suspend(ctx, key); err != nil {
		return nil, err
	}
	if integrations, err = s.through(ctx, key); err != nil {
		return nil, err
	}
	resp.Dependants = dependants(integrations)
	doc, err := s.deps.Documents.Get(ctx, store.Key{Workspace: key.Workspace, Kind: store.KindConnection, ID: key.Connection})
	if err != nil {
		return nil, err
	}
	by, err := actOf(ctx, s.deps.Clock.Now(), nil)
	if err != nil {
		return nil, err
	}
	return resp, s.deps.Accounts.DeleteConnection(ctx, key.Workspace, key.Connection, doc.Version, by)
}

func hasDependants(integrations []*configv1.Integration) error {
	ids := make([]string, len(integrations))
	for n, i := range integrations {
		ids[n] = i.GetId()
	}
	text := fmt.Sprintf("%d integrations write through the connection (%s); confirm to delete it, and they stay, switched off",
		len(ids), strings.Join(ids, ", "))
	return withDetail(status.New(codes.FailedPrecondition, text), &errdetails.ErrorInfo{
		Reason: "HAS_DEPENDANTS", Domain: errorDomain, Metadata: map[string]string{"integrations": strings.Join(ids, ",")},
	}).Err()
}
