package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/catalogue"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/preview"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/config/internal/watch"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/plan"
)

// Documents keeps versioned settings.
type Documents interface {
	Put(ctx context.Context, save store.Save) error
	// PutAll saves several settings of one workspace, all or none.
	PutAll(ctx context.Context, saves []store.Save) error
	Get(ctx context.Context, key store.Key) (store.Document, error)
	List(ctx context.Context, workspace string, kind store.Kind) ([]store.Document, error)
}

// Directory finds what Documents does not: all workspaces, and old versions.
type Directory interface {
	Workspaces(ctx context.Context) ([]store.Document, error)
	GetVersion(ctx context.Context, key store.Key, version int64) (store.Document, error)
}

// Accounts knows who made connections, and deletes them.
type Accounts interface {
	Creations(ctx context.Context, workspace string, kind store.Kind) (map[string]store.Creation, error)
	DeleteConnection(ctx context.Context, workspace, connection string, expected int64, by store.Act) error
}

// RunLog answers what became of events.
type RunLog interface {
	Outcomes(ctx context.Context, q store.OutcomeQuery) ([]store.Outcome, error)
	CountOutcomes(ctx context.Context, workspace string, from, to time.Time) ([]store.Count, error)
	IntegrationDays(ctx context.Context, q store.DayQuery) ([]store.IntegrationDay, error)
}

// Tokens hands out access tokens; see tokens.Custodian.
type Tokens interface {
	Get(ctx context.Context, workspace, connection string, refusedHash []byte) (*configv1.GetAccessTokenResponse, error)
	Retry(workspace, connection string)
}

// Orgs asks an org who it is, and who is there.
type Orgs interface {
	Organization(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse) (*configv1.Org, error)
	// ActiveUsers returns those of the users with the ids, of 18 characters, who exist and are active.
	ActiveUsers(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse, ids []string) ([]string, error)
	// Campaigns returns those of the campaigns with the ids, of 18 characters, that the org lets us see.
	Campaigns(ctx context.Context, connection *configv1.Connection, access *configv1.GetAccessTokenResponse, ids []string) ([]Campaign, error)
}

// Campaign is what an org says of a campaign.
type Campaign struct {
	ID, Name string
	Active   bool
	// Statuses are the labels of its member statuses.
	Statuses []string
}

// States reads where connections stand.
type States interface {
	ConnectionStates(ctx context.Context, workspace string) ([]store.ConnectionState, error)
	StateHistory(ctx context.Context, workspace, connection string, limit int) ([]store.StateChange, error)
}

// Secrets tries credentials; see tokens.Custodian.
type Secrets interface {
	Try(ctx context.Context, workspace, connection string, change tokens.Change) error
}

// Connecting lets administrators connect orgs; see consent.Service.
type Connecting interface {
	Begin(ctx context.Context, in consent.Start) (store.Flow, string, error)
	Cancel(ctx context.Context, workspace, id string, by store.Act) (store.Flow, error)
	AcceptOtherOrg(ctx context.Context, accepted consent.Acceptance) error
	CallbackURL() string
}

// Diagnosis asks orgs what is in the way; see diagnose.Service.
type Diagnosis interface {
	Diagnose(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error)
	Last(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error)
}

// Outgoing tells which networks our calls come from; see outgoing.Networks.
type Outgoing interface {
	InUse() []string
	Announced() []*configv1.OutgoingChange
}

// Flows reads attempts at connecting.
type Flows interface {
	Flow(ctx context.Context, workspace, id string) (store.Flow, error)
	PendingFlow(ctx context.Context, workspace, connection string) (store.Flow, error)
}

// Deps is what a Server works with; all of it is required but Decide.
type Deps struct {
	Documents    Documents
	Directory    Directory
	Accounts     Accounts
	RunLog       RunLog
	Tokens       Tokens
	Orgs         Orgs
	Keeper       *lifecycle.Keeper
	States       States
	Secrets      Secrets
	Consent      Connecting
	Flows        Flows
	Disconnector *lifecycle.Disconnector
	Diagnosis    Diagnosis
	// Demand is what a connection demands of the package.
	Demand func(*configv1.Connection) probe.Demand
	// Outgoing is published to those who connect orgs.
	Outgoing Outgoing
	// Pages is set when browsers can be served.
	Pages        bool
	Hub          *watch.Hub
	Installation *seal.Installation
	// Notices and Notifier are what is in the way, and who is told.
	Notices  NoticeStore
	Notifier Notifier
	// Catalogue knows what orgs have to offer.
	Catalogue *catalogue.Catalogue
	// Compile makes an integration ready to run, the way mapping will.
	Compile func(*configv1.Integration) (*integration.Program, error)
	// Decide is how mapping decides; nil where previews are not offered.
	Decide preview.Decide
	// Topics are those of the pipeline, for previews of what was recorded; nil where there is no broker. ReadTimeout bounds how
	// long they are read for one preview.
	Topics      preview.Log
	ReadTimeout time.Duration
	Persons     Persons
	// CheckLoginURL reports why an address must not be given credentials.
	CheckLoginURL func(address string) error
	// CheckRetention names what is wrong with a workspace's retention, by field; nil for nothing ever.
	CheckRetention func(own *configv1.RetentionSettings) (field, problem string)
	// Plans say what workspaces are entitled to.
	Plans  plan.Rules
	Clock  interface{ Now() time.Time }
	Logger *slog.Logger
}

// Server implements the services of connections, integrations, plans and the run log. Its interceptors
// must be installed with it: handlers rely on requests being authenticated, allowed and valid.
type Server struct {
	configv1.UnimplementedConfigServiceServer
	configv1.UnimplementedConnectServiceServer
	configv1.UnimplementedCatalogueServiceServer
	configv1.UnimplementedRunLogServiceServer
	configv1.UnimplementedNoticeServiceServer
	configv1.UnimplementedPlanServiceServer
	configv1.UnimplementedConnectionListServiceServer
	configv1.UnimplementedSetupServiceServer
	deps     Deps
	stopping chan struct{}
}

// New returns a server.
func New(deps Deps) *Server { return &Server{deps: deps, stopping: make(chan struct{})} }

// Stop ends the watches, so that the gRPC server can stop. Call it once.
func (s *Server) Stop() { close(s.stopping) }
