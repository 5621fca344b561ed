package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// ErrUnauthenticated means that nothing a call carries proves who makes it. It says nothing about what was wrong.
var ErrUnauthenticated = errors.New("no valid token: send \"authorization: Bearer <token>\"")

// Prefixes of tokens that this service makes, so that scanners for leaked secrets recognise them.
const (
	// KeyPrefix starts an API key: tl_<workspace>_<id>_<secret>.
	KeyPrefix = "tl_"
	// SessionPrefix starts a session token.
	SessionPrefix = "tlsession_"
	// LinkPrefix starts the secret of an administrator's link.
	LinkPrefix = "tllink_"
)

// ErrIssuerAway means that the issuer of ID tokens cannot be asked for its keys just now.
var ErrIssuerAway = errors.New("the issuer of ID tokens cannot be reached")

// Credentials are what a call carries to prove who makes it.
type Credentials struct {
	// Token is the bearer token, or "".
	Token string
	// Certificate are the names in the verified client certificate, if there is one.
	Certificate []string
}

// Directory is where those are kept who are not in the configuration. Its errors are ErrUnknown or the database's.
type Directory interface {
	// APIKey reads a key with its hash.
	APIKey(ctx context.Context, workspace, id string) (*configv1.ApiKey, error)
	// Session returns the name and the subject of a session that has not expired.
	Session(ctx context.Context, hash []byte, now time.Time) (name, subject string, err error)
	// Seats returns what a subject is a member of.
	Seats(ctx context.Context, subject string) (map[string]Seat, error)
}

// Grants knows which workspaces an operator may read.
type Grants interface {
	OpenTo(ctx context.Context, operator string, now time.Time) ([]string, error)
}

// Verifier checks ID tokens of the one issuer that is trusted; its error is ErrUnauthenticated or ErrIssuerAway.
type Verifier interface {
	Verify(ctx context.Context, token string) (Claims, error)
}

// Claims are what a verified ID token says.
type Claims struct {
	Subject string
	// Email is only there if the issuer has verified it.
	Email string
	Nonce string
}

// ErrUnknown means that the directory does not have what was asked for.
var ErrUnknown = errors.New("unknown")

// Door finds out who calls. Known is required; without Directory, Grants or Verifier their callers are not let in.
type Door struct {
	Known     *Authenticator
	Directory Directory
	Grants    Grants
	Verifier  Verifier
	// Operators are the names of operators by the subject of their ID tokens.
	Operators map[string]string
	Clock     interface{ Now() time.Time }
}

// Configured returns the caller if the configuration knows it. It asks nobody and takes the same time for all it does
// not know.
func (d *Door) Configured(ctx context.Context, c Credentials) (Identity, bool, error) {
	id, ok := d.Known.Authenticate(c.Token)
	if !ok && c.Token == "" {
		id, ok = d.Known.Certified(c.Certificate)
	}
	if !ok || id.Role != RoleOperator {
		return id, ok, nil
	}
	id.Seats = map[string]Seat{}
	err := d.operator(ctx, id.Name, id.Seats)
	return id, err == nil, err
}

// operator adds the seats that workspaces have granted to an operator, for now.
func (d *Door) operator(ctx context.Context, name string, seats map[string]Seat) error {
	if d.Grants == nil {
		return nil
	}
	open, err := d.Grants.OpenTo(ctx, name, d.Clock.Now())
	if err != nil {
		return err
	}
	for _, workspace := range open {
		if _, member := seats[workspace]; !member {
			seats[workspace] = Seat{Name: name, Role: RoleOperator}
		}
	}
	return nil
}

// Authenticate returns who calls, of those whom the configuration does not know. The error is ErrUnauthenticated, or one
// that another try may help.
func (d *Door) Authenticate(ctx context.Context, c Credentials) (Identity, error) {
	var id Identity
	err := ErrUnknown
	switch {
	case d.Directory == nil || c.Token == "":
	case strings.HasPrefix(c.Token, KeyPrefix):
		id, err = d.apiKey(ctx, c.Token)
	case strings.HasPrefix(c.Token, SessionPrefix):
		id, err = d.session(ctx, c.Token)
	case d.Verifier != nil && strings.Count(c.Token, ".") == 2:
		id, err = d.idToken(ctx, c.Token)
	}
	if errors.Is(err, ErrUnknown) {
		return Identity{}, ErrUnauthenticated
	}
	return id, err
}

// apiKey hashes the secret whether or not there is such a key, so that the time taken tells nothing.
func (d *Door) apiKey(ctx context.Context, token string) (Identity, error) {
	parts := strings.SplitN(token, "_", 4)
	if len(parts) != 4 {
		return Identity{}, ErrUnknown
	}
	hash := sha256.Sum256([]byte(parts[3]))
	key, err := d.Directory.APIKey(ctx, parts[1], parts[2])
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Identity{}, err
	}
	want := make([]byte, sha256.Size)
	usable := err == nil && Usable(key, d.Clock.Now())
	if usable {
		want = key.GetSecretHash()
	}
	if subtle.ConstantTimeCompare(hash[:], want) != 1 || !usable {
		return Identity{}, ErrUnknown
	}
	return Identity{Name: "api key " + key.GetId(), Role: "api_key", Workspace: key.GetWorkspace(), Scopes: ScopesOf(key)}, nil
}

// Usable reports whether the key has neither expired nor been revoked.
func Usable(key *configv1.ApiKey, now time.Time) bool {
	return key.RevokedAt == nil && (key.ExpiresAt == nil || now.Before(key.GetExpiresAt().AsTime()))
}

// ScopesOf returns what a key may be used for. Keys made before there were scopes are for ingest.
func ScopesOf(key *configv1.ApiKey) []configv1.ApiKeyScope {
	if len(key.GetScopes()) == 0 {
		return []configv1.ApiKeyScope{configv1.ApiKeyScope_API_KEY_SCOPE_INGEST}
	}
	return key.GetScopes()
}

func (d *Door) session(ctx context.Context, token string) (Identity, error) {
	hash := HashOf(token)
	name, subject, err := d.Directory.Session(ctx, hash, d.Clock.Now())
	if err != nil {
		return Identity{}, err
	}
	if subject == "" {
		return Identity{Name: name, Role: RoleAdmin, Session: hash}, nil
	}
	id, err := d.Person(ctx, subject)
	id.Session = hash
	return id, err
}

func (d *Door) idToken(ctx context.Context, token string) (Identity, error) {
	claims, err := d.Verifier.Verify(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	return d.Person(ctx, claims.Subject)
}

// Person returns who the subject of a verified ID token is. The error is ErrUnknown for who is a member of nothing and no
// operator.
func (d *Door) Person(ctx context.Context, subject string) (Identity, error) {
	seats, err := d.Directory.Seats(ctx, subject)
	if err != nil {
		return Identity{}, fmt.Errorf("find out who calls: %w", err)
	}
	id := Identity{Seats: seats, Subject: subject}
	for _, seat := range seats { // for what concerns no workspace any of the names will do
		if id.Name == "" || seat.Name < id.Name {
			id.Name, id.Role = seat.Name, seat.Role
		}
	}
	name, operator := d.Operators[subject]
	switch {
	case operator:
		if id.Name == "" {
			id.Name, id.Role = name, RoleOperator
		}
		return id, d.operator(ctx, name, seats)
	case len(seats) == 0:
		return Identity{}, ErrUnknown
	}
	return id, nil
}

// HashOf is how secrets are kept that have enough randomness of their own.
func HashOf(secret string) []byte {
	hash := sha256.Sum256([]byte(secret))
	return hash[:]
}
