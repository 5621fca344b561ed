package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// Identity is an authenticated caller.
type Identity struct {
	// Name is recorded with every change the caller makes.
	Name string
	Role Role
	// Workspace is the only one the caller may touch; empty: all.
	Workspace string
	// Scopes limit an API key; nil for everybody else.
	Scopes []configv1.ApiKeyScope
	// Seats are the workspaces of a member, or of an operator; nil for everybody else. With them Role and Workspace do not
	// count until For has chosen one.
	Seats map[string]Seat
	// Subject is that of a member's ID token.
	Subject string
	// Session is the hash of the session token, if that was the proof.
	Session []byte
	// Calls are the only ones that the caller may make; nil: all those of its role.
	Calls []string
}

// MayCall reports whether the identity is not kept from a method, named in full, by Calls. Its role may keep it from there.
func (i Identity) MayCall(method string) bool {
	return len(i.Calls) == 0 || slices.Contains(i.Calls, callOf(method))
}

// Seat is what somebody is in one workspace.
type Seat struct {
	Name string
	Role Role
}

// MaySee reports whether the identity may touch the workspace (promise 9).
func (i Identity) MaySee(workspace string) bool {
	if i.Seats != nil {
		_, ok := i.Seats[workspace]
		return ok
	}
	return i.Workspace == "" || i.Workspace == workspace
}

// Installation reports whether the identity is one of the whole installation, not of single workspaces.
func (i Identity) Installation() bool { return i.Workspace == "" && i.Seats == nil && i.Scopes == nil }

// For returns the identity as it acts in the workspace: with the name and role it has there.
func (i Identity) For(workspace string) Identity {
	if seat, ok := i.Seats[workspace]; ok {
		i.Name, i.Role = seat.Name, seat.Role
	}
	return i
}

// Key tells callers apart, for limits.
func (i Identity) Key() string {
	if i.Subject != "" {
		return "subject\x00" + i.Subject
	}
	return i.Workspace + "\x00" + string(i.Role) + "\x00" + i.Name
}

// Token lets a caller in.
type Token struct {
	// Name of the caller, for the history of settings.
	Name string `yaml:"name"`
	// Role is owner, admin, integration_editor, privacy_officer, viewer, operator or service.
	Role Role `yaml:"role"`
	// Workspace limits the caller to one workspace; empty: all. A service is not limited, and an operator sees what
	// workspaces have granted.
	Workspace string `yaml:"workspace"`
	// Token is the bearer token, at least 16 characters; or TokenFile names a file that holds it.
	Token     secret.String `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
	// Certificate lets in who shows a client certificate with this common name, DNS name or URI, instead of a token. It
	// needs tls.client_ca_file.
	Certificate string `yaml:"certificate"`
	// Calls are the only ones that the caller may make, such as ConfigService/Watch; empty: all those of its role. Of the data
	// plane only identity, writer and sync need ConfigService/GetAccessToken, which opens customers' orgs.
	Calls []string `yaml:"calls"`
}

const minTokenLength = 16

// Validate names the key that is wrong.
func (t Token) Validate() error {
	switch {
	case t.Name == "":
		return errors.New("name: say who the caller is")
	case checkRole(t.Role) != nil:
		return checkRole(t.Role)
	case t.Role == RoleService && t.Workspace != "":
		return errors.New("workspace: a service works for all workspaces")
	case t.Role == RoleOperator && t.Workspace != "":
		return errors.New("workspace: an operator is let in by workspaces, for a time")
	case t.Certificate != "" && (!t.Token.IsEmpty() || t.TokenFile != ""):
		return errors.New("certificate: it takes the place of token and token_file")
	case t.Certificate == "" && t.Token.IsEmpty() == (t.TokenFile == ""):
		return errors.New("token, token_file: set one of them")
	}
	for _, call := range t.Calls {
		if !isCall(call) {
			return fmt.Errorf("calls: there is no call %q; they are named as ConfigService/Watch is", call)
		}
	}
	return nil
}

func (t Token) value() (string, error) {
	value := t.Token.Reveal()
	if t.TokenFile != "" {
		data, err := os.ReadFile(t.TokenFile)
		if err != nil {
			return "", fmt.Errorf("token_file: %w", err)
		}
		value = strings.TrimSpace(string(data))
	}
	if len(value) < minTokenLength {
		return "", fmt.Errorf("token: shorter than %d characters", minTokenLength)
	}
	return value, nil
}

// Authenticator knows the tokens, as hashes, and the names in certificates.
type Authenticator struct {
	known        []known
	certificates map[string]Identity
}

type known struct {
	hash     [sha256.Size]byte
	identity Identity
}

// NewAuthenticator reads the tokens. Without any, nobody gets in.
func NewAuthenticator(tokens []Token) (*Authenticator, error) {
	a := &Authenticator{certificates: map[string]Identity{}}
	for i, t := range tokens {
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("callers[%d].%w", i, err)
		}
		identity := Identity{Name: t.Name, Role: t.Role, Workspace: t.Workspace, Calls: t.Calls}
		if t.Certificate != "" {
			if _, twice := a.certificates[t.Certificate]; twice {
				return nil, fmt.Errorf("callers[%d].certificate: another caller has it", i)
			}
			a.certificates[t.Certificate] = identity
			continue
		}
		value, err := t.value()
		if err != nil {
			return nil, fmt.Errorf("callers[%d].%w", i, err)
		}
		if _, twice := a.Authenticate(value); twice {
			return nil, fmt.Errorf("callers[%d].token: another caller has it", i)
		}
		a.known = append(a.known, known{sha256.Sum256([]byte(value)), identity})
	}
	return a, nil
}

// Authenticate returns whose token it is. It takes the same time for every token that is not known.
func (a *Authenticator) Authenticate(token string) (Identity, bool) {
	hash := sha256.Sum256([]byte(token))
	var found Identity
	ok := false
	for i := range a.known {
		if subtle.ConstantTimeCompare(hash[:], a.known[i].hash[:]) == 1 {
			found, ok = a.known[i].identity, true
		}
	}
	return found, ok
}

// Certified returns whose certificate has one of the names. The certificate must have been verified.
func (a *Authenticator) Certified(names []string) (Identity, bool) {
	for _, name := range names {
		if id, ok := a.certificates[name]; ok && name != "" {
			return id, true
		}
	}
	return Identity{}, false
}

type identityKey struct{}

// WithIdentity returns a context that carries the caller.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// FromContext returns the caller. Without one it is an identity that may do nothing and see no workspace.
func FromContext(ctx context.Context) Identity {
	if id, ok := ctx.Value(identityKey{}).(Identity); ok {
		return id
	}
	return Identity{Workspace: "\x00"}
}
