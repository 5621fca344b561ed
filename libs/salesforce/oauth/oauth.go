package oauth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// Request is what a grant needs. Which fields count depends on the grant.
type Request struct {
	// LoginURL is where tokens come from, e.g. https://acme.my.salesforce.com. Client credentials need the org's own
	// domain: the generic hosts refuse them. Other than Salesforce's hosts and TrustedHosts is CodeForeignHost.
	LoginURL string
	// ClientID is the consumer key.
	ClientID string
	// ClientSecret is the consumer secret; empty for a public client with a refresh token, unused for JWT bearer.
	ClientSecret secret.String
	// RefreshToken is the grant of Refresh.
	RefreshToken secret.String
	// Subject is the user name JWTBearer acts for.
	Subject string
	// PrivateKey is the RSA key in PEM that JWTBearer signs with, by RS256.
	PrivateKey secret.String
	// Audience of JWTBearer; empty for the LoginURL.
	Audience string
	// HTTPClient carries the request; nil for one with a 30 s time-out. Redirects are refused either way.
	HTTPClient *http.Client
	// TrustedHosts are accepted besides Salesforce's own domains and loopback.
	TrustedHosts []string
}

// Token is what Salesforce issued. Source: Salesforce Help, "OAuth 2.0 Web Server Flow for Web App Integration".
type Token struct {
	// AccessToken is the bearer token.
	AccessToken secret.String
	// InstanceURL is the address for API calls. It may change with every token.
	InstanceURL string
	// RefreshToken is set after a Login, and when Salesforce rotated it: the one used is dead, and this one must be stored
	// before the access token is used.
	RefreshToken secret.String
	// IssuedAt is Salesforce's time, to the millisecond; zero when it did not say. It does not say when the token ends.
	IssuedAt time.Time
	// IdentityURL names the org and the user.
	IdentityURL string
	// Scope is what was granted, separated by spaces.
	Scope string
}

// ClientCredentials gets a token for the app's own run-as user; there never is a refresh token. It is one request, and may be
// repeated; safe for concurrent use. Source: Salesforce Help, "OAuth 2.0 Client Credentials Flow for Server-to-Server
// Integration".
func ClientCredentials(ctx context.Context, r Request) (Token, error) {
	return r.exchange(ctx, func(ctx context.Context) (*oauth2.Token, error) {
		cfg := clientcredentials.Config{
			ClientID: r.ClientID, ClientSecret: r.ClientSecret.Reveal(), TokenURL: r.tokenURL(),
			AuthStyle: oauth2.AuthStyleInParams,
		}
		return cfg.Token(ctx)
	})
}

// Refresh gets a token by a refresh token. Only one Refresh per grant may run at a time: with rotation, the loser of a race
// holds a dead refresh token. After a transient failure the grant may have been rotated without our knowing;
// Source deals with all of that. Source: Salesforce Help, "OAuth 2.0 Refresh Token Flow for Renewed Sessions".
func Refresh(ctx context.Context, r Request) (Token, error) {
	token, err := r.exchange(ctx, func(ctx context.Context) (*oauth2.Token, error) {
		cfg := oauth2.Config{
			ClientID: r.ClientID, ClientSecret: r.ClientSecret.Reveal(),
			Endpoint: oauth2.Endpoint{TokenURL: r.tokenURL(), AuthStyle: oauth2.AuthStyleInParams},
		}
		return cfg.TokenSource(ctx, &oauth2.Token{RefreshToken: r.RefreshToken.Reveal()}).Token()
	})
	if token.RefreshToken.Equal(r.RefreshToken) {
		token.RefreshToken = secret.String{} // not rotated: x/oauth2 fills in the one it sent
	}
	return token, err
}

// JWTBearer gets a token for a pre-authorised user by a signed assertion that is good for three minutes; the two clocks must
// not differ by more. There never is a refresh token. It may be repeated; safe for concurrent use. Source: Salesforce Help,
// "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration".
func JWTBearer(ctx context.Context, r Request) (Token, error) {
	audience := r.Audience
	if audience == "" {
		audience = strings.TrimRight(r.LoginURL, "/")
	}
	return r.exchange(ctx, func(ctx context.Context) (*oauth2.Token, error) {
		cfg := jwt.Config{
			Email: r.ClientID, Subject: r.Subject, PrivateKey: []byte(r.PrivateKey.Reveal()),
			TokenURL: r.tokenURL(), Audience: audience, Expires: 3 * time.Minute,
		}
		return cfg.TokenSource(ctx).Token()
	})
}

func (r Request) tokenURL() string { return r.address("token") }

func (r Request) address(endpoint string) string {
	return strings.TrimRight(r.LoginURL, "/") + "/services/oauth2/" + endpoint
}

// client returns the client that carries secrets: they go to the address that was checked, and nowhere else.
func (r Request) client() *http.Client {
	client := http.Client{Timeout: 30 * time.Second}
	if r.HTTPClient != nil {
		client = *r.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errRedirect }
	return &client
}

// exchange runs one grant with our HTTP rules around it and reads what Salesforce adds to the standard's answer.
func (r Request) exchange(ctx context.Context, grant func(context.Context) (*oauth2.Token, error)) (Token, error) {
	if err := salesforce.CheckAddress(r.LoginURL, r.TrustedHosts); err != nil {
		return Token{}, err
	}
	t, err := grant(context.WithValue(ctx, oauth2.HTTPClient, r.client()))
	if err != nil {
		return Token{}, classify(ctx, err)
	}
	token := Token{
		AccessToken:  secret.New(t.AccessToken),
		RefreshToken: secret.New(t.RefreshToken),
		InstanceURL:  extra(t, "instance_url"),
		IdentityURL:  extra(t, "id"),
		Scope:        extra(t, "scope"),
	}
	if token.InstanceURL == "" {
		token.InstanceURL = extra(t, "api_instance_url")
	}
	if err := salesforce.CheckAddress(token.InstanceURL, r.TrustedHosts); err != nil {
		return Token{}, err
	}
	// issued_at is a text of epoch milliseconds.
	if ms, err := strconv.ParseInt(extra(t, "issued_at"), 10, 64); err == nil {
		token.IssuedAt = time.UnixMilli(ms).UTC()
	}
	return token, nil
}

var errRedirect = errors.New("oauth: the token endpoint redirected")

func extra(t *oauth2.Token, key string) string {
	s, _ := t.Extra(key).(string)
	return s
}
