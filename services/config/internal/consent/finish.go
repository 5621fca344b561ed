package consent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// authorised decides what becomes of fresh tokens.
func (s *Service) authorised(ctx context.Context, f store.Flow, a *attempt, token oauth.Token) (Arrival, error) {
	a.RefreshToken, a.Scope = token.RefreshToken.Reveal(), token.Scope
	err := s.examine(ctx, a, token)
	if err != nil {
		// Promise 8: what is not wanted is not kept, here or there.
		give := token.RefreshToken
		if give.IsEmpty() {
			give = token.AccessToken
		}
		return Arrival{}, s.giveBack(ctx, f, a, give, asFailure(err))
	}
	known, err := s.knownOrg(ctx, f)
	if err != nil {
		return Arrival{}, err
	}
	other := known != "" && !settings.SameOrg(known, a.Org.ID)
	if other && !a.OtherOrg {
		return s.ask(ctx, f, a, failure(CodeOtherOrg, "the connection is for org "+known+", and this is org "+a.Org.ID+
			"; an administrator must accept that everything parked for the old one is given up"))
	}
	if f.SetupLink {
		return s.ask(ctx, f, a, nil)
	}
	return s.activate(ctx, f, a)
}

// examine finds out what was authorised, and refuses what must not become a connection.
func (s *Service) examine(ctx context.Context, a *attempt, token oauth.Token) error {
	if scopes := strings.Fields(token.Scope); len(scopes) > 0 && !slices.Contains(scopes, "api") && !slices.Contains(scopes, "full") {
		return failure(CodeMissingScope, "the app was not granted the scope api; add it to the app and log in again")
	}
	if token.RefreshToken.IsEmpty() {
		return failure(CodeNoOffline, "no offline access: the app was not granted the scope refresh_token; add it to the app and log in again")
	}
	id, user := tokens.OrgAndUser(token.IdentityURL)
	if id == "" {
		return failure(CodeOrgUnknown, "Salesforce did not say which org this is; log in again")
	}
	a.Org, a.UserID = &authorisedOrg{ID: id, InstanceURL: token.InstanceURL}, user
	asking, cancel := context.WithTimeout(ctx, s.cfg.ExchangeTimeout)
	defer cancel()
	c := &configv1.Connection{LoginUrl: a.LoginURL}
	access := &configv1.GetAccessTokenResponse{AccessToken: token.AccessToken.Reveal(), InstanceUrl: token.InstanceURL}
	who, whoErr := s.deps.Orgs.Identity(asking, c, access)
	if whoErr == nil {
		a.Username = who.Username
	}
	if err := checkEmail(a.Email, who.Email, whoErr); err != nil {
		return err
	}
	org, err := s.deps.Orgs.Organization(asking, c, access)
	if err != nil {
		return nil // an org that answers nothing is connected, and diagnosis says what is in the way
	}
	if !settings.SameOrg(org.GetId(), id) {
		return failure(CodeOrgUnknown, "the token is of one org and the answer of another; log in again")
	}
	a.Org = orgFrom(org)
	return checkEnvironment(a)
}

// checkEnvironment compares the box with the org (IMM-9).
func checkEnvironment(a *attempt) error {
	switch {
	case a.Environment == configv1.Environment_ENVIRONMENT_SANDBOX && !a.Org.Sandbox:
		return failure(CodeEnvironment, "a sandbox was meant, and org "+a.Org.ID+" is a production org")
	case a.Environment == configv1.Environment_ENVIRONMENT_PRODUCTION && a.Org.Sandbox:
		return failure(CodeEnvironment, "a production org was meant, and org "+a.Org.ID+" is a sandbox")
	}
	return nil
}

// checkEmail compares the addresses of both administrators (ZOOM-3).
func checkEmail(wanted, got string, unread error) error {
	if wanted == "" || unread == nil && tokens.PlainAddress(wanted) == tokens.PlainAddress(got) {
		return nil
	}
	f := failure(CodeEmail, "the address of the Salesforce user is not the one that was expected; both are shown where the login was made")
	f.Wanted, f.Got = wanted, got
	return f
}

// giveBack ends the attempt and has what it got revoked, both or neither.
func (s *Service) giveBack(ctx context.Context, f store.Flow, a *attempt, token secret.String, why *Failure) error {
	ctx = context.WithoutCancel(ctx)
	result := why.result()
	result.Org = a.Org.message()
	next, err := ended(f, configv1.FlowStatus_FLOW_STATUS_FAILED, result, s.deps.Clock.Now())
	if err != nil {
		return err
	}
	revoke, err := s.revocation(f, a, token)
	if err != nil {
		return err
	}
	if err := s.deps.Flows.MoveFlow(ctx, f, next, revoke); err != nil {
		return err
	}
	s.revoke(ctx, revoke)
	return why
}

// revoke tries at once what is stored to be revoked; if that does not work, sweeps go on.
func (s *Service) revoke(ctx context.Context, r *store.Revocation) {
	if r == nil {
		return
	}
	if _, err := s.deps.Revoker.Try(ctx, r); err != nil {
		s.deps.Logger.WarnContext(ctx, "a token could not be revoked; it will be tried again", "workspace", r.Workspace, "connection", r.Connection, "error", err)
	}
}

func (s *Service) revocation(f store.Flow, a *attempt, token secret.String) (*store.Revocation, error) {
	return lifecycle.NewRevocation(s.deps.Installation, lifecycle.Token{
		Workspace: f.Workspace, Connection: f.Connection, LoginURL: a.LoginURL, Token: token,
	}, s.deps.Clock.Now())
}

// knownOrg is the org that the connection was made for, "" if there is none yet.
func (s *Service) knownOrg(ctx context.Context, f store.Flow) (string, error) {
	_, c, _, err := s.stored(ctx, store.Key{Workspace: f.Workspace, Kind: store.KindConnection, ID: f.Connection})
	return c.GetOrg().GetId(), err
}

// ask keeps what was authorised until somebody confirms it: the person at Salesforce, or with why an administrator here.
func (s *Service) ask(ctx context.Context, f store.Flow, a *attempt, why *Failure) (Arrival, error) {
	next, token := f, unguessable()
	next.Status, next.StateHash = configv1.FlowStatus_FLOW_STATUS_CONFIRM, auth.HashOf(token)
	next.ExpiresAt = s.deps.Clock.Now().Add(s.cfg.LoginTimeout)
	result := s.result(f, a)
	if why != nil {
		result.Code, result.Detail = why.Code, why.Detail
		next.ExpiresAt = s.deps.Clock.Now().Add(s.cfg.LinkLifetime) // the administrator may be at home
		next.StateHash = nil
	}
	var err error
	if next.Result, err = proto.Marshal(result); err != nil {
		return Arrival{}, err
	}
	if next.Sealed, err = s.seal(next, a); err != nil {
		return Arrival{}, err
	}
	if err := s.deps.Flows.MoveFlow(ctx, f, next, nil); err != nil {
		return Arrival{}, err
	}
	arrival := Arrival{Org: a.Org.message(), Result: result, WaitsForAdmin: why != nil}
	if why == nil {
		arrival.Confirm, arrival.Token = a.Org.message(), token
	}
	return arrival, nil
}

func (s *Service) result(f store.Flow, a *attempt) *configv1.FlowResult {
	return &configv1.FlowResult{Org: a.Org.message(), Consent: &configv1.Consent{
		UserId: a.UserID, Username: a.Username, Scopes: a.Scope, GivenAt: timestamppb.New(s.deps.Clock.Now()), AskedBy: f.Actor,
		WithPkce: a.Verifier != "", PlatformApp: a.Platform, SecretHint: hint(a.ClientSecret),
	}}
}

// minHinted is how long a secret must be for four of its characters to give nothing away.
const minHinted = 16

// hint is what a secret is recognised by (IMM-5).
func hint(secret string) string {
	if len(secret) < minHinted {
		return ""
	}
	return secret[len(secret)-4:]
}

// Confirm takes the answer of the person who authorised the org.
func (s *Service) Confirm(ctx context.Context, token, cookie string, yes bool) (Arrival, error) {
	f, a, err := s.claim(ctx, token, cookie, configv1.FlowStatus_FLOW_STATUS_CONFIRM)
	if err != nil {
		return Arrival{}, err
	}
	if !yes {
		why := failure(CodeNotConfirmed, "the person who logged in says that it is not the right org")
		err := s.giveBack(ctx, f, a, secret.New(a.RefreshToken), why)
		s.unfinished(ctx, f, why, lifecycle.ActorSetupLink)
		return Arrival{}, err
	}
	arrival, err := s.activate(ctx, f, a)
	return arrival, s.failed(ctx, f, err)
}

// Acceptance is an administrator's word that an attempt's other org is meant.
type Acceptance struct {
	Workspace, Flow string
	// OrgID is the org that the administrator means.
	OrgID string
	By    store.Act
}

// AcceptOtherOrg connects to the org that waits to be accepted. The error is a *Failure if there is none, if it waited too long,
// or if it is not the one that is meant.
func (s *Service) AcceptOtherOrg(ctx context.Context, accepted Acceptance) error {
	f, err := s.deps.Find.Flow(ctx, accepted.Workspace, accepted.Flow)
	if err != nil {
		return err
	}
	switch {
	case f.Status != configv1.FlowStatus_FLOW_STATUS_CONFIRM || f.StateHash != nil:
		return failure(CodeOtherOrg, "nothing waits to be accepted")
	case !s.deps.Clock.Now().Before(f.ExpiresAt):
		return errors.Join(failure(CodeNotInTime, "it has waited too long to be accepted; begin again"), s.expire(ctx, f))
	}
	a, err := s.open(f)
	if err != nil {
		return err
	}
	if !settings.SameOrg(a.Org.ID, accepted.OrgID) {
		return failure(CodeOtherOrg, "the org that was authorised is "+a.Org.ID)
	}
	next := f
	next.Status, next.By = configv1.FlowStatus_FLOW_STATUS_EXCHANGING, &accepted.By
	next.ExpiresAt = s.deps.Clock.Now().Add(s.cfg.LoginTimeout) // or a sweep could revoke what is being activated
	if err := s.deps.Flows.MoveFlow(ctx, f, next, nil); err != nil {
		return err
	}
	_, err = s.activate(ctx, next, a)
	return s.failed(ctx, next, err)
}

// activate makes what was authorised the connection's own. From here on the work is finished even if the browser leaves.
func (s *Service) activate(ctx context.Context, f store.Flow, a *attempt) (Arrival, error) {
	ctx = context.WithoutCancel(ctx)
	result := s.result(f, a)
	var err error
	if result.Consent.AddressKey, err = s.addressKey(ctx, f, a); err != nil {
		return Arrival{}, err
	}
	err = s.deps.Tokens.Exclusive(ctx, f.Workspace, f.Connection, func(ctx context.Context) error {
		err := store.ErrStale
		for range replaceTries {
			if errors.Is(err, store.ErrStale) {
				err = s.replace(ctx, f, a, result.GetConsent())
			}
		}
		return err
	})
	if err != nil {
		return Arrival{}, err
	}
	result.Notes = s.approvals(ctx, f, a)
	if slices.Contains(strings.Fields(a.Scope), "full") {
		result.Notes = append(result.Notes, "the app was granted full access; api and refresh_token are enough")
	}
	actor := f.Actor
	if f.SetupLink {
		actor = lifecycle.ActorSetupLink
	}
	s.note(ctx, f, connstate.Change{To: connstate.Authorised, Cause: lifecycle.CauseConsent, Actor: actor})
	s.deps.Tokens.Retry(f.Workspace, f.Connection)
	// The browser's way to Salesforce is not ours: a refresh now shows an address restriction while somebody is here to lift it
	// (IMM-3). What it meets becomes the connection's state.
	_, err = s.deps.Tokens.Get(ctx, f.Workspace, f.Connection, nil)
	if err != nil {
		result.Notes = append(result.Notes, asFailure(err).Error())
	}
	arrival := Arrival{Done: true, Org: a.Org.message(), Result: result}
	if s.deps.Diagnose != nil {
		arrival.Diagnosis, err = s.deps.Diagnose(ctx, f.Workspace, f.Connection)
		if err != nil {
			s.deps.Logger.WarnContext(ctx, "an org that was just connected could not be diagnosed; it will be tried again",
				"workspace", f.Workspace, "connection", f.Connection, "error", err)
		}
	}
	next, err := ended(f, configv1.FlowStatus_FLOW_STATUS_DONE, result, s.deps.Clock.Now())
	if err != nil {
		return Arrival{}, err
	}
	return arrival, s.deps.Flows.MoveFlow(ctx, f, next, nil)
}

// addressKey is what the address that was compared is recognised by, "" if none was.
func (s *Service) addressKey(ctx context.Context, f store.Flow, a *attempt) (string, error) {
	if a.Email == "" {
		return "", nil
	}
	doc, err := s.deps.Documents.Get(ctx, store.Key{Workspace: f.Workspace, Kind: store.KindWorkspace, ID: f.Workspace})
	if err != nil {
		return "", err
	}
	keys, err := s.deps.Installation.OpenKeys(f.Workspace, doc.Sealed)
	if err != nil {
		return "", fmt.Errorf("keys of workspace %s: %w", f.Workspace, err)
	}
	return tokens.AddressKey(keys, a.Email), nil
}

// act is whose doing it is that a connection becomes another one: that of who accepted the org, or of who began the attempt, as
// whoever came from Salesforce finished it.
func act(f store.Flow) store.Act {
	if f.By != nil {
		return *f.By
	}
	by := store.Act{Actor: f.Actor, Action: "Consent", Reason: "attempt " + f.ID}
	if f.SetupLink {
		by.Role = lifecycle.ActorSetupLink
	}
	return by
}

// replaceTries is how often another administrator's edit may come in between.
const replaceTries = 3

// replace saves the connection with its new grant, and has the one before revoked.
func (s *Service) replace(ctx context.Context, f store.Flow, a *attempt, consent *configv1.Consent) error {
	doc, c, grant, err := s.stored(ctx, store.Key{Workspace: f.Workspace, Kind: store.KindConnection, ID: f.Connection})
	if err != nil {
		return err
	}
	if doc.Version == 0 {
		return fmt.Errorf("connection %s: %w", f.Connection, store.ErrNotFound)
	}
	held := &configv1.RefreshToken{ClientId: a.ClientID, ClientSecret: a.ClientSecret, RefreshToken: a.RefreshToken}
	sealed, err := tokens.SealCredentials(s.deps.Installation, &configv1.Connection{
		Workspace: f.Workspace, Id: f.Connection, Grant: &configv1.Connection_RefreshToken{RefreshToken: held},
	})
	if err != nil {
		return err
	}
	before, save := proto.CloneOf(c), store.Save{Sealed: sealed, Generation: doc.Generation}.As(act(f))
	if old := grant.GetRefreshToken().GetRefreshToken(); old != "" && old != a.RefreshToken {
		was := &attempt{LoginURL: c.GetLoginUrl()}
		if save.Revoke, err = s.revocation(f, was, secret.New(old)); err != nil {
			return err
		}
	}
	if was := c.GetOrg().GetId(); c.GetFirstOrg() == "" && was != "" && !settings.SameOrg(was, a.Org.ID) {
		c.FirstOrg = was // what was written until now is that one's (LOOM-14)
	}
	org := a.Org.message()
	integration.FollowZone(c.GetOrg(), org, s.deps.Clock.Now())
	c.LoginUrl, c.Settings, c.Org, c.Consent, c.Version = a.LoginURL, a.settings(), org, consent, doc.Version+1
	c.Grant = &configv1.Connection_RefreshToken{RefreshToken: &configv1.RefreshToken{ClientId: a.ClientID}}
	if err := s.put(ctx, before, c, save); err != nil {
		return err
	}
	s.revoke(ctx, save.Revoke)
	return nil
}

// maxApprovals is how many grants a user may have for one app; another one ends the oldest. Source: Salesforce Help, "OAuth
// Tokens and Scopes".
const maxApprovals = 5

// approvals warns when the workspace's connections use up the grants that one user may give one app (XC-16).
func (s *Service) approvals(ctx context.Context, f store.Flow, a *attempt) []string {
	docs, err := s.deps.Documents.List(ctx, f.Workspace, store.KindConnection)
	if err != nil {
		return nil
	}
	n := 0
	for _, doc := range docs {
		c := &configv1.Connection{}
		if proto.Unmarshal(doc.Body, c) == nil && c.GetRefreshToken().GetClientId() == a.ClientID && c.GetConsent().GetUserId() == a.UserID &&
			settings.SameOrg(c.GetOrg().GetId(), a.Org.ID) {
			n++
		}
	}
	if n < maxApprovals {
		return nil
	}
	return []string{fmt.Sprintf("%d connections are authorised by this user through this app; Salesforce keeps %d and ends the oldest", n, maxApprovals)}
}
