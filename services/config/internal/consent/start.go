package consent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// Start is what begins an attempt.
type Start struct {
	Options *configv1.ConnectOptions
	// By begins it.
	By store.Act
	// SetupLink: somebody else will open the link, within Lifetime; 0 for the default.
	SetupLink bool
	Lifetime  time.Duration
}

// FieldError is what is wrong with one of the options.
type FieldError struct{ Field, Problem string }

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Busy means that an attempt is under way already.
type Busy struct{ Flow store.Flow }

// Error implements error.
func (e *Busy) Error() string {
	return fmt.Sprintf("%s began connecting this already; wait until %s, or restart", e.Flow.Actor, e.Flow.ExpiresAt.Format(time.RFC3339))
}

// Begin makes an attempt and the link that leads to it. The connection is made if there is none; one that works goes on
// working until another authorisation takes the place of its own. Errors: *FieldError, *Busy, or the store's.
func (s *Service) Begin(ctx context.Context, in Start) (store.Flow, string, error) {
	o := in.Options
	key := store.Key{Workspace: o.GetWorkspace(), Kind: store.KindConnection, ID: o.GetConnection()}
	doc, stored, grant, err := s.stored(ctx, key)
	if err != nil {
		return store.Flow{}, "", err
	}
	a, err := s.attemptFrom(o, stored, grant)
	if err != nil {
		return store.Flow{}, "", err
	}
	if err := s.makeWay(ctx, o, in.By); err != nil {
		return store.Flow{}, "", err
	}
	if doc.Version == 0 {
		if err := s.createConnection(ctx, o, a, in.By); err != nil {
			return store.Flow{}, "", err
		}
	}
	now := s.deps.Clock.Now()
	ticket := unguessable()
	f := store.Flow{
		ID: uuid.NewString(), Workspace: o.GetWorkspace(), Connection: o.GetConnection(), Actor: in.By.Actor, SetupLink: in.SetupLink,
		Status: configv1.FlowStatus_FLOW_STATUS_WAITING, TicketHash: auth.HashOf(ticket), CreatedAt: now, ExpiresAt: now.Add(s.lifetime(in)),
	}
	f.By = &in.By
	if f.Sealed, err = s.seal(f, a); err != nil {
		return store.Flow{}, "", err
	}
	err = s.deps.Flows.CreateFlow(ctx, f)
	if errors.Is(err, store.ErrPending) {
		return store.Flow{}, "", s.busy(ctx, o, err)
	}
	if err != nil {
		return store.Flow{}, "", err
	}
	// A connection that holds an authorisation goes on with it until it is replaced.
	status, err := s.deps.Keeper.Status(ctx, keyOf(f))
	if err == nil && (doc.Sealed == nil || status.State == connstate.Disconnected) {
		s.note(ctx, f, connstate.Change{To: connstate.Awaiting, Cause: lifecycle.CauseStarted, Actor: in.By.Actor})
	}
	return f, s.deps.PublicURL() + LinkPath + ticket, nil
}

func keyOf(f store.Flow) lifecycle.Key {
	return lifecycle.Key{Workspace: f.Workspace, Connection: f.Connection}
}

// note changes the state if that is legal; an attempt does not fail because its progress could not be noted.
func (s *Service) note(ctx context.Context, f store.Flow, c connstate.Change) {
	if _, _, err := s.deps.Keeper.ChangeIfLegal(ctx, keyOf(f), c); err != nil {
		s.deps.Logger.ErrorContext(ctx, "a connection's state could not be noted", "workspace", f.Workspace, "connection", f.Connection, "error", err)
	}
}

func (s *Service) lifetime(in Start) time.Duration {
	switch {
	case !in.SetupLink:
		return s.cfg.LoginTimeout
	case in.Lifetime > 0:
		return in.Lifetime
	}
	return s.cfg.LinkLifetime
}

// stored reads the connection and its grant; both are empty if there is none.
func (s *Service) stored(ctx context.Context, key store.Key) (store.Document, *configv1.Connection, *configv1.Connection, error) {
	c, grant := &configv1.Connection{}, &configv1.Connection{}
	doc, err := s.deps.Documents.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Document{}, c, grant, nil
	}
	if err != nil {
		return doc, nil, nil, err
	}
	if err := proto.Unmarshal(doc.Body, c); err != nil {
		return doc, nil, nil, fmt.Errorf("connection %s of workspace %s: %w", key.ID, key.Workspace, err)
	}
	if doc.Sealed == nil {
		return doc, c, grant, nil
	}
	opened, err := tokens.OpenCredentials(s.deps.Installation, key.Workspace, key.ID, doc.Sealed)
	if errors.Is(err, seal.ErrOpen) {
		return doc, c, grant, nil // a lost key is recovered from by connecting again
	}
	return doc, c, opened, err
}

// attemptFrom puts together what was entered and what is stored.
func (s *Service) attemptFrom(o *configv1.ConnectOptions, stored, grant *configv1.Connection) (*attempt, error) {
	was, want := stored.GetSettings(), o.GetSettings()
	a := &attempt{
		Environment: want.GetEnvironment(), Source: want.GetSource(), Package: want.GetNeedsPackage() || want == nil && was.GetNeedsPackage(),
		PKCE: want.GetPkce(), OtherUser: o.GetOtherUser(), OtherOrg: o.GetAcceptOtherOrg(), Email: strings.TrimSpace(o.GetExpectedEmail()),
	}
	if a.Environment == configv1.Environment_ENVIRONMENT_UNSPECIFIED {
		a.Environment = was.GetEnvironment()
	}
	if a.PKCE == configv1.PkceMode_PKCE_MODE_UNSPECIFIED {
		a.PKCE = was.GetPkce()
	}
	if a.Source == "" {
		a.Source = was.GetSource()
	}
	if err := a.phone(want, was); err != nil {
		return nil, err
	}
	a.PackageVersion = cmp.Or(want.GetPackageVersion(), was.GetPackageVersion())
	entered := o.GetLoginUrl()
	if entered == "" && (want.GetEnvironment() == configv1.Environment_ENVIRONMENT_UNSPECIFIED || want.GetEnvironment() == was.GetEnvironment()) {
		entered = stored.GetLoginUrl()
	}
	var err error
	if a.LoginURL, a.Environment, err = s.deps.Addresses.Login(entered, a.Environment); err != nil {
		return nil, &FieldError{"options.login_url", err.Error()}
	}
	return a, s.chooseApp(a, o, stored, grant)
}

// chooseApp takes the app that was entered, the stored one, or the platform's, in this order. A stored secret goes only to the
// address it was entered for.
func (s *Service) chooseApp(a *attempt, o *configv1.ConnectOptions, stored, grant *configv1.Connection) error {
	a.ClientID, a.ClientSecret = strings.TrimSpace(o.GetClientId()), strings.TrimSpace(o.GetClientSecret())
	app := grant.GetRefreshToken()
	switch {
	case strings.ContainsAny(a.ClientID, " \t\r\n"):
		return &FieldError{"options.client_id", "a consumer key has no spaces or line breaks within"}
	case strings.ContainsAny(a.ClientSecret, " \t\r\n"):
		return &FieldError{"options.client_secret", "a consumer secret has no spaces or line breaks within"}
	case a.ClientID == "" && a.ClientSecret != "":
		return &FieldError{"options.client_id", "enter the consumer key that the secret belongs to"}
	}
	if a.ClientID == "" && app.GetClientId() != "" {
		a.ClientID = app.GetClientId()
	}
	if a.ClientID == "" {
		a.ClientID = s.deps.Platform.ClientID
	}
	if a.ClientID == "" {
		return &FieldError{"options.client_id", "enter the consumer key of your own app: this installation has none"}
	}
	if a.ClientSecret == "" && a.ClientID == app.GetClientId() && app.GetClientSecret() != "" {
		if stored.GetLoginUrl() != a.LoginURL {
			return &FieldError{"options.client_secret", "enter it again: the login address is another one"}
		}
		a.ClientSecret = app.GetClientSecret()
	}
	a.Platform = a.ClientSecret == "" && a.ClientID == s.deps.Platform.ClientID
	return nil
}

// makeWay ends an attempt that is under way, if its time is over or if that is asked for.
func (s *Service) makeWay(ctx context.Context, o *configv1.ConnectOptions, by store.Act) error {
	f, err := s.deps.Find.PendingFlow(ctx, o.GetWorkspace(), o.GetConnection())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !s.deps.Clock.Now().Before(f.ExpiresAt):
		return s.expire(ctx, f)
	case !o.GetRestart():
		return &Busy{f}
	}
	_, err = s.Cancel(ctx, f.Workspace, f.ID, by)
	return err
}

func (s *Service) busy(ctx context.Context, o *configv1.ConnectOptions, cause error) error {
	f, err := s.deps.Find.PendingFlow(ctx, o.GetWorkspace(), o.GetConnection())
	if err != nil {
		return errors.Join(cause, err)
	}
	return &Busy{f}
}

// createConnection saves a connection that nobody has authorised yet.
func (s *Service) createConnection(ctx context.Context, o *configv1.ConnectOptions, a *attempt, by store.Act) error {
	c := &configv1.Connection{
		Workspace: o.GetWorkspace(), Id: o.GetConnection(), Name: o.GetName(), LoginUrl: a.LoginURL, Settings: a.settings(), Version: 1,
	}
	err := s.put(ctx, nil, c, store.Save{}.As(by))
	if errors.Is(err, store.ErrStale) {
		return nil // another administrator pressed the button at the same moment
	}
	if err != nil {
		return err
	}
	return s.deps.Keeper.Begin(ctx, lifecycle.Key{Workspace: c.GetWorkspace(), Connection: c.GetId()},
		connstate.Change{To: connstate.NotConnected, Cause: lifecycle.CauseStarted, Actor: by.Actor})
}

// put saves a connection as the version it says, instead of before, which is nil for a new one; save brings what is not in it.
func (s *Service) put(ctx context.Context, before, c *configv1.Connection, save store.Save) error {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode connection %s: %w", c.GetId(), err)
	}
	save.Key = store.Key{Workspace: c.GetWorkspace(), Kind: store.KindConnection, ID: c.GetId()}
	save.Body, save.Expected, save.At = body, c.GetVersion()-1, s.deps.Clock.Now()
	found := changes.Between(nil, c, "version")
	if before != nil {
		found = changes.Between(before, c, "version")
	}
	if save.Sealed != nil {
		found = append(found, &configv1.FieldChange{Path: changes.SealedPath, Concealed: true})
	}
	if save.Changes, err = changes.Encode(found); err != nil {
		return err
	}
	return s.deps.Documents.Put(ctx, save)
}
