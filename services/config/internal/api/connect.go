package api

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// errNoPages is what a service without pages says: nobody could come back from Salesforce.
var errNoPages = status.Error(codes.FailedPrecondition,
	"this installation serves no pages for browsers: set config.connect.listen and config.connect.public_url")

// StartConnect implements configv1.ConnectServiceServer.
func (s *Server) StartConnect(ctx context.Context, req *configv1.StartConnectRequest) (*configv1.StartConnectResponse, error) {
	flow, link, err := s.begin(ctx, consent.Start{Options: req.GetOptions()})
	return &configv1.StartConnectResponse{Flow: flow, Link: link}, err
}

// CreateSetupLink implements configv1.ConnectServiceServer.
func (s *Server) CreateSetupLink(ctx context.Context, req *configv1.CreateSetupLinkRequest) (*configv1.CreateSetupLinkResponse, error) {
	flow, link, err := s.begin(ctx, consent.Start{Options: req.GetOptions(), SetupLink: true, Lifetime: req.GetLifetime().AsDuration()})
	return &configv1.CreateSetupLinkResponse{Flow: flow, Link: link}, err
}

func (s *Server) begin(ctx context.Context, start consent.Start) (*configv1.ConnectFlow, string, error) {
	if !s.deps.Pages {
		return nil, "", errNoPages
	}
	if err := s.requireWorkspace(ctx, start.Options.GetWorkspace()); err != nil {
		return nil, "", err
	}
	if err := s.mayConnect(ctx, start.Options); err != nil {
		return nil, "", err
	}
	by, err := actOf(ctx, s.deps.Clock.Now(), changes.Between(nil, start.Options, "workspace"))
	if err != nil {
		return nil, "", err
	}
	start.By = by
	f, link, err := s.deps.Consent.Begin(ctx, start)
	if err != nil {
		return nil, "", connectError(err)
	}
	flow, err := s.flow(f)
	return flow, link, err
}

// connectError tells what package consent found.
func connectError(err error) error {
	var field *consent.FieldError
	var busy *consent.Busy
	var why *consent.Failure
	switch {
	case errors.As(err, &field):
		var v violations
		v.add(field.Field, "%s", field.Problem)
		return v.err()
	case errors.As(err, &busy):
		return withDetail(status.New(codes.FailedPrecondition, busy.Error()), &errdetails.ErrorInfo{
			Reason: "CONNECT_PENDING", Domain: errorDomain, Metadata: map[string]string{"flow": busy.Flow.ID},
		}).Err()
	case errors.As(err, &why):
		code := codes.FailedPrecondition
		if why.Code == consent.CodePhoneRole {
			code = codes.PermissionDenied
		}
		return withDetail(status.New(code, why.Error()), &errdetails.ErrorInfo{Reason: why.Code, Domain: errorDomain}).Err()
	}
	return err
}

func (s *Server) flow(f store.Flow) (*configv1.ConnectFlow, error) {
	out := &configv1.ConnectFlow{
		Id: f.ID, Workspace: f.Workspace, Connection: f.Connection, Actor: f.Actor, SetupLink: f.SetupLink, Status: f.Status,
		CreatedAt: timestamppb.New(f.CreatedAt), ExpiresAt: timestamppb.New(f.ExpiresAt), CallbackUrl: s.deps.Consent.CallbackURL(),
		OutgoingAddresses: s.deps.Outgoing.InUse(), OutgoingChanges: s.deps.Outgoing.Announced(),
	}
	if f.Result != nil {
		out.Result = &configv1.FlowResult{}
		if err := proto.Unmarshal(f.Result, out.Result); err != nil {
			return nil, err
		}
	}
	if f.Pending() && !s.deps.Clock.Now().Before(f.ExpiresAt) {
		out.Status = configv1.FlowStatus_FLOW_STATUS_EXPIRED // the next sweep ends it
	}
	return out, nil
}

// GetConnectFlow implements configv1.ConnectServiceServer.
func (s *Server) GetConnectFlow(ctx context.Context, req *configv1.GetConnectFlowRequest) (*configv1.GetConnectFlowResponse, error) {
	f, err := s.deps.Flows.Flow(ctx, req.GetWorkspace(), req.GetFlow())
	if err != nil {
		return nil, err
	}
	flow, err := s.flow(f)
	return &configv1.GetConnectFlowResponse{Flow: flow}, err
}

// CancelConnectFlow implements configv1.ConnectServiceServer.
func (s *Server) CancelConnectFlow(ctx context.Context, req *configv1.CancelConnectFlowRequest) (*configv1.CancelConnectFlowResponse, error) {
	by, err := actOf(ctx, s.deps.Clock.Now(), nil)
	if err != nil {
		return nil, err
	}
	f, err := s.deps.Consent.Cancel(ctx, req.GetWorkspace(), req.GetFlow(), by)
	if err != nil {
		return nil, connectError(err)
	}
	flow, err := s.flow(f)
	return &configv1.CancelConnectFlowResponse{Flow: flow}, err
}

// AcceptOtherOrg implements configv1.ConnectServiceServer.
func (s *Server) AcceptOtherOrg(ctx context.Context, req *configv1.AcceptOtherOrgRequest) (*configv1.AcceptOtherOrgResponse, error) {
	by, err := actOf(ctx, s.deps.Clock.Now(), []*configv1.FieldChange{{Path: "org_id", After: strconv.Quote(req.GetOrgId())}})
	if err != nil {
		return nil, err
	}
	accepted := consent.Acceptance{Workspace: req.GetWorkspace(), Flow: req.GetFlow(), OrgID: req.GetOrgId(), By: by}
	if err := s.deps.Consent.AcceptOtherOrg(ctx, accepted); err != nil {
		return nil, connectError(err)
	}
	resp, err := s.GetConnectFlow(ctx, &configv1.GetConnectFlowRequest{Workspace: req.GetWorkspace(), Flow: req.GetFlow()})
	return &configv1.AcceptOtherOrgResponse{Flow: resp.GetFlow()}, err
}

// ReplaceAppSecret implements configv1.ConnectServiceServer.
func (s *Server) ReplaceAppSecret(ctx context.Context, req *configv1.ReplaceAppSecretRequest) (*configv1.ReplaceAppSecretResponse, error) {
	if err := s.requireConnection(ctx, req.GetWorkspace(), req.GetConnection()); err != nil {
		return nil, err
	}
	by, err := actOf(ctx, s.deps.Clock.Now(), []*configv1.FieldChange{{Path: changes.SealedPath, Concealed: true}})
	if err != nil {
		return nil, err
	}
	held := true
	err = s.deps.Secrets.Try(ctx, req.GetWorkspace(), req.GetConnection(), tokens.Change{By: by, Apply: func(c *configv1.Connection) {
		switch g := c.GetGrant().(type) {
		case *configv1.Connection_RefreshToken:
			g.RefreshToken.ClientSecret = req.GetClientSecret()
		case *configv1.Connection_ClientCredentials:
			g.ClientCredentials.ClientSecret = req.GetClientSecret()
		default:
			held = false
		}
	}})
	if !held {
		return nil, status.Error(codes.FailedPrecondition, "the connection has no consumer secret; connect the org first")
	}
	return &configv1.ReplaceAppSecretResponse{}, err
}

// Disconnect implements configv1.ConnectServiceServer.
func (s *Server) Disconnect(ctx context.Context, req *configv1.DisconnectRequest) (*configv1.DisconnectResponse, error) {
	key := lifecycle.Key{Workspace: req.GetWorkspace(), Connection: req.GetConnection()}
	revoked, err := s.end(ctx, key, req.GetForgetApp())
	if err != nil {
		return nil, err
	}
	resp := &configv1.DisconnectResponse{Revoked: revoked}
	if !req.GetKeepIntegrations() {
		if resp.Suspended, err = s.suspend(ctx, key); err != nil {
			return nil, err
		}
	}
	got, err := s.GetConnection(ctx, &configv1.GetConnectionRequest{Workspace: key.Workspace, Connection: key.Connection})
	resp.Connection = got.GetConnection()
	return resp, err
}

// end disconnects, and reports whether nothing is left to be revoked.
func (s *Server) end(ctx context.Context, key lifecycle.Key, forgetApp bool) (bool, error) {
	by, err := actOf(ctx, s.deps.Clock.Now(), nil)
	if err != nil {
		return false, err
	}
	pending, err := s.deps.Flows.PendingFlow(ctx, key.Workspace, key.Connection)
	switch {
	case err == nil: // or it would be connected again by a link that is still around
		if _, err := s.deps.Consent.Cancel(ctx, key.Workspace, pending.ID, by); err != nil && !errors.Is(err, store.ErrStale) {
			return false, connectError(err)
		}
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	return s.deps.Disconnector.Disconnect(ctx, key, by, forgetApp)
}
