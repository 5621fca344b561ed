package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/changes"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

// Documents keeps connections.
type Documents interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
	Put(ctx context.Context, save store.Save) error
}

// Custody keeps others from asking for tokens meanwhile; see tokens.Custodian.
type Custody interface {
	Exclusive(ctx context.Context, workspace, connection string, f func(context.Context) error) error
}

// Disconnector ends connections. Safe for concurrent use.
type Disconnector struct {
	Documents    Documents
	Custody      Custody
	Keeper       *Keeper
	Revoker      *Revoker
	Installation *seal.Installation
}

// Disconnect ends a connection's authorisation: services are told, what the connection held is erased, and its refresh token
// revoked at Salesforce, now or, when Salesforce cannot be asked, as soon as it can. It reports whether nothing is left to be
// revoked. forgetApp erases the consumer key and secret too. Calling it again finishes what a crash interrupted.
func (d *Disconnector) Disconnect(ctx context.Context, key Key, by store.Act, forgetApp bool) (bool, error) {
	if _, err := d.Documents.Get(ctx, store.Key{Workspace: key.Workspace, Kind: store.KindConnection, ID: key.Connection}); err != nil {
		return false, err
	}
	// First of all, for whoever looks at the state makes no more calls from then on.
	_, _, err := d.Keeper.ChangeIfLegal(ctx, key, connstate.Change{To: connstate.Disconnected, Cause: CauseDisconnected, Actor: by.Actor})
	if err != nil {
		return false, err
	}
	var revoke *store.Revocation
	err = d.Custody.Exclusive(context.WithoutCancel(ctx), key.Workspace, key.Connection, func(ctx context.Context) error {
		var err error
		revoke, err = d.erase(ctx, key, by, forgetApp)
		return err
	})
	if err != nil || revoke == nil {
		return err == nil, err
	}
	return d.Revoker.Try(ctx, revoke)
}

// erase saves the connection without its tokens.
func (d *Disconnector) erase(ctx context.Context, key Key, by store.Act, forgetApp bool) (*store.Revocation, error) {
	at := store.Key{Workspace: key.Workspace, Kind: store.KindConnection, ID: key.Connection}
	doc, err := d.Documents.Get(ctx, at)
	if err != nil {
		return nil, err
	}
	c, held := &configv1.Connection{}, &configv1.Connection{}
	if err := proto.Unmarshal(doc.Body, c); err != nil {
		return nil, fmt.Errorf("connection %s of workspace %s: %w", key.Connection, key.Workspace, err)
	}
	if doc.Sealed != nil {
		opened, err := tokens.OpenCredentials(d.Installation, key.Workspace, key.Connection, doc.Sealed)
		switch {
		case err == nil:
			held = opened
		case !errors.Is(err, seal.ErrOpen): // what does not open is erased all the same
			return nil, err
		}
	}
	save := store.Save{Key: at, Expected: doc.Version, Generation: doc.Generation}
	if token := held.GetRefreshToken().GetRefreshToken(); token != "" {
		save.Revoke, err = NewRevocation(d.Installation, Token{
			Workspace: key.Workspace, Connection: key.Connection, LoginURL: c.GetLoginUrl(), Token: secret.New(token),
		}, d.Keeper.Clock.Now())
		if err != nil {
			return nil, err
		}
	}
	before := proto.CloneOf(c)
	if forgetApp {
		c.Grant = nil
	}
	if save.Sealed, err = tokens.SealCredentials(d.Installation, without(held, key, forgetApp)); err != nil {
		return nil, err
	}
	c.Version, c.Consent = doc.Version+1, nil
	if save.Body, err = (proto.MarshalOptions{Deterministic: true}).Marshal(c); err != nil {
		return nil, err
	}
	found := append(changes.Between(before, c, "version"), &configv1.FieldChange{Path: changes.SealedPath, Concealed: true})
	if by.Changes, err = changes.Encode(found); err != nil {
		return nil, err
	}
	by.At = d.Keeper.Clock.Now()
	return save.Revoke, d.Documents.Put(ctx, save.As(by))
}

// without returns what may be kept of a grant: an app is not an authorisation, but a secret that gets tokens by itself is.
func without(held *configv1.Connection, key Key, forgetApp bool) *configv1.Connection {
	kept := &configv1.Connection{Workspace: key.Workspace, Id: key.Connection}
	if forgetApp {
		return kept
	}
	switch g := held.GetGrant().(type) {
	case *configv1.Connection_RefreshToken:
		kept.Grant = &configv1.Connection_RefreshToken{RefreshToken: &configv1.RefreshToken{
			ClientId: g.RefreshToken.GetClientId(), ClientSecret: g.RefreshToken.GetClientSecret(),
		}}
	case *configv1.Connection_ClientCredentials:
		kept.Grant = &configv1.Connection_ClientCredentials{ClientCredentials: &configv1.ClientCredentials{ClientId: g.ClientCredentials.GetClientId()}}
	case *configv1.Connection_JwtBearer:
		kept.Grant = &configv1.Connection_JwtBearer{JwtBearer: &configv1.JwtBearer{
			ClientId: g.JwtBearer.GetClientId(), Subject: g.JwtBearer.GetSubject(),
		}}
	}
	return kept
}
