package oauth

import (
	"context"
	"crypto/subtle"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/secret"
)

// Limits of the web server flow. RFC 7636 and Salesforce allow PKCE verifiers of 43 to 128 characters; the shortest state is
// this package's rule. Source: REST API Developer Guide, "OAuth 2.0 Web Server Flow for Web App Integration".
const (
	MinVerifier = 43
	MaxVerifier = 128
	MinState    = 16
)

// CodeStateMismatch is the code of a redirect that does not belong to the login it came back to.
const CodeStateMismatch = "STATE_MISMATCH"

// Login is one run of the web server flow: AuthCodeURL, then the browser's redirect to Code, then Exchange. Keep it between
// the two requests of the browser, bound to the browser's session. A code works once, for about 15 minutes.
type Login struct {
	// Request names the app and the login address; ClientSecret may be empty when the app does not ask for it.
	Request Request
	// RedirectURL must be one of the app's callback addresses, character by character.
	RedirectURL string
	// Scopes are what is asked for, e.g. "api", "refresh_token"; empty for all that the app has. Source: Salesforce Help,
	// "OAuth Tokens and Scopes".
	Scopes []string
	// State ties the redirect to this login: at least MinState characters that nobody can guess. NewLogin makes them.
	State secret.String
	// Verifier is the PKCE verifier of MinVerifier to MaxVerifier characters; empty for the flow without PKCE, which apps
	// that require PKCE refuse.
	Verifier secret.String
	// Prompt is "login", "consent", "select_account" or several of them with spaces between; empty for Salesforce's choice.
	Prompt string
}

// NewLogin returns a login with a new state and PKCE verifier of 256 random bits each.
func NewLogin(request Request, redirectURL string, scopes ...string) Login {
	return Login{
		Request: request, RedirectURL: redirectURL, Scopes: scopes,
		State: secret.New(oauth2.GenerateVerifier()), Verifier: secret.New(oauth2.GenerateVerifier()),
	}
}

// AuthCodeURL returns the address to send the browser to. With a verifier it carries the S256 challenge, the only method
// Salesforce documents.
func (l Login) AuthCodeURL() (string, error) {
	if err := l.check(); err != nil {
		return "", err
	}
	var options []oauth2.AuthCodeOption
	if !l.Verifier.IsEmpty() {
		options = append(options, oauth2.S256ChallengeOption(l.Verifier.Reveal()))
	}
	if l.Prompt != "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", l.Prompt))
	}
	cfg := l.config()
	return cfg.AuthCodeURL(l.State.Reveal(), options...), nil
}

// Code returns the authorization code from the query of the redirect. A refusal, such as access_denied, which Salesforce also
// writes access-denied, is an *Error with that code. The state is compared before anything else is believed.
// Source: Salesforce Help, "OAuth 2.0 Authorization Errors".
func (l Login) Code(redirect url.Values) (secret.String, error) {
	if err := l.check(); err != nil {
		return secret.String{}, err
	}
	if subtle.ConstantTimeCompare([]byte(redirect.Get("state")), []byte(l.State.Reveal())) != 1 {
		return secret.String{}, &salesforce.Error{
			Class: salesforce.ClassConfig, Reason: salesforce.ReasonRejected, Code: CodeStateMismatch,
			Detail: "the redirect does not belong to this login; start the login again in the same browser",
		}
	}
	if code := redirect.Get("error"); code != "" {
		return secret.String{}, refusal(0, strings.ReplaceAll(code, "-", "_"), redirect.Get("error_description"))
	}
	code := redirect.Get("code")
	if code == "" {
		return secret.String{}, misuse("the redirect holds neither a code nor an error; start the login again")
	}
	return secret.New(code), nil
}

// Exchange turns the code into tokens. There is a refresh token only when "refresh_token" was granted; store it before the
// access token is used. Do not repeat an Exchange: the code is dead after the first one, whether its answer arrived or not.
func (l Login) Exchange(ctx context.Context, code secret.String) (Token, error) {
	if err := l.check(); err != nil {
		return Token{}, err
	}
	var options []oauth2.AuthCodeOption
	if !l.Verifier.IsEmpty() {
		options = append(options, oauth2.VerifierOption(l.Verifier.Reveal()))
	}
	return l.Request.exchange(ctx, func(ctx context.Context) (*oauth2.Token, error) {
		cfg := l.config()
		return cfg.Exchange(ctx, code.Reveal(), options...)
	})
}

func (l Login) config() oauth2.Config {
	return oauth2.Config{
		ClientID: l.Request.ClientID, ClientSecret: l.Request.ClientSecret.Reveal(), RedirectURL: l.RedirectURL, Scopes: l.Scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL:  l.Request.address("authorize"),
			TokenURL: l.Request.tokenURL(), AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

func (l Login) check() error {
	if err := salesforce.CheckAddress(l.Request.LoginURL, l.Request.TrustedHosts); err != nil {
		return err
	}
	verifier := len(l.Verifier.Reveal())
	switch {
	case l.Request.ClientID == "":
		return misuse("the app's consumer key is missing")
	case l.RedirectURL == "":
		return misuse("the app's callback address is missing")
	case len(l.State.Reveal()) < MinState:
		return misuse("the state of the login is too short to be unguessable")
	case verifier != 0 && (verifier < MinVerifier || verifier > MaxVerifier):
		return misuse("the PKCE verifier must have 43 to 128 characters")
	}
	return nil
}

func misuse(detail string) error {
	return &salesforce.Error{
		Class: salesforce.ClassConfig, Reason: salesforce.ReasonRejected, Code: salesforce.CodeBadRequest, Detail: detail,
	}
}
