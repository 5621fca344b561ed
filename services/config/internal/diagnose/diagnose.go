package diagnose

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Documents reads connections, workspaces and integrations, and saves what was learnt of an org.
type Documents interface {
	Put(ctx context.Context, save store.Save) error
	Get(ctx context.Context, key store.Key) (store.Document, error)
	List(ctx context.Context, workspace string, kind store.Kind) ([]store.Document, error)
}

// Diagnoses keeps what was found.
type Diagnoses interface {
	SaveDiagnosis(ctx context.Context, workspace, connection string, at time.Time, body []byte) error
	Diagnosis(ctx context.Context, workspace, connection string) ([]byte, error)
	ScheduleCheck(ctx context.Context, workspace, connection string, at time.Time) error
}

// Tokens hands out access tokens; see tokens.Custodian.
type Tokens interface {
	Get(ctx context.Context, workspace, connection string, refusedHash []byte) (*configv1.GetAccessTokenResponse, error)
}

// Connect returns a client of an org for one token, and what ends its idle connections.
type Connect func(c *configv1.Connection, access *configv1.GetAccessTokenResponse) (probe.Org, func())

// Config says what is demanded of orgs and when they are asked.
type Config struct {
	// Questions bounds the questions.
	Questions probe.Config `yaml:"questions"`
	// Every is how often a connection is asked that is well; Jitter moves each time by up to that share of it, so that not all
	// orgs are asked at once. RecheckMin is how soon one is asked again that is not; the wait grows with its trouble's age, up
	// to Every.
	Every      time.Duration `yaml:"every"`
	Jitter     float64       `yaml:"jitter"`
	RecheckMin time.Duration `yaml:"recheck_min"`
	// Tick is how often it is looked which connections are due, Batch how many a replica takes at once.
	Tick  time.Duration `yaml:"tick"`
	Batch int           `yaml:"batch"`
	// Sources are the source products' demands, by name; "" are the general ones.
	Sources map[string]Source `yaml:"sources"`
}

// Source is what a source product demands of an org.
type Source struct {
	// Editions are allowed, as Salesforce's Organization.OrganizationType names them; none: all of them.
	Editions []string `yaml:"editions"`
	// Sandboxes of every edition are allowed.
	Sandboxes bool `yaml:"sandboxes"`
	// FullAccess: the user must hold Modify All Data.
	FullAccess bool `yaml:"full_access"`
	// Tasks: the user must be able to create tasks, before any integration does.
	Tasks bool `yaml:"tasks"`
}

// DefaultConfig asks daily, give or take a tenth, and every 5 minutes at first while something is in the way. The demands are
// those of the products (LOOM-5, IMM-1, IMM-2, ZOOM-2, WALK-3).
func DefaultConfig() Config {
	enterprise := []string{"Enterprise Edition", "Unlimited Edition", "Developer Edition"}
	return Config{
		Questions: probe.DefaultConfig(), Every: 24 * time.Hour, Jitter: 0.1, RecheckMin: 5 * time.Minute, Tick: 30 * time.Second, Batch: 20,
		Sources: map[string]Source{
			"":        {}, // whatever edition lets us use its API
			"loom":    {Editions: enterprise},
			"immedio": {Editions: append([]string{"Professional Edition", "Performance Edition"}, enterprise...), Sandboxes: true, Tasks: true},
			"zoom":    {Editions: []string{"Enterprise Edition", "Unlimited Edition"}, FullAccess: true, Tasks: true},
			"walkme":  {Editions: enterprise, FullAccess: true},
			"hopin":   {Editions: enterprise},
		},
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	if err := c.Questions.Validate(); err != nil {
		return fmt.Errorf("questions.%w", err)
	}
	switch {
	case c.Every < time.Hour:
		return errors.New("every: want at least 1h")
	case c.Jitter < 0 || c.Jitter > 0.5:
		return errors.New("jitter: want 0 to 0.5")
	case c.RecheckMin <= 0 || c.RecheckMin > c.Every:
		return errors.New("recheck_min: want more than 0 and at most every")
	case c.Tick <= 0:
		return errors.New("tick: want more than 0")
	case c.Batch < 1:
		return errors.New("batch: want at least 1")
	}
	return nil
}

// Deps is what a Service works with; all of it is required.
type Deps struct {
	Documents Documents
	Diagnoses Diagnoses
	Tokens    Tokens
	Connect   Connect
	Keeper    *lifecycle.Keeper
	Claims    Claims
	// Installation opens workspaces' keys, by which an address is recognised.
	Installation *seal.Installation
	// Addresses are where our calls come from; they are told to orgs that restrict addresses.
	Addresses []string
	// Random returns a number from 0 up to 1, for jitter.
	Random func() float64
	Clock  interface{ Now() time.Time }
	Logger *slog.Logger
}

// Service diagnoses connections. Safe for concurrent use.
type Service struct {
	cfg    Config
	deps   Deps
	flight singleflight.Group
}

// New returns a service.
func New(cfg Config, deps Deps) *Service { return &Service{cfg: cfg, deps: deps} }

// Last returns what the newest diagnosis found; the error is store.ErrNotFound if there was none.
func (s *Service) Last(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error) {
	body, err := s.deps.Diagnoses.Diagnosis(ctx, workspace, connection)
	if err != nil {
		return nil, err
	}
	d := &configv1.Diagnosis{}
	return d, proto.Unmarshal(body, d)
}

// Diagnose asks the connection's org everything, keeps the answers and notes the state that follows. Whoever asks while it is
// under way gets the same. An org that does not answer is no error: the diagnosis says so.
func (s *Service) Diagnose(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error) {
	work := s.flight.DoChan(workspace+"\x00"+connection, func() (any, error) {
		return s.diagnose(context.WithoutCancel(ctx), workspace, connection)
	})
	select {
	case r := <-work:
		d, _ := r.Val.(*configv1.Diagnosis)
		if r.Err != nil {
			return nil, r.Err
		}
		return proto.CloneOf(d), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Service) diagnose(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error) {
	c := &configv1.Connection{}
	if err := s.load(ctx, store.Key{Workspace: workspace, Kind: store.KindConnection, ID: connection}, c); err != nil {
		return nil, err
	}
	subject, err := s.subject(ctx, c)
	if err != nil {
		return nil, err
	}
	d := &configv1.Diagnosis{Workspace: workspace, Connection: connection, At: timestamppb.New(s.deps.Clock.Now())}
	d.Results = s.ask(ctx, c, subject)
	s.publish(d.GetResults())
	status, verdict, err := s.conclude(ctx, d)
	if err != nil {
		return nil, err
	}
	d.Status = status.Message()
	body, err := proto.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("diagnosis of connection %s of workspace %s: %w", connection, workspace, err)
	}
	if err := s.deps.Diagnoses.SaveDiagnosis(ctx, workspace, connection, d.GetAt().AsTime(), body); err != nil {
		return nil, err
	}
	return d, s.deps.Diagnoses.ScheduleCheck(ctx, workspace, connection, s.deps.Clock.Now().Add(s.wait(status, verdict)))
}

// ask gets a token and asks with it. A session that ended early looks like one that is not let in, so such an answer counts
// only with a token that was issued just now.
func (s *Service) ask(ctx context.Context, c *configv1.Connection, subject probe.Subject) []*configv1.ProbeResult {
	facts := probe.Facts{ConsentAge: age(c, s.deps.Clock.Now())}
	access, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), nil)
	if err != nil {
		refused := probe.Refused(err)
		facts.Reason, facts.Code = refused.GetReason(), refused.GetDetail()
		return append([]*configv1.ProbeResult{refused}, probe.Policies(facts)...)
	}
	results := s.askWith(ctx, c, access, subject)
	if results[0].GetDetail() == "INVALID_SESSION_ID" {
		used := sha256.Sum256([]byte(access.GetAccessToken()))
		fresh, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), used[:])
		if err != nil {
			refused := probe.Refused(err)
			facts.Reason, facts.Code = refused.GetReason(), refused.GetDetail()
			return append([]*configv1.ProbeResult{refused}, probe.Policies(facts)...)
		}
		results = s.askWith(ctx, c, fresh, subject)
	}
	facts.Refreshed = true
	results = append([]*configv1.ProbeResult{probe.Authorised()}, results...)
	return append(results, probe.Policies(facts)...)
}

// publish adds our addresses where an org does not let them in (IMM-3, IMM-4).
func (s *Service) publish(results []*configv1.ProbeResult) {
	for _, r := range results {
		if r.GetReason() == streamv1.Reason_REASON_SF_IP_RESTRICTED && len(s.deps.Addresses) > 0 {
			r.Detail = strings.TrimPrefix(r.GetDetail()+"; "+strings.Join(s.deps.Addresses, ", "), "; ")
		}
	}
}

func (s *Service) askWith(ctx context.Context, c *configv1.Connection, access *configv1.GetAccessTokenResponse, subject probe.Subject) []*configv1.ProbeResult {
	org, done := s.deps.Connect(c, access)
	defer done()
	heard := &hearing{Org: org}
	results := probe.Run(ctx, s.cfg.Questions, heard, subject)
	s.noteZone(ctx, c, heard.said())
	return results
}

func age(c *configv1.Connection, now time.Time) time.Duration {
	if c.GetConsent().GetGivenAt() == nil {
		return 0
	}
	return now.Sub(c.GetConsent().GetGivenAt().AsTime())
}

// conclude notes the state that follows from the answers, if one does.
func (s *Service) conclude(ctx context.Context, d *configv1.Diagnosis) (connstate.Status, connstate.Verdict, error) {
	key := lifecycle.Key{Workspace: d.GetWorkspace(), Connection: d.GetConnection()}
	if err := s.letIn(ctx, key, d); err != nil {
		return connstate.Status{}, connstate.Same, err
	}
	state, reason, known := probe.State(d.GetResults())
	if !known {
		status, err := s.deps.Keeper.Status(ctx, key)
		return status, connstate.Same, err
	}
	return s.deps.Keeper.ChangeIfLegal(ctx, key, connstate.Change{
		To: state, Reason: reason, Cause: cause(d.GetResults(), reason), Actor: lifecycle.ActorDiagnosis,
	})
}

// letIn notes that a connection that was REVOKED gets tokens after all: its user was let in again, or what the token endpoint
// had said could not be noted when it did.
func (s *Service) letIn(ctx context.Context, key lifecycle.Key, d *configv1.Diagnosis) error {
	status, err := s.deps.Keeper.Status(ctx, key)
	if err != nil || status.State != connstate.Revoked || d.GetResults()[0].GetStatus() != configv1.ProbeStatus_PROBE_STATUS_OK {
		return err
	}
	s.deps.Keeper.Issued(ctx, key.Workspace, key.Connection)
	return nil
}

// cause names the first question that was answered with the reason.
func cause(results []*configv1.ProbeResult, reason streamv1.Reason) string {
	if reason != streamv1.Reason_REASON_UNSPECIFIED {
		for _, r := range results {
			if r.GetRequired() && r.GetReason() == reason {
				return cmp.Or(r.GetProbe(), lifecycle.CauseDiagnosis)
			}
		}
	}
	return lifecycle.CauseDiagnosis
}

// subject puts together what is demanded of the org.
func (s *Service) subject(ctx context.Context, c *configv1.Connection) (probe.Subject, error) {
	source, known := s.cfg.Sources[c.GetSettings().GetSource()]
	if !known {
		source = s.cfg.Sources[""]
	}
	subject := probe.Subject{
		Connection: c, Editions: source.Editions, Sandboxes: source.Sandboxes, FullAccess: source.FullAccess, TasksNeeded: source.Tasks,
	}
	docs, err := s.deps.Documents.List(ctx, c.GetWorkspace(), store.KindIntegration)
	if err != nil {
		return subject, err
	}
	integrations := make([]*configv1.Integration, len(docs))
	for i, doc := range docs {
		integrations[i] = &configv1.Integration{}
		if err := proto.Unmarshal(doc.Body, integrations[i]); err != nil {
			return subject, fmt.Errorf("integration %s of workspace %s: %w", doc.ID, doc.Workspace, err)
		}
	}
	subject.Needs = probe.NeedsOf(integrations, c.GetId())
	ws := &configv1.Workspace{}
	err = s.load(ctx, store.Key{Workspace: c.GetWorkspace(), Kind: store.KindWorkspace, ID: c.GetWorkspace()}, ws)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return subject, err
	}
	subject.MatchFields = matchFields(ws.GetMatchPolicy())
	subject.SameAddress, err = s.sameAddress(ctx, c)
	return subject, err
}

// matchFields are the fields by which identity finds people.
func matchFields(p *configv1.MatchPolicy) map[string][]string {
	objects := p.GetObjects()
	if len(objects) == 0 {
		objects = []string{"Lead", "Contact"}
	}
	out := map[string][]string{}
	for object, more := range map[string][]string{"Lead": p.GetLeadEmailFields(), "Contact": p.GetContactEmailFields()} {
		if slices.Contains(objects, object) {
			out[object] = append([]string{"Email"}, more...)
		}
	}
	return out
}

func (s *Service) load(ctx context.Context, key store.Key, out proto.Message) error {
	doc, err := s.deps.Documents.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(doc.Body, out); err != nil {
		return fmt.Errorf("%s %s of workspace %s: %w", key.Kind, key.ID, key.Workspace, err)
	}
	return nil
}
