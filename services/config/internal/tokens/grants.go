package tokens

import (
	"context"
	"net/http"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Issuer exchanges a grant for an access token. Errors are, or wrap, a *salesforce.Error.
type Issuer interface {
	// Issue asks the token endpoint at the connection's login address once. credentials holds the grant with its secrets.
	Issue(ctx context.Context, connection, credentials *configv1.Connection) (oauth.Token, error)
}

// Salesforce is the Issuer that asks Salesforce.
type Salesforce struct {
	// HTTPClient carries the requests; nil for one with a 30 s time-out.
	HTTPClient *http.Client
	// TrustedHosts are accepted besides Salesforce's own domains.
	TrustedHosts []string
}

// Issue implements Issuer.
func (s Salesforce) Issue(ctx context.Context, connection, credentials *configv1.Connection) (oauth.Token, error) {
	request := oauth.Request{LoginURL: connection.GetLoginUrl(), HTTPClient: s.HTTPClient, TrustedHosts: s.TrustedHosts}
	switch grant := credentials.GetGrant().(type) {
	case *configv1.Connection_ClientCredentials:
		request.ClientID = grant.ClientCredentials.GetClientId()
		request.ClientSecret = secret.New(grant.ClientCredentials.GetClientSecret())
		return oauth.ClientCredentials(ctx, request)
	case *configv1.Connection_RefreshToken:
		request.ClientID = grant.RefreshToken.GetClientId()
		request.ClientSecret = secret.New(grant.RefreshToken.GetClientSecret())
		request.RefreshToken = secret.New(grant.RefreshToken.GetRefreshToken())
		return oauth.Refresh(ctx, request)
	case *configv1.Connection_JwtBearer:
		request.ClientID = grant.JwtBearer.GetClientId()
		request.Subject = grant.JwtBearer.GetSubject()
		request.PrivateKey = secret.New(grant.JwtBearer.GetPrivateKey())
		return oauth.JWTBearer(ctx, request)
	}
	return oauth.Token{}, &salesforce.Error{
		Class: salesforce.ClassConfig, Reason: salesforce.ReasonAuthRevoked, Code: salesforce.CodeNoToken,
		Detail: "the connection has no grant; reconnect the org",
	}
}
