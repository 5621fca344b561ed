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
	// Platform is the platform's own app. Connections authorised through it hold no secret: it is filled in here, so that it
	// can be replaced in one place.
	Platform App
}

// App is a connected app or external client app.
type App struct {
	// ClientID is the consumer key; empty: there is no such app.
	ClientID string
	Secret   secret.String
}

// SecretFor returns the secret to use with a consumer key: the connection's own, or the platform's if the key is its.
func (a App) SecretFor(clientID, own string) secret.String {
	if own == "" && clientID != "" && clientID == a.ClientID {
		return a.Secret
	}
	return secret.New(own)
}

// forgotten is what is said of a grant whose secrets were erased here.
func forgotten(missing bool) error {
	if !missing {
		return nil
	}
	return &salesforce.Error{
		Class: salesforce.ClassAuth, Reason: salesforce.ReasonAuthRevoked, Code: salesforce.CodeNoToken,
		Detail: "the connection holds no authorisation; connect the org",
	}
}

// Issue implements Issuer.
func (s Salesforce) Issue(ctx context.Context, connection, credentials *configv1.Connection) (oauth.Token, error) {
	request := oauth.Request{LoginURL: connection.GetLoginUrl(), HTTPClient: s.HTTPClient, TrustedHosts: s.TrustedHosts}
	switch grant := credentials.GetGrant().(type) {
	case *configv1.Connection_ClientCredentials:
		if err := forgotten(grant.ClientCredentials.GetClientSecret() == ""); err != nil {
			return oauth.Token{}, err
		}
		request.ClientID = grant.ClientCredentials.GetClientId()
		request.ClientSecret = secret.New(grant.ClientCredentials.GetClientSecret())
		return oauth.ClientCredentials(ctx, request)
	case *configv1.Connection_RefreshToken:
		if err := forgotten(grant.RefreshToken.GetRefreshToken() == ""); err != nil {
			return oauth.Token{}, err
		}
		request.ClientID = grant.RefreshToken.GetClientId()
		request.ClientSecret = s.Platform.SecretFor(request.ClientID, grant.RefreshToken.GetClientSecret())
		request.RefreshToken = secret.New(grant.RefreshToken.GetRefreshToken())
		return oauth.Refresh(ctx, request)
	case *configv1.Connection_JwtBearer:
		if err := forgotten(grant.JwtBearer.GetPrivateKey() == ""); err != nil {
			return oauth.Token{}, err
		}
		request.ClientID = grant.JwtBearer.GetClientId()
		request.Subject = grant.JwtBearer.GetSubject()
		request.PrivateKey = secret.New(grant.JwtBearer.GetPrivateKey())
		return oauth.JWTBearer(ctx, request)
	}
	return oauth.Token{}, forgotten(true)
}
