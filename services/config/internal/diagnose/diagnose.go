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

	"github.com/throughline-dev/throughline/libs/salesforce"
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
	Workspaces(ctx context.Context) ([]store.Document, error)
}

// Diagnoses keeps what was found.
type Diagnoses interface {
	SaveDiagnosis(ctx context.Context, workspace, connection string, at time.Time, body []byte) error
	Diagnosis(ctx context.Context, workspace, connection string) ([]byte, error)
	ScheduleCheck(ctx context.Context, workspace, connection string, at time.Time) error
}

// History reads what became of connections, newest first.
type History interface {
	StateHistory(ctx context.Context, workspace, connection string, limit int) ([]store.StateChange, error)
}

// Tokens hands out access tokens; see tokens.Custodian.
type Tokens interface {
	Get(ctx context.Context, workspace, connection string, refusedHash []byte) (*configv1.GetAccessTokenResponse, error)
}

// Connect returns a client of an org for one token, and what ends its idle connections.
type Connect func(c *configv1.Connection, access *configv1.GetAccessTokenResponse) (probe.Org, func())

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
	History      History
	// Addresses are where our calls come from; they are told to orgs that restrict addresses.
	Addresses func() []string
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
	notes  chan note
}

// New returns a service.
func New(cfg Config, deps Deps) *Service {
	return &Service{cfg: cfg, deps: deps, notes: make(chan note, noteQueue)}
}

// Last returns what the newest diagnosis found; the error is store.ErrNotFound if there was none.
func (s *Service) Last(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error) {
	body, err := s.deps.Diagnoses.Diagnosis(ctx, workspace, connection)
	if err != nil {
		return nil, err
	}
	d := &configv1.Diagnosis{}
	return d, proto.Unmarshal(body, d)
}

// Diagnose asks the connection's org everything, keeps the answers and notes the state that follows. Who asks while a look is under
// way gets what the next one finds, as do others who wait for it: a look that began before a login, or before something was put
// right, has not seen it. An org that does not answer is no error: the diagnosis says so.
func (s *Service) Diagnose(ctx context.Context, workspace, connection string) (*configv1.Diagnosis, error) {
	d, began, err := s.look(ctx, workspace, connection)
	if !began && ctx.Err() == nil {
		d, _, err = s.look(ctx, workspace, connection)
	}
	return d, err
}

// look waits for the look that is under way, or begins one and reports that it did.
func (s *Service) look(ctx context.Context, workspace, connection string) (d *configv1.Diagnosis, began bool, err error) {
	mine := false
	work := s.flight.DoChan(workspace+"\x00"+connection, func() (any, error) {
		mine = true
		return s.diagnose(context.WithoutCancel(ctx), workspace, connection)
	})
	select {
	case r := <-work:
		if r.Err != nil {
			return nil, mine, r.Err
		}
		d, _ = r.Val.(*configv1.Diagnosis)
		return proto.CloneOf(d), mine, nil
	case <-ctx.Done():
		return nil, false, ctx.Err()
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
	if err := s.ask(ctx, c, subject, d); err != nil {
		return nil, err
	}
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
	// Counted from when the org was asked, for that is how old the answers are.
	at := d.GetAt().AsTime()
	return d, s.deps.Diagnoses.ScheduleCheck(ctx, workspace, connection, at.Add(s.wait(status, verdict, at)))
}

// ask gets a token and asks with it. A session that ended early looks like one that is not let in, so such an answer counts
// only with a token that was issued just now.
func (s *Service) ask(ctx context.Context, c *configv1.Connection, subject probe.Subject, d *configv1.Diagnosis) error {
	facts, err := s.facts(ctx, c)
	if err != nil {
		return err
	}
	refused := func(err error) {
		r := probe.Refused(err)
		facts.Reason, facts.Code = r.GetReason(), r.GetDetail()
		d.Results = append([]*configv1.ProbeResult{r}, probe.Policies(facts)...)
	}
	access, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), nil)
	if err != nil {
		refused(err)
		return nil
	}
	report := s.askWith(ctx, c, access, subject)
	if stale(report.Results[0].GetDetail()) {
		used := sha256.Sum256([]byte(access.GetAccessToken()))
		fresh, err := s.deps.Tokens.Get(ctx, c.GetWorkspace(), c.GetId(), used[:])
		if err != nil {
			refused(err)
			return nil
		}
		report = s.askWith(ctx, c, fresh, subject)
	}
	facts.Refreshed = true
	d.Results = append([]*configv1.ProbeResult{probe.Authorised()}, report.Results...)
	d.Results = append(d.Results, probe.Policies(facts)...)
	d.Package, d.Layouts = report.Package, report.Layouts
	return nil
}

// stale reports whether a code may mean that the token, or the address that came with it, is no longer good.
func stale(code string) bool {
	return code == "INVALID_SESSION_ID" || code == salesforce.CodeRedirected
}

// publish adds our addresses where an org does not let them in (IMM-3, IMM-4).
func (s *Service) publish(results []*configv1.ProbeResult) {
	if s.deps.Addresses == nil {
		return
	}
	networks := strings.Join(s.deps.Addresses(), ", ")
	for _, r := range results {
		if r.GetReason() == streamv1.Reason_REASON_SF_IP_RESTRICTED && networks != "" {
			r.Detail = strings.TrimPrefix(r.GetDetail()+"; "+networks, "; ")
		}
	}
}

func (s *Service) askWith(ctx context.Context, c *configv1.Connection, access *configv1.GetAccessTokenResponse, subject probe.Subject) probe.Report {
	org, done := s.deps.Connect(c, access)
	defer done()
	heard := &hearing{Org: org}
	results := probe.Run(ctx, s.cfg.Questions, heard, subject)
	s.noteZone(ctx, c, heard.said())
	return results
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
	for _, r := range results {
		if r.GetRequired() && r.GetStatus() == configv1.ProbeStatus_PROBE_STATUS_BLOCKED && r.GetReason() == reason {
			return cmp.Or(r.GetProbe(), lifecycle.CauseDiagnosis)
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
		Package: s.cfg.Demand(c),
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
	subject.MatchFields = MatchFields(ws.GetMatchPolicy())
	if ws.GetAccessCheck() == configv1.AccessCheck_ACCESS_CHECK_OBJECTS {
		subject.FullAccess = false // what integrations do with objects is asked about in any case
	}
	subject.SameAddress, err = s.sameAddress(ctx, c)
	return subject, err
}

// MatchFields are the fields by which identity finds people, by object.
func MatchFields(p *configv1.MatchPolicy) map[string][]string {
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
