package oauth

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// maxAnswer bounds the answers of the revoke and introspect endpoints, in bytes; real ones have some hundred.
const maxAnswer = 64 << 10

// Revoke ends a token. Revoking a refresh token ends the grant. A token that is dead already is an *Error with code
// invalid_token or unsupported_token_type: what was wanted is so. Source: Salesforce Help, "Revoke OAuth Tokens".
func Revoke(ctx context.Context, r Request, token secret.String) error {
	_, err := r.post(ctx, "revoke", url.Values{"token": {token.Reveal()}})
	return err
}

// Introspection is what Salesforce tells of a token. Of a dead one only Active, false, is told.
type Introspection struct {
	// Active: the token works now.
	Active bool
	// Scope is what was granted, separated by spaces.
	Scope string
	// ClientID is the consumer key of the app it was issued to.
	ClientID string
	// Username is who it acts as.
	Username string
	// Subject is the identity address, which names org and user.
	Subject string
	// TokenType is "access_token" or "refresh_token".
	TokenType string
	// ExpiresAt and IssuedAt have a resolution of a second; zero when not told.
	ExpiresAt, IssuedAt time.Time
}

// Introspect asks whether a token works, and for whom. The app needs its secret, and may ask only for its own tokens unless it
// is set up to introspect all. Source: Salesforce Help, "OpenID Connect Token Introspection".
func Introspect(ctx context.Context, r Request, token secret.String) (Introspection, error) {
	body, err := r.post(ctx, "introspect", url.Values{
		"token": {token.Reveal()}, "client_id": {r.ClientID}, "client_secret": {r.ClientSecret.Reveal()},
	})
	if err != nil {
		return Introspection{}, err
	}
	var wire struct {
		Active    *bool  `json:"active"`
		Scope     string `json:"scope"`
		ClientID  string `json:"client_id"`
		Username  string `json:"username"`
		Subject   string `json:"sub"`
		TokenType string `json:"token_type"`
		ExpiresAt int64  `json:"exp"`
		IssuedAt  int64  `json:"iat"`
	}
	if json.Unmarshal(body, &wire) != nil || wire.Active == nil {
		return Introspection{}, unreadable()
	}
	return Introspection{
		Active: *wire.Active, Scope: wire.Scope, ClientID: wire.ClientID, Username: wire.Username, Subject: wire.Subject,
		TokenType: wire.TokenType, ExpiresAt: seconds(wire.ExpiresAt), IssuedAt: seconds(wire.IssuedAt),
	}, nil
}

func seconds(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// post sends a form to one of the endpoints that x/oauth2 does not know.
func (r Request) post(ctx context.Context, endpoint string, form url.Values) ([]byte, error) {
	if err := salesforce.CheckAddress(r.LoginURL, r.TrustedHosts); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.address(endpoint), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, misuse("the login address cannot be used")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, classify(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, classify(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fromAnswer(&oauth2.RetrieveError{Response: resp, Body: body})
	}
	return body, nil
}
