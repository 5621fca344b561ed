package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// administrator is the name of whoever redeems a one-time link.
const administrator = "administrator (link)"

// newSecret returns a secret with 260 bits of randomness, so that its plain SHA-256 gives nothing away.
func newSecret(prefix string) string { return prefix + rand.Text() + rand.Text() }

// NewAdministratorLink makes the secret of a link that can be redeemed once, and says until when.
func (a *Access) NewAdministratorLink(ctx context.Context) (secret string, until time.Time, err error) {
	now := a.deps.Clock.Now()
	secret, until = newSecret(auth.LinkPrefix), now.Add(a.deps.Limits.Link)
	link := store.Session{Hash: auth.HashOf(secret), Kind: store.SessionLink, Name: administrator, ExpiresAt: until}
	by := store.Act{Actor: "config service", Role: string(auth.RoleService), Action: "NewAdministratorLink", At: now}
	return secret, until, a.deps.Sessions.AddSession(ctx, link, a.deps.Limits.Sessions, by)
}

// RedeemAdministratorLink implements configv1.AccessServiceServer.
func (a *Access) RedeemAdministratorLink(ctx context.Context, req *configv1.RedeemAdministratorLinkRequest) (*configv1.RedeemAdministratorLinkResponse, error) {
	now := a.deps.Clock.Now()
	session, stored := a.newSession(now, administrator, "")
	by := store.Act{Actor: administrator, Role: string(auth.RoleAdmin), Action: "RedeemAdministratorLink", At: now}
	err := a.deps.Sessions.RedeemLink(ctx, auth.HashOf(req.GetSecret()), stored, by)
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Error(codes.Unauthenticated, "this link does not exist, was used, or is too old: have a new one made")
	}
	if err != nil {
		return nil, err
	}
	return &configv1.RedeemAdministratorLinkResponse{Session: session}, nil
}

func (a *Access) newSession(now time.Time, name, subject string) (*configv1.Session, store.Session) {
	token, until := newSecret(auth.SessionPrefix), now.Add(a.deps.Limits.Session)
	return &configv1.Session{Token: token, ExpiresAt: timestamppb.New(until)},
		store.Session{Hash: auth.HashOf(token), Kind: store.SessionUser, Name: name, Subject: subject, ExpiresAt: until}
}

// SignIn implements configv1.AccessServiceServer.
func (a *Access) SignIn(ctx context.Context, req *configv1.SignInRequest) (*configv1.SignInResponse, error) {
	if a.deps.Verifier == nil {
		return nil, status.Error(codes.FailedPrecondition, "sign-in with OpenID Connect is not set up: set config.oidc")
	}
	claims, err := a.deps.Verifier.Verify(ctx, req.GetIdToken())
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(claims.Nonce), []byte(req.GetNonce())) != 1 {
		return nil, auth.ErrUnauthenticated // a token of another sign-in
	}
	if err := a.acceptInvitations(ctx, claims); err != nil {
		return nil, err
	}
	person, err := a.deps.People.Person(ctx, claims.Subject)
	if errors.Is(err, auth.ErrUnknown) {
		return nil, auth.ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	now := a.deps.Clock.Now()
	session, stored := a.newSession(now, "", claims.Subject)
	by := store.Act{Actor: person.Name, Role: string(person.Role), Action: "SignIn", At: now}
	if err := a.deps.Sessions.AddSession(ctx, stored, a.deps.Limits.Sessions, by); err != nil {
		return nil, err
	}
	return &configv1.SignInResponse{Session: session}, nil
}

// acceptInvitations makes the subject the member of every workspace that has invited its verified address.
func (a *Access) acceptInvitations(ctx context.Context, claims auth.Claims) error {
	email := normalize.Fold(claims.Email)
	if email == "" {
		return nil
	}
	invited, err := a.deps.Members.Invited(ctx, a.deps.Limits.Invitations)
	if err != nil {
		return err
	}
	hashes := map[string][]byte{} // every workspace has a key of its own
	for _, m := range invited {
		hash, ok := hashes[m.Workspace]
		if !ok {
			if hash, err = a.emailHash(ctx, m.Workspace, email); err != nil {
				// Promise 6: one workspace's lost keys keep nobody out of another.
				a.deps.Logger.WarnContext(ctx, "invitations cannot be read", "workspace", m.Workspace, "error", err)
			}
			hashes[m.Workspace] = hash
		}
		if hash == nil || subtle.ConstantTimeCompare(hash, m.EmailHash) != 1 {
			continue
		}
		m.Subject, m.EmailHash = claims.Subject, nil
		role, _ := auth.MemberRole(m.Role)
		act, err := actOf(auth.WithIdentity(ctx, auth.Identity{Name: m.Name, Role: role}), a.deps.Clock.Now(),
			[]*configv1.FieldChange{{Path: "subject", Concealed: true}})
		if err != nil {
			return err
		}
		switch err := a.deps.Members.PutMember(ctx, m, act); {
		case errors.Is(err, store.ErrStale), errors.Is(err, store.ErrTaken), errors.Is(err, store.ErrNotFound):
			// Another sign-in was faster, or the subject is a member already.
		case err != nil:
			return err
		}
	}
	return nil
}

// SignOut implements configv1.AccessServiceServer.
func (a *Access) SignOut(ctx context.Context, _ *configv1.SignOutRequest) (*configv1.SignOutResponse, error) {
	hash := auth.FromContext(ctx).Session
	if hash == nil {
		return nil, status.Error(codes.FailedPrecondition, "this call is not made with a session")
	}
	act, err := actOf(ctx, a.deps.Clock.Now(), nil)
	if err != nil {
		return nil, err
	}
	return &configv1.SignOutResponse{}, a.deps.Sessions.EndSession(ctx, hash, act)
}
