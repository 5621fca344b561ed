package pubsub

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	eventbusv1 "github.com/throughline-dev/throughline/libs/eventbus/v1"
	"github.com/throughline-dev/throughline/services/simulator/internal/changes"
	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/oauth"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Keepalive is how long Salesforce lets a stream be silent (Pub/Sub API guide, "Pub/Sub API and Event Allocations").
const Keepalive = 270 * time.Second

// Route is the name of subscriptions in faults.
const Route = "pubsub.subscribe"

// Tenant is an org whose events can be read.
type Tenant struct {
	Org  *org.Org
	Auth *oauth.Server
	Log  *changes.Log
	// Deliveries is the allocation of events delivered in 24 hours to all subscribers together.
	Deliveries *quota.Quota
}

// Deps is what a server needs from outside.
type Deps struct {
	// Tenant finds an org by its 18-character id.
	Tenant func(id string) (Tenant, bool)
	Faults *faults.Engine
	// Keepalive is how long a stream may be silent; 0 for Keepalive.
	Keepalive time.Duration
}

// Server answers for all orgs; the metadata of a call chooses one. It is safe for concurrent use.
type Server struct {
	eventbusv1.UnimplementedPubSubServer
	deps Deps
}

// New returns a server.
func New(d Deps) *Server {
	if d.Keepalive <= 0 {
		d.Keepalive = Keepalive
	}
	return &Server{deps: d}
}

// session is a caller who has shown a good token.
type session struct {
	Tenant
	token  string
	caller org.Caller
}

// admit finds the org and the user of a call by its metadata: accesstoken, instanceurl and tenantid (Pub/Sub API guide,
// "Authentication").
func (s *Server) admit(ctx context.Context) (*session, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, name := range []string{"accesstoken", "instanceurl", "tenantid"} {
		if values := md.Get(name); len(values) != 1 || values[0] == "" {
			return nil, failure(ctx, codes.Unauthenticated, codeAuthHeaders, "Missing metadata: "+name)
		}
	}
	id, err := sfid.Long(md.Get("tenantid")[0])
	if err != nil {
		return nil, failure(ctx, codes.Unauthenticated, codeAuthHeaders, "The tenantid is not an organization's id.")
	}
	tenant, ok := s.deps.Tenant(id)
	if !ok {
		return nil, failure(ctx, codes.Unauthenticated, codeAuth, "There is no organization with the tenantid.")
	}
	in := &session{Tenant: tenant, token: md.Get("accesstoken")[0]}
	if !in.good(ctx) {
		return nil, failure(ctx, codes.Unauthenticated, codeAuth, "Authentication failed: the session is expired or invalid.")
	}
	return in, nil
}

// good looks at the token again, and at what its user may do.
func (in *session) good(ctx context.Context) bool {
	found, ok := in.Auth.Session(in.token)
	if !ok {
		return false
	}
	user, ok := in.Org.UserByID(ctx, found.UserID)
	if !ok || !user.Active || in.Org.Spec.API.Disabled {
		return false
	}
	caller, api := in.Org.Caller(user)
	in.caller = caller
	return api
}

// topic finds a topic that the caller may read, or refuses with the code. That of all objects takes the right to read each.
func (in *session) topic(ctx context.Context, name, refusal string) (changes.Topic, error) {
	if name == "" {
		return changes.Topic{}, failure(ctx, codes.InvalidArgument, codeNoTopic, "The topic name is empty.")
	}
	t, ok := in.Log.Topic(name)
	if !ok {
		return t, failure(ctx, codes.NotFound, codeTopic, "The topic information for org "+in.Org.ID+" and topic "+strings.ToValidUTF8(name, "?")+
			" not found. Ensure the topic name is correct and that the topic exists.")
	}
	for _, o := range in.Org.Schema.Objects() {
		if (t.Object == o || t.Object == nil) && !in.caller.Access.Object(o).Read {
			return t, failure(ctx, codes.PermissionDenied, refusal, "The user may not subscribe to "+name+".")
		}
	}
	return t, nil
}

// GetTopic tells which schema the events of a topic have.
func (s *Server) GetTopic(ctx context.Context, ask *eventbusv1.TopicRequest) (*eventbusv1.TopicInfo, error) {
	in, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	t, err := in.topic(ctx, ask.GetTopicName(), codeTopicRights)
	if err != nil {
		return nil, err
	}
	return &eventbusv1.TopicInfo{
		TopicName: t.Name, TenantGuid: in.Org.ID, CanSubscribe: true, SchemaId: t.SchemaID, RpcId: rpcID(),
	}, nil
}

// GetSchema returns an Avro schema.
func (s *Server) GetSchema(ctx context.Context, ask *eventbusv1.SchemaRequest) (*eventbusv1.SchemaInfo, error) {
	in, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	if ask.GetSchemaId() == "" {
		return nil, failure(ctx, codes.InvalidArgument, codeNoSchema, "The schema id is empty.")
	}
	text, ok := in.Log.Schema(ask.GetSchemaId())
	if !ok {
		return nil, failure(ctx, codes.NotFound, codeSchema, "There is no schema with the id.")
	}
	return &eventbusv1.SchemaInfo{SchemaJson: text, SchemaId: ask.GetSchemaId(), RpcId: rpcID()}, nil
}
