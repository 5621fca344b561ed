package api

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// PutConnection implements configv1.ConfigServiceServer.
func (s *Server) PutConnection(ctx context.Context, req *configv1.PutConnectionRequest) (*configv1.PutConnectionResponse, error) {
	next := proto.CloneOf(req.GetConnection())
	next.LoginUrl = strings.TrimSuffix(next.GetLoginUrl(), "/")
	if err := s.requireWorkspace(ctx, next.GetWorkspace()); err != nil {
		return nil, err
	}
	old, stored, err := s.oldConnection(ctx, next)
	if err != nil {
		return nil, err
	}
	if err := s.checkConnection(next, old); err != nil {
		return nil, err
	}
	if err := s.mayEnter(ctx, next, old); err != nil {
		return nil, err
	}
	sealed, err := s.sealGrant(next, stored)
	if err != nil {
		return nil, err
	}
	expected := next.GetVersion()
	next.Version = expected + 1
	next.Org, next.FirstOrg, next.Consent, next.Status = old.GetOrg(), old.GetFirstOrg(), old.GetConsent(), nil // output only
	next.Entitlement, next.Lapses = nil, nil
	if old.GetLoginUrl() != next.GetLoginUrl() {
		next.Org, next.Consent = onlyID(old.GetOrg()), nil // another org may answer there, and must be accepted first (LOOM-14)
	}
	hideSecrets(next)
	if same, err := s.unchanged(next, old, stored, sealed); same || err != nil {
		if err == nil {
			err = s.withStatus(ctx, old)
		}
		return &configv1.PutConnectionResponse{Connection: old}, err
	}
	save, err := s.prepared(ctx, store.Save{Key: connectionKey(next), Expected: expected, Sealed: sealed, Generation: madeOf(sealed, stored)}, next)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Documents.Put(ctx, save); err != nil {
		return nil, err
	}
	if err := s.authorised(ctx, next, sealed != nil); err != nil {
		return nil, err
	}
	return &configv1.PutConnectionResponse{Connection: next}, s.withStatus(ctx, next)
}

// madeOf is the generation that what is sealed now was made of, 0 if nothing is: a refresh token that is rotated meanwhile must not
// be replaced by the one that is used up (XC-16).
func madeOf(sealed []byte, stored store.Document) int64 {
	if sealed == nil {
		return 0
	}
	return stored.Generation
}

// onlyID is what stays true of an org of which nothing else is known any more; nil when not even that.
func onlyID(org *configv1.Org) *configv1.Org {
	if org.GetId() == "" {
		return nil
	}
	return &configv1.Org{Id: org.GetId()}
}

// authorised notes that there are new credentials: whatever was found of the old ones says nothing any more.
func (s *Server) authorised(ctx context.Context, c *configv1.Connection, entered bool) error {
	if !entered {
		return nil
	}
	key := lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()}
	_, _, err := s.deps.Keeper.ChangeIfLegal(ctx, key, connstate.Change{
		To: connstate.Authorised, Cause: lifecycle.CauseCredentials, Actor: auth.FromContext(ctx).Name,
	})
	return err
}

// withStatus fills in where the connection stands, and what the workspace's plan says of it.
func (s *Server) withStatus(ctx context.Context, c *configv1.Connection) error {
	status, err := s.deps.Keeper.Status(ctx, lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()})
	if err != nil {
		return err
	}
	c.Status = status.Message()
	c.Entitlement, err = s.entitlement(ctx, c.GetWorkspace(), plan.OfProduct(c.GetSettings().GetSource()))
	return err
}

// oldConnection reads what an update replaces; both results are empty for a new connection.
func (s *Server) oldConnection(ctx context.Context, next *configv1.Connection) (*configv1.Connection, store.Document, error) {
	old := &configv1.Connection{}
	if next.GetVersion() == 0 {
		return old, store.Document{}, nil
	}
	doc, err := s.load(ctx, connectionKey(next), old)
	return old, doc, err
}

var apiVersion = regexp.MustCompile(`^\d{2,3}\.0$`)

func (s *Server) checkConnection(next, old *configv1.Connection) error {
	var v violations
	if err := s.deps.CheckLoginURL(next.GetLoginUrl()); err != nil {
		v.add("connection.login_url", "%s", err)
	}
	if version := next.GetApiVersion(); version != "" && !apiVersion.MatchString(version) {
		v.add("connection.api_version", "%q is not a version such as 66.0", version)
	}
	checkGrant(&v, next, old)
	return v.err()
}

// checkGrant demands every secret, unless the stored ones stay where they are: secrets are not sent to an address they were
// not entered for.
func checkGrant(v *violations, next, old *configv1.Connection) {
	same := old.GetGrant() != nil && sameGrant(next, old)
	need := func(field, value string, missing bool) {
		if missing && value == "" {
			v.add("connection."+field, "enter it (again, after a change of grant, key, user or login address)")
		}
	}
	switch g := next.GetGrant().(type) {
	case *configv1.Connection_ClientCredentials:
		need("client_credentials.client_id", g.ClientCredentials.GetClientId(), true)
		need("client_credentials.client_secret", g.ClientCredentials.GetClientSecret(), !same)
	case *configv1.Connection_RefreshToken:
		need("refresh_token.client_id", g.RefreshToken.GetClientId(), true)
		need("refresh_token.refresh_token", g.RefreshToken.GetRefreshToken(), !same)
	case *configv1.Connection_JwtBearer:
		need("jwt_bearer.client_id", g.JwtBearer.GetClientId(), true)
		need("jwt_bearer.subject", g.JwtBearer.GetSubject(), true)
		need("jwt_bearer.private_key", g.JwtBearer.GetPrivateKey(), !same)
	default:
		v.add("connection.grant", "say how to get access tokens: client_credentials, refresh_token or jwt_bearer")
	}
}

// sameGrant reports whether both use the same app and user at the same address.
func sameGrant(a, b *configv1.Connection) bool {
	if a.GetLoginUrl() != b.GetLoginUrl() {
		return false
	}
	x, y := &configv1.Connection{Grant: a.GetGrant()}, &configv1.Connection{Grant: b.GetGrant()}
	x, y = proto.CloneOf(x), proto.CloneOf(y)
	hideSecrets(x)
	hideSecrets(y)
	return proto.Equal(x, y)
}

// unchanged reports whether a save would change nothing, secrets included. It then makes no version, so that applying the
// same file again changes nothing; the caller could not tell, because secrets cannot be read.
func (s *Server) unchanged(next, old *configv1.Connection, stored store.Document, sealed []byte) (bool, error) {
	if old.GetVersion() == 0 || next.GetVersion() != old.GetVersion()+1 {
		return false, nil
	}
	as := proto.CloneOf(next)
	as.Version = old.GetVersion()
	if !proto.Equal(as, old) || sealed == nil {
		return sealed == nil && proto.Equal(as, old), nil
	}
	before, err := tokens.OpenCredentials(s.deps.Installation, old.GetWorkspace(), old.GetId(), stored.Sealed)
	if errors.Is(err, seal.ErrOpen) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	after, err := tokens.OpenCredentials(s.deps.Installation, old.GetWorkspace(), old.GetId(), sealed)
	return err == nil && proto.Equal(before, after), err
}

// sealGrant returns the credentials to store, or nil if the stored ones stay. A secret left empty keeps its value where
// only another one was entered.
func (s *Server) sealGrant(next *configv1.Connection, stored store.Document) ([]byte, error) {
	if !hasSecrets(next) && stored.Sealed != nil {
		return nil, nil
	}
	complete := proto.CloneOf(next)
	if stored.Sealed != nil {
		old, err := tokens.OpenCredentials(s.deps.Installation, next.GetWorkspace(), next.GetId(), stored.Sealed)
		switch {
		case err == nil:
			fillSecrets(complete, old)
		case !errors.Is(err, seal.ErrOpen):
			return nil, err
		}
		// What does not open is replaced by what was entered: that is how a lost key is recovered from.
	}
	return tokens.SealCredentials(s.deps.Installation, complete)
}

// GetConnection implements configv1.ConfigServiceServer.
func (s *Server) GetConnection(ctx context.Context, req *configv1.GetConnectionRequest) (*configv1.GetConnectionResponse, error) {
	c := &configv1.Connection{Workspace: req.GetWorkspace(), Id: req.GetConnection()}
	if _, err := s.load(ctx, connectionKey(c), c); err != nil {
		return nil, err
	}
	return &configv1.GetConnectionResponse{Connection: c}, s.withStatus(ctx, c)
}

// ListConnections implements configv1.ConfigServiceServer.
func (s *Server) ListConnections(ctx context.Context, req *configv1.ListConnectionsRequest) (*configv1.ListConnectionsResponse, error) {
	connections, err := list[configv1.Connection](ctx, s, req.GetWorkspace(), store.KindConnection)
	if err != nil || len(connections) == 0 {
		return &configv1.ListConnectionsResponse{}, err
	}
	states, err := s.deps.States.ConnectionStates(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	known := make(map[string]*configv1.ConnectionStatus, len(states))
	for _, x := range states {
		known[x.Connection] = x.Message()
	}
	plans, err := s.plans(ctx, req.GetWorkspace())
	if err != nil {
		return nil, err
	}
	for _, c := range connections {
		c.Status = known[c.GetId()]
		c.Entitlement = s.deps.Plans.Entitlement(plans, plan.OfProduct(c.GetSettings().GetSource()), s.deps.Clock.Now())
	}
	return &configv1.ListConnectionsResponse{Connections: connections}, nil
}

// CheckConnection implements configv1.ConfigServiceServer.
func (s *Server) CheckConnection(ctx context.Context, req *configv1.CheckConnectionRequest) (*configv1.CheckConnectionResponse, error) {
	c := &configv1.Connection{Workspace: req.GetWorkspace(), Id: req.GetConnection()}
	key := connectionKey(c)
	if _, err := s.load(ctx, key, c); err != nil {
		return nil, err
	}
	if err := s.acceptOtherOrg(ctx, req, c); err != nil {
		return nil, err
	}
	access, err := s.deps.Tokens.Get(ctx, key.Workspace, key.ID, nil)
	if err != nil {
		return nil, err
	}
	org, err := s.deps.Orgs.Organization(ctx, c, access)
	if err != nil {
		return nil, err
	}
	if err := s.letIn(ctx, c); err != nil {
		return nil, err
	}
	integration.FollowZone(c.GetOrg(), org, s.deps.Clock.Now())
	if proto.Equal(c.GetOrg(), org) {
		return &configv1.CheckConnectionResponse{Org: org}, nil
	}
	c.Org = org
	expected := c.GetVersion()
	c.Version = expected + 1
	if err := s.save(ctx, key, expected, c, nil); err != nil {
		return nil, err
	}
	return &configv1.CheckConnectionResponse{Org: org}, nil
}

// letIn notes that somebody has checked that Salesforce lets the connection in, if it was noted that it does not: services need
// not wait for the next diagnosis.
func (s *Server) letIn(ctx context.Context, c *configv1.Connection) error {
	key := lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()}
	status, err := s.deps.Keeper.Status(ctx, key)
	if err != nil || status.Actor != lifecycle.ActorSalesforce || status.State != connstate.Degraded {
		return err
	}
	_, _, err = s.deps.Keeper.ChangeIfLegal(ctx, key, connstate.Change{
		To: connstate.Authorised, Cause: lifecycle.CauseChecked, Actor: auth.FromContext(ctx).Name,
	})
	return err
}

// acceptOtherOrg forgets which org the connection was made for, if that is asked: the check learns the new one.
func (s *Server) acceptOtherOrg(ctx context.Context, req *configv1.CheckConnectionRequest, c *configv1.Connection) error {
	if !req.GetAcceptOtherOrg() {
		return nil
	}
	defer s.deps.Tokens.Retry(c.GetWorkspace(), c.GetId())
	if c.GetOrg() == nil {
		return nil
	}
	if c.GetFirstOrg() == "" {
		c.FirstOrg = c.GetOrg().GetId() // what was written until now is that one's (LOOM-14)
	}
	c.Org = nil
	expected := c.GetVersion()
	c.Version = expected + 1
	return s.save(ctx, connectionKey(c), expected, c, nil)
}

// GetAccessToken implements configv1.ConfigServiceServer.
func (s *Server) GetAccessToken(ctx context.Context, req *configv1.GetAccessTokenRequest) (*configv1.GetAccessTokenResponse, error) {
	return s.deps.Tokens.Get(ctx, req.GetWorkspace(), req.GetConnection(), req.GetRefusedTokenHash())
}

func connectionKey(c *configv1.Connection) store.Key {
	return store.Key{Workspace: c.GetWorkspace(), Kind: store.KindConnection, ID: c.GetId()}
}
