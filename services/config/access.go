package config

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/api"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/lapse"
	"github.com/throughline-dev/throughline/services/config/internal/limit"
	"github.com/throughline-dev/throughline/services/config/internal/oidc"
	"github.com/throughline-dev/throughline/services/config/internal/retain"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// OIDC lets people in with ID tokens; see oidc.Config.
type OIDC = oidc.Config

// Limit is how often one caller may do something.
type Limit = limit.Config

// AuditRetention says how long the audit log is kept.
type AuditRetention = retain.Config

// Access bounds who is let in and for how long.
type Access struct {
	// OIDC is the issuer that people sign in with; without an issuer nobody can.
	OIDC OIDC `yaml:"oidc"`
	// OperatorAccess is the longest that a workspace can let an operator in for.
	OperatorAccess time.Duration `yaml:"operator_access"`
	// Session is how long a session lasts.
	Session time.Duration `yaml:"session"`
	// Link is how long the one-time administrator link can be redeemed.
	Link time.Duration `yaml:"link"`
	// Sessions is how many sessions one person may have; the oldest ends when there is one more.
	Sessions int `yaml:"sessions"`
	// Members is the most members a workspace may have.
	Members int `yaml:"members"`
	// Invitations is how many open invitations of all workspaces a sign-in looks through.
	Invitations int `yaml:"invitations"`
	// Calls is how often a person or program may call, Services how often one of the data plane.
	Calls    Limit `yaml:"calls"`
	Services Limit `yaml:"services"`
	// Failures is how often an address may fail to prove who calls, before callers that are not in the configuration are
	// refused from there without a look.
	Failures Limit `yaml:"failures"`
	// SignIns is how often an address may exchange an ID token or a link for a session.
	SignIns Limit `yaml:"sign_ins"`
	// Refusals is how many refused calls of one caller are written into the audit log.
	Refusals Limit `yaml:"refusals"`
	// Audit is how long the audit log is kept.
	Audit AuditRetention `yaml:"audit"`
}

func defaultAccess() Access {
	return Access{
		OIDC:           oidc.DefaultConfig(),
		OperatorAccess: 7 * 24 * time.Hour,
		Session:        12 * time.Hour,
		Link:           15 * time.Minute,
		Sessions:       20,
		Members:        1000,
		Invitations:    10_000,
		Calls:          Limit{PerSecond: 1000, Burst: 2000, Callers: 10_000},
		Services:       Limit{PerSecond: 20_000, Burst: 40_000, Callers: 1000},
		Failures:       Limit{PerSecond: 0.5, Burst: 60, Callers: 10_000},
		SignIns:        Limit{PerSecond: 1, Burst: 60, Callers: 10_000},
		Refusals:       Limit{PerSecond: 0.1, Burst: 10, Callers: 10_000},
		Audit:          retain.DefaultConfig(),
	}
}

// Validate names the key that is wrong.
func (a Access) Validate() error {
	var errs []error
	for key, d := range map[string]time.Duration{"operator_access": a.OperatorAccess, "session": a.Session, "link": a.Link} {
		if d < time.Minute {
			errs = append(errs, fmt.Errorf("%s: want at least 1m", key))
		}
	}
	if a.Sessions < 1 {
		errs = append(errs, errors.New("sessions: want at least 1"))
	}
	if a.Members < 1 {
		errs = append(errs, errors.New("members: want at least 1"))
	}
	if a.Invitations < 1 {
		errs = append(errs, errors.New("invitations: want at least 1"))
	}
	for key, l := range map[string]Limit{
		"calls": a.Calls, "services": a.Services, "failures": a.Failures, "sign_ins": a.SignIns, "refusals": a.Refusals,
	} {
		if err := l.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s.%w", key, err))
		}
	}
	if err := a.OIDC.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("oidc.%w", err))
	}
	if err := a.Audit.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("audit.%w", err))
	}
	return errors.Join(errs...)
}

func (a Access) limits() api.AccessLimits {
	return api.AccessLimits{
		Operator: a.OperatorAccess, Session: a.Session, Link: a.Link, Sessions: a.Sessions, Members: a.Members,
		Invitations: a.Invitations,
	}
}

// newAccess makes what lets callers in.
func (s *Service) newAccess() {
	var verifier auth.Verifier
	if s.cfg.Access.OIDC.Issuer != "" {
		verifier = oidc.New(s.cfg.Access.OIDC, oidc.Deps{Clock: s.deps.Clock})
	}
	s.door = &auth.Door{
		Directory: directory{s.store}, Grants: s.store, Verifier: verifier, Operators: s.cfg.Access.OIDC.Operators, Clock: s.deps.Clock,
	}
	s.access = api.NewAccess(api.AccessDeps{
		Documents: s.store, Members: s.store, Operators: s.store, Sessions: s.store, MemberSessions: s.store, Audit: s.store, People: s.door,
		Verifier: verifier, Installation: s.deps.Installation, Limits: s.cfg.Access.limits(), Clock: s.deps.Clock, Logger: s.deps.Logger,
	}, s.api)
	s.auditor = &retain.Cleaner{
		Config: s.cfg.Access.Audit, Purger: s.store, Workspaces: s.store, Clock: s.deps.Clock, Logger: s.deps.Logger,
		Lapsed: &lapse.Ender{Rules: s.cfg.Plans, Documents: s.store, Disconnector: s.connect.disconnector, Logger: s.deps.Logger},
	}
}

// AdministratorLink makes the secret of a link that can be exchanged for a session, once (AccessService's
// RedeemAdministratorLink), and says until when. Only an embedded installation makes one: whoever reads its output has its
// files as well.
func (s *Service) AdministratorLink(ctx context.Context) (secret string, until time.Time, err error) {
	if !s.cfg.Embedded {
		return "", time.Time{}, errors.New("config service: an administrator's link is made in embedded mode only; use the administrator's token")
	}
	return s.access.NewAdministratorLink(ctx)
}

// directory finds callers in the store.
type directory struct{ store *store.Store }

// APIKey implements auth.Directory.
func (d directory) APIKey(ctx context.Context, workspace, id string) (*configv1.ApiKey, error) {
	doc, err := d.store.Get(ctx, store.Key{Workspace: workspace, Kind: store.KindAPIKey, ID: id})
	if err != nil {
		return nil, known(err)
	}
	key := &configv1.ApiKey{}
	return key, proto.Unmarshal(doc.Body, key)
}

// Session implements auth.Directory.
func (d directory) Session(ctx context.Context, hash []byte, now time.Time) (name, subject string, err error) {
	session, err := d.store.Session(ctx, hash, now)
	return session.Name, session.Subject, known(err)
}

// Seats implements auth.Directory.
func (d directory) Seats(ctx context.Context, subject string) (map[string]auth.Seat, error) {
	members, err := d.store.MembersOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	out := map[string]auth.Seat{}
	for _, m := range members {
		if role, ok := auth.MemberRole(m.Role); ok {
			out[m.Workspace] = auth.Seat{Name: m.Name, Role: role}
		}
	}
	return out, nil
}

func known(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return auth.ErrUnknown
	}
	return err
}
