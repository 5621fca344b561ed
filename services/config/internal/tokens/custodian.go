package tokens

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Store is where credentials and tokens are kept, sealed.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Document, error)
	Token(ctx context.Context, workspace, connection string) (store.AccessToken, error)
	SaveToken(ctx context.Context, token store.NewToken) error
}

// Leases let one replica at a time ask for a connection's token.
type Leases interface {
	AcquireLease(ctx context.Context, lease store.Lease, now time.Time) (bool, error)
	ReleaseLease(ctx context.Context, lease store.Lease) error
}

// Config bounds the exchange of grants.
type Config struct {
	// Lifetime is how long an access token is handed out. Salesforce does not say when a session ends (2 h by default, 15 min
	// at least); a token that ends earlier is replaced when it is refused.
	Lifetime time.Duration `yaml:"lifetime"`
	// IssueTimeout bounds one question to the token endpoint.
	IssueTimeout time.Duration `yaml:"issue_timeout"`
	// Lease is how long one replica may take for question and storing; longer than IssueTimeout by what storing may take.
	Lease time.Duration `yaml:"lease"`
	// LeasePoll is how often a replica looks whether another one has got the token.
	LeasePoll time.Duration `yaml:"lease_poll"`
	// RefusalHold is how long a refused grant is not tried again, so that a revoked connection does not hammer Salesforce.
	RefusalHold time.Duration `yaml:"refusal_hold"`
}

// DefaultConfig returns tokens of 1 h, 30 s per question, leases of 1 min polled every 100 ms, and a hold of 10 s.
func DefaultConfig() Config {
	return Config{
		Lifetime: time.Hour, IssueTimeout: 30 * time.Second, Lease: time.Minute,
		LeasePoll: 100 * time.Millisecond, RefusalHold: 10 * time.Second,
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Lifetime < time.Minute:
		return errors.New("lifetime: want at least 1m")
	case c.IssueTimeout <= 0:
		return errors.New("issue_timeout: want more than 0")
	case c.Lease < c.IssueTimeout+5*time.Second:
		return errors.New("lease: want at least issue_timeout and 5s")
	case c.LeasePoll <= 0:
		return errors.New("lease_poll: want more than 0")
	case c.RefusalHold < 0:
		return errors.New("refusal_hold: must not be negative")
	}
	return nil
}

// Deps is what a Custodian works with; all of it is required.
type Deps struct {
	Store        Store
	Leases       Leases
	Installation *seal.Installation
	Issuer       Issuer
	Clock        interface{ Now() time.Time }
	Logger       *slog.Logger
}

// Custodian hands out access tokens. Safe for concurrent use.
type Custodian struct {
	cfg    Config
	deps   Deps
	flight singleflight.Group

	mu      sync.Mutex
	refused map[connection]refusal
	unsaved map[connection]store.NewToken
}

type connection struct{ workspace, id string }

func (c connection) String() string { return c.workspace + "/" + c.id }

// refusal is what Salesforce said of credentials of one generation.
type refusal struct {
	generation int64
	err        error
	until      time.Time
}

// New returns a custodian.
func New(cfg Config, deps Deps) *Custodian {
	return &Custodian{cfg: cfg, deps: deps, refused: map[connection]refusal{}, unsaved: map[connection]store.NewToken{}}
}

// Get returns an access token of the connection that is not the one with the refused hash. It uses the stored one while
// it lasts and otherwise asks Salesforce; everybody who waits gets the same answer. Errors: store.ErrNotFound,
// seal.ErrOpen, a *salesforce.Error from the token endpoint, or the store's or the context's.
func (c *Custodian) Get(ctx context.Context, workspace, id string, refusedHash []byte) (*configv1.GetAccessTokenResponse, error) {
	conn := connection{workspace, id}
	if access, err := c.stored(ctx, conn, refusedHash); access != nil || err != nil {
		return access, err
	}
	// What is under way is finished even if this caller leaves: a rotated grant must be stored.
	work := c.flight.DoChan(fmt.Sprintf("%s\x00%x", conn, refusedHash), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*c.cfg.Lease)
		defer cancel()
		return c.refresh(ctx, conn, refusedHash)
	})
	select {
	case result := <-work:
		access, _ := result.Val.(*configv1.GetAccessTokenResponse)
		if result.Err != nil {
			return nil, result.Err
		}
		return proto.CloneOf(access), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stored returns the token in use, or nil if there is none that would do.
func (c *Custodian) stored(ctx context.Context, conn connection, refusedHash []byte) (*configv1.GetAccessTokenResponse, error) {
	token, err := c.deps.Store.Token(ctx, conn.workspace, conn.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !c.deps.Clock.Now().Before(token.ExpiresAt) {
		return nil, nil
	}
	access, err := openAccess(c.deps.Installation, conn.workspace, conn.id, token.Sealed)
	if err != nil {
		return nil, nil //nolint:nilerr // a token that does not open is replaced
	}
	if hash := sha256.Sum256([]byte(access.GetAccessToken())); subtle.ConstantTimeCompare(hash[:], refusedHash) == 1 {
		return nil, nil
	}
	return access, nil
}

// refresh gets a new token under the connection's lease, or takes the one that another replica got meanwhile.
func (c *Custodian) refresh(ctx context.Context, conn connection, refusedHash []byte) (*configv1.GetAccessTokenResponse, error) {
	for {
		now := c.deps.Clock.Now()
		lease := store.Lease{
			Workspace: conn.workspace, Connection: conn.id, Holder: uuid.NewString(), Until: now.Add(c.cfg.Lease),
		}
		held, err := c.deps.Leases.AcquireLease(ctx, lease, now)
		if err != nil {
			return nil, err
		}
		if held {
			access, err := c.issueUnder(ctx, lease, conn, refusedHash)
			if errors.Is(err, store.ErrStale) {
				continue // the credentials were changed meanwhile: begin again with the new ones
			}
			return access, err
		}
		select {
		case <-time.After(c.cfg.LeasePoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if access, err := c.stored(ctx, conn, refusedHash); access != nil || err != nil {
			return access, err
		}
	}
}

func (c *Custodian) issueUnder(ctx context.Context, lease store.Lease, conn connection, refusedHash []byte) (*configv1.GetAccessTokenResponse, error) {
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := c.deps.Leases.ReleaseLease(release, lease); err != nil {
			c.deps.Logger.WarnContext(ctx, "the lease for refreshing an access token ends by itself",
				"workspace", conn.workspace, "connection", conn.id, "error", err)
		}
	}()
	if err := c.saveUnsaved(ctx, conn); err != nil {
		return nil, err
	}
	// Another replica may have finished between the look and the lease.
	if access, err := c.stored(ctx, conn, refusedHash); access != nil || err != nil {
		return access, err
	}
	return c.issue(ctx, conn)
}

func (c *Custodian) issue(ctx context.Context, conn connection) (*configv1.GetAccessTokenResponse, error) {
	doc, err := c.deps.Store.Get(ctx, store.Key{Workspace: conn.workspace, Kind: store.KindConnection, ID: conn.id})
	if err != nil {
		return nil, err
	}
	if err := c.heldBack(conn, doc.Generation); err != nil {
		return nil, err
	}
	settings := &configv1.Connection{}
	if err := proto.Unmarshal(doc.Body, settings); err != nil {
		return nil, fmt.Errorf("connection %s of workspace %s: %w", conn.id, conn.workspace, err)
	}
	credentials, err := OpenCredentials(c.deps.Installation, conn.workspace, conn.id, doc.Sealed)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, c.cfg.IssueTimeout)
	defer cancel()
	token, err := c.deps.Issuer.Issue(asking, settings, credentials)
	if err != nil {
		c.holdBack(conn, doc.Generation, err)
		return nil, err
	}
	access := &configv1.GetAccessTokenResponse{
		AccessToken: token.AccessToken.Reveal(), InstanceUrl: token.InstanceURL,
		ExpiresAt: timestamp(c.deps.Clock.Now().Add(c.cfg.Lifetime)),
	}
	saved := store.NewToken{
		AccessToken: store.AccessToken{
			Workspace: conn.workspace, Connection: conn.id, ExpiresAt: access.GetExpiresAt().AsTime(),
		},
		Generation: doc.Generation,
	}
	if saved.Sealed, err = sealAccess(c.deps.Installation, conn.workspace, conn.id, access); err != nil {
		return nil, err
	}
	if grant := credentials.GetRefreshToken(); grant != nil && !token.RefreshToken.IsEmpty() {
		grant.RefreshToken = token.RefreshToken.Reveal()
		credentials.Workspace, credentials.Id = conn.workspace, conn.id
		if saved.Credentials, err = SealCredentials(c.deps.Installation, credentials); err != nil {
			return nil, err
		}
	}
	other := otherOrg(settings, token)
	if other != nil {
		saved.ExpiresAt = c.deps.Clock.Now() // a rotated grant is kept, the token is nobody's
	}
	if err := c.save(ctx, conn, saved); err != nil {
		return nil, err
	}
	if other != nil {
		generation := doc.Generation
		if saved.Credentials != nil {
			generation++ // saving the rotated grant made it so
		}
		c.holdBack(conn, generation, other)
		return nil, other
	}
	return access, nil
}

// Retry lets the next Get ask Salesforce even if it has just refused the connection's grant: something was put right.
func (c *Custodian) Retry(workspace, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.refused, connection{workspace, id})
}

// heldBack returns the last refusal of these very credentials while it is fresh.
func (c *Custodian) heldBack(conn connection, generation int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.refused[conn]
	if ok && r.generation == generation && c.deps.Clock.Now().Before(r.until) {
		return r.err
	}
	delete(c.refused, conn)
	return nil
}

func (c *Custodian) holdBack(conn connection, generation int64, err error) {
	var refused *salesforce.Error
	if !errors.As(err, &refused) || refused.Class == salesforce.ClassTransient {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[conn] = refusal{generation, err, c.deps.Clock.Now().Add(c.cfg.RefusalHold)}
}
