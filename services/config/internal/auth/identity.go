package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/throughline-dev/throughline/libs/secret"
)

// Role is what kind of caller somebody is.
type Role string

// The roles.
const (
	// RoleAdmin changes settings.
	RoleAdmin Role = "admin"
	// RoleViewer reads settings and outcomes.
	RoleViewer Role = "viewer"
	// RoleService is the data plane: it watches all settings, gets access tokens and reads outcomes.
	RoleService Role = "service"
)

// Identity is an authenticated caller.
type Identity struct {
	// Name is recorded with every change the caller makes.
	Name string
	Role Role
	// Workspace is the only one the caller may touch; empty: all.
	Workspace string
}

// MaySee reports whether the identity may touch the workspace (promise 9).
func (i Identity) MaySee(workspace string) bool { return i.Workspace == "" || i.Workspace == workspace }

// Token lets a caller in.
type Token struct {
	// Name of the caller, for the history of settings.
	Name string `yaml:"name"`
	// Role is admin, viewer or service.
	Role Role `yaml:"role"`
	// Workspace limits an admin or viewer to one workspace; empty: all. A service is not limited.
	Workspace string `yaml:"workspace"`
	// Token is the bearer token, at least 16 characters; or name a file that holds it.
	Token     secret.String `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
}

const minTokenLength = 16

// Validate names the key that is wrong.
func (t Token) Validate() error {
	switch {
	case t.Name == "":
		return errors.New("name: say who the caller is")
	case t.Role != RoleAdmin && t.Role != RoleViewer && t.Role != RoleService:
		return fmt.Errorf("role: %q is not one of admin, viewer, service", t.Role)
	case t.Role == RoleService && t.Workspace != "":
		return errors.New("workspace: a service works for all workspaces")
	case t.Token.IsEmpty() == (t.TokenFile == ""):
		return errors.New("token, token_file: set one of them")
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

// Authenticator knows the tokens, as hashes.
type Authenticator struct {
	known []known
}

type known struct {
	hash     [sha256.Size]byte
	identity Identity
}

// NewAuthenticator reads the tokens. Without any, nobody gets in.
func NewAuthenticator(tokens []Token) (*Authenticator, error) {
	a := &Authenticator{}
	for i, t := range tokens {
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("callers[%d].%w", i, err)
		}
		value, err := t.value()
		if err != nil {
			return nil, fmt.Errorf("callers[%d].%w", i, err)
		}
		identity := Identity{Name: t.Name, Role: t.Role, Workspace: t.Workspace}
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
