package salesforce

import (
	"context"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
)

// Token is what authorises a request, and where to send it.
type Token struct {
	// AccessToken is the bearer token, also called session id.
	AccessToken secret.String
	// InstanceURL is the address of the org's API, e.g. https://acme.my.salesforce.com.
	InstanceURL string
	// ExpiresAt is when the source will no longer hand this token out; zero when unknown. Salesforce does not tell when a
	// session ends, so a client uses a token until it is refused.
	ExpiresAt time.Time
}

// TokenSource hands out tokens. Implementations are safe for concurrent use and ask at most one question at a time
// of whoever issues tokens, however many callers wait.
type TokenSource interface {
	// Token returns a token that has not been refused, or waits for one no longer than ctx. An *Error, or an error that wraps
	// one, keeps its class; any other error counts as transient.
	Token(ctx context.Context) (Token, error)
	// Refused reports that Salesforce did not accept the token. The next call of Token must return another one, or fail.
	Refused(ctx context.Context, token Token)
}

// StaticToken is a TokenSource of one token that never changes, for calls of a moment: it is repeated once after a refusal, in
// vain. Safe for concurrent use.
type StaticToken Token

// Token implements TokenSource.
func (t StaticToken) Token(context.Context) (Token, error) { return Token(t), nil }

// Refused implements TokenSource.
func (t StaticToken) Refused(context.Context, Token) {}
