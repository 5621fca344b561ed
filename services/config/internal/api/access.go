package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// MemberStore keeps who is in a workspace.
type MemberStore interface {
	PutMember(ctx context.Context, m store.Member, by store.Act) error
	RemoveMember(ctx context.Context, m store.Member, by store.Act) error
	MemberReader
}

// MemberReader finds members.
type MemberReader interface {
	Member(ctx context.Context, workspace, id string) (store.Member, error)
	Members(ctx context.Context, workspace string) ([]store.Member, error)
	// Invited are those of any workspace who have not signed in yet.
	Invited(ctx context.Context, limit int) ([]store.Member, error)
}

// OperatorStore keeps which operators may read a workspace.
type OperatorStore interface {
	GrantOperatorAccess(ctx context.Context, a store.OperatorAccess, by store.Act) error
	RevokeOperatorAccess(ctx context.Context, workspace, id string, by store.Act) (store.OperatorAccess, error)
	OperatorAccess(ctx context.Context, workspace string, limit int) ([]store.OperatorAccess, error)
}

// SessionStore keeps sessions and one-time links.
type SessionStore interface {
	AddSession(ctx context.Context, session store.Session, most int, by store.Act) error
	RedeemLink(ctx context.Context, link []byte, session store.Session, by store.Act) error
	EndSession(ctx context.Context, hash []byte, by store.Act) error
}

// MemberSessions are the sessions of members.
type MemberSessions interface {
	MemberSessions(ctx context.Context, workspace, member string, now time.Time) ([]store.MemberSession, error)
	EndMemberSessions(ctx context.Context, workspace string, sessions []store.MemberSession, by store.Act) (int, error)
}

// AuditLog is read here; it is written with every change.
type AuditLog interface {
	AuditEntries(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error)
}

// People knows who the subject of a verified ID token is; see auth.Door.
type People interface {
	Person(ctx context.Context, subject string) (auth.Identity, error)
}

// AccessLimits bound what is granted.
type AccessLimits struct {
	// Operator is the longest that an operator may be let in for.
	Operator time.Duration
	// Session is how long a session lasts, Link how long a one-time link can be redeemed.
	Session, Link time.Duration
	// Sessions is how many one person may have.
	Sessions int
	// Members is the most members a workspace may have.
	Members int
	// Invitations is how many open invitations a sign-in looks through.
	Invitations int
}

// AccessDeps is what an Access works with; all but Verifier is required.
type AccessDeps struct {
	Documents Documents
	Members   MemberStore
	Operators OperatorStore
	Sessions  SessionStore
	// MemberSessions are those of Sessions that belong to members.
	MemberSessions MemberSessions
	Audit          AuditLog
	People         People
	Verifier       auth.Verifier
	Installation   *seal.Installation
	Limits         AccessLimits
	Clock          interface{ Now() time.Time }
	Logger         *slog.Logger
}

// Access implements configv1.AccessServiceServer. What is said of Server holds here too.
type Access struct {
	configv1.UnimplementedAccessServiceServer
	deps AccessDeps
	docs *Server // reads and saves documents
}

// NewAccess returns a server.
func NewAccess(deps AccessDeps, docs *Server) *Access { return &Access{deps: deps, docs: docs} }
