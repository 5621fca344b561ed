package consent

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/url"

	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Invitation is what somebody who opened a link is told before going on.
type Invitation struct {
	Workspace, Connection, Actor string
	// LoginHost is where the browser goes.
	LoginHost string
	Platform  bool
}

// Look tells what a link is for, and changes nothing: programs that look at links in messages do not use them up. The error is
// a *Failure if it leads nowhere.
func (s *Service) Look(ctx context.Context, ticket string) (Invitation, error) {
	f, a, err := s.waiting(ctx, ticket)
	if err != nil {
		return Invitation{}, err
	}
	u, err := url.Parse(a.LoginURL)
	if err != nil {
		return Invitation{}, err
	}
	return Invitation{Workspace: f.Workspace, Connection: f.Connection, Actor: f.Actor, LoginHost: u.Host, Platform: a.Platform}, nil
}

func (s *Service) waiting(ctx context.Context, ticket string) (store.Flow, *attempt, error) {
	f, err := s.deps.Find.FlowByTicket(ctx, auth.HashOf(ticket))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return f, nil, failure(CodeLinkUnknown, "there is no such link")
	case err != nil:
		return f, nil, err
	case f.Status == configv1.FlowStatus_FLOW_STATUS_CANCELLED:
		return f, nil, failure(CodeCancelled, "the link was withdrawn")
	case f.Status == configv1.FlowStatus_FLOW_STATUS_EXPIRED:
		return f, nil, failure(CodeLinkExpired, "the link's time is over; ask for a new one")
	case f.Status != configv1.FlowStatus_FLOW_STATUS_WAITING:
		return f, nil, failure(CodeLinkUsed, "the link was used; ask for a new one")
	case !s.deps.Clock.Now().Before(f.ExpiresAt):
		return f, nil, failure(CodeLinkExpired, "the link's time is over; ask for a new one")
	}
	a, err := s.open(f)
	return f, a, err
}

// Departure is where a browser goes, with the cookie that it must bring back.
type Departure struct{ URL, Cookie string }

// Depart uses the link up and sends the browser to Salesforce.
func (s *Service) Depart(ctx context.Context, ticket string) (Departure, error) {
	f, a, err := s.waiting(ctx, ticket)
	if err != nil {
		return Departure{}, err
	}
	cookie := unguessable()
	next := f
	next.CookieHash = auth.HashOf(cookie)
	address, err := s.leave(ctx, f, next, a)
	if errors.Is(err, store.ErrStale) {
		return Departure{}, failure(CodeLinkUsed, "the link was used; ask for a new one")
	}
	return Departure{URL: address, Cookie: cookie}, err
}

// leave makes a new state and verifier, each for one trip, and returns the address to go to.
func (s *Service) leave(ctx context.Context, f, next store.Flow, a *attempt) (string, error) {
	a.State, a.Verifier = unguessable(), ""
	if a.withPKCE() {
		a.Verifier = unguessable()
	}
	address, err := s.login(a).AuthCodeURL()
	if err != nil {
		return "", asFailure(err)
	}
	next.Status, next.StateHash = configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE, auth.HashOf(a.State)
	next.ExpiresAt = s.deps.Clock.Now().Add(s.cfg.LoginTimeout)
	if next.Sealed, err = s.seal(next, a); err != nil {
		return "", err
	}
	return address, s.deps.Flows.MoveFlow(ctx, f, next, nil)
}

// Arrival is what came of a browser's return. One of Again, Confirm and Done is set.
type Arrival struct {
	// Again is another address to go to: the app refused PKCE, and it is tried without.
	Again string
	// Confirm asks the person to confirm the org. Token is what the answer must bring.
	Confirm *configv1.Org
	Token   string
	// WaitsForAdmin: it is another org than before, which an administrator here must accept.
	WaitsForAdmin bool
	// Done: connected, to Org.
	Done      bool
	Org       *configv1.Org
	Result    *configv1.FlowResult
	Diagnosis *configv1.Diagnosis
}

// Return takes a browser back from Salesforce. Whatever is wrong is a *Failure, and the attempt over, unless it was not this
// browser's: then nothing happens to it.
func (s *Service) Return(ctx context.Context, query url.Values, cookie string) (Arrival, error) {
	f, a, err := s.claim(ctx, query.Get("state"), cookie, configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE)
	if err != nil {
		return Arrival{}, err
	}
	arrival, err := s.arrive(ctx, f, a, query)
	return arrival, s.failed(ctx, f, err)
}

// claim finds the attempt that a state belongs to, checks the browser, and takes the step: nobody else can.
func (s *Service) claim(ctx context.Context, state, cookie string, at configv1.FlowStatus) (store.Flow, *attempt, error) {
	unknown := failure(CodeStateUnknown, "this login is not known, or it was finished; begin again")
	f, err := s.deps.Find.FlowByState(ctx, auth.HashOf(state))
	switch {
	case errors.Is(err, store.ErrNotFound) || state == "":
		s.refused(ctx, store.Flow{}, CodeStateUnknown)
		return f, nil, unknown
	case err != nil:
		return f, nil, err
	case f.Status != at:
		s.refused(ctx, f, CodeStateUnknown)
		return f, nil, unknown
	case subtle.ConstantTimeCompare(f.CookieHash, auth.HashOf(cookie)) != 1:
		s.refused(ctx, f, CodeOtherBrowser)
		return f, nil, failure(CodeOtherBrowser, "finish the login in the browser in which it was begun")
	case !s.deps.Clock.Now().Before(f.ExpiresAt):
		return f, nil, errors.Join(failure(CodeNotInTime, "the login took too long; begin again"), s.expire(ctx, f))
	}
	a, err := s.open(f)
	if err != nil {
		return f, nil, err
	}
	next := f
	next.Status = configv1.FlowStatus_FLOW_STATUS_EXCHANGING
	next.ExpiresAt = s.deps.Clock.Now().Add(s.cfg.LoginTimeout)
	err = s.deps.Flows.MoveFlow(ctx, f, next, nil)
	if errors.Is(err, store.ErrStale) {
		s.refused(ctx, f, CodeStateUnknown)
		return f, nil, unknown
	}
	return next, a, err
}

// refused leaves a trace of what may be an attack (LOOM-4): in the log of the workspace whose login it is, or in the
// installation's. Nothing a browser brought is quoted.
func (s *Service) refused(ctx context.Context, f store.Flow, code string) {
	s.deps.Logger.WarnContext(ctx, "security: a login was refused", "code", code, "workspace", f.Workspace, "connection", f.Connection, "flow", f.ID)
	now := s.deps.Clock.Now()
	if _, ok := s.deps.Refusals.Take(f.Workspace, now); !ok {
		return
	}
	err := s.deps.Audit.AddAudit(ctx, store.AuditEntry{
		Act:       store.Act{Actor: "browser", Action: "Return", Reason: code, At: now},
		Workspace: f.Workspace, Kind: "refused", Target: f.Connection,
	})
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "a refused login could not be written into the audit log", "workspace", f.Workspace, "error", err)
	}
}

func (s *Service) arrive(ctx context.Context, f store.Flow, a *attempt, query url.Values) (Arrival, error) {
	login := s.login(a)
	code, err := login.Code(query)
	var token oauth.Token
	if err == nil {
		exchange, cancel := context.WithTimeout(ctx, s.cfg.ExchangeTimeout)
		defer cancel()
		token, err = login.Exchange(exchange, code)
	}
	switch {
	case err == nil:
		return s.authorised(ctx, f, a, token)
	case refusesPKCE(err) && a.Verifier != "" && a.PKCE != configv1.PkceMode_PKCE_MODE_ON && !a.WithoutPKCE:
		a.WithoutPKCE = true
		address, err := s.leave(ctx, f, f, a)
		return Arrival{Again: address}, err
	case lacksScope(err) && !a.AllScopes:
		a.AllScopes = true // what is granted then says which one is missing (IMM-7)
		address, err := s.leave(ctx, f, f, a)
		return Arrival{Again: address}, err
	case demandsPKCE(err) && a.Verifier == "":
		return Arrival{}, failure(CodePKCERequired, "the app requires PKCE: switch PKCE on here, or off in the app")
	}
	return Arrival{}, asFailure(err)
}

// failed ends an attempt that a step could not be made of, and returns why.
func (s *Service) failed(ctx context.Context, f store.Flow, err error) error {
	if err == nil {
		return nil
	}
	why := asFailure(err)
	var known *Failure
	if !errors.As(err, &known) {
		s.deps.Logger.ErrorContext(ctx, "an attempt at connecting failed", "workspace", f.Workspace, "connection", f.Connection, "flow", f.ID, "error", err)
	}
	next, endErr := ended(f, configv1.FlowStatus_FLOW_STATUS_FAILED, why.result(), s.deps.Clock.Now())
	if endErr == nil {
		// Whoever has a token to give back has ended the attempt already, with it.
		endErr = s.deps.Flows.MoveFlow(context.WithoutCancel(ctx), f, next, nil)
	}
	if endErr == nil || errors.Is(endErr, store.ErrStale) {
		s.unfinished(ctx, f, why, f.Actor)
		return why
	}
	return errors.Join(why, endErr)
}
