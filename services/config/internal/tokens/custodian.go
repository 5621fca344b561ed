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

	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
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

// Observer hears what Salesforce says when it is asked for a token, once per question and before the asker does.
type Observer interface {
	// Issued: it gave one.
	Issued(ctx context.Context, workspace, connection string)
	// Refused: it did not; err is what Issuer returned. Or there was nothing to ask with, because the credentials do not open:
	// seal.ErrOpen.
	Refused(ctx context.Context, workspace, connection string, err error)
}

// Deps is what a Custodian works with; all of it is required but Observer.
type Deps struct {
	Store        Store
	Leases       Leases
	Installation *seal.Installation
	Issuer       Issuer
	Observer     Observer
	Clock        interface{ Now() time.Time }
	Logger       *slog.Logger
}

// Custodian hands out access tokens. Safe for concurrent use.
type Custodian struct {
	cfg    Config
	deps   Deps
	flight singleflight.Group

	refreshing sync.WaitGroup

	mu      sync.Mutex
	closing bool
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
		if !c.begin() {
			return nil, errStopping
		}
		defer c.refreshing.Done()
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

// errStopping refuses to ask Salesforce for what could not be stored any more.
var errStopping = errors.New("the config service is stopping")

func (c *Custodian) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.refreshing.Add(1)
	}
	return !c.closing
}

// Finish begins no more refreshes and waits for those under way, at most until ctx ends. Call it before the store is closed: a
// rotated grant that is not stored is lost, and with it the connection (XC-16).
func (c *Custodian) Finish(ctx context.Context) {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.refreshing.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
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
		lease, held, err := c.acquire(ctx, conn)
		if err != nil {
			return nil, err
		}
		if held {
			access, err := c.issueUnder(ctx, lease, conn, refusedHash)
			if errors.Is(err, store.ErrStale) || errors.Is(err, errUsedUp) {
				continue // begin again: with the credentials that somebody has put in the place of these, or under a lease that lasts
			}
			return access, err
		}
		if err := c.pause(ctx); err != nil {
			return nil, err
		}
		if access, err := c.stored(ctx, conn, refusedHash); access != nil || err != nil {
			return access, err
		}
	}
}

func (c *Custodian) issueUnder(ctx context.Context, lease store.Lease, conn connection, refusedHash []byte) (*configv1.GetAccessTokenResponse, error) {
	defer c.release(ctx, lease)
	if err := c.settle(ctx, lease); err != nil {
		return nil, err
	}
	// Another replica may have finished between the look and the lease.
	if access, err := c.stored(ctx, conn, refusedHash); access != nil || err != nil {
		return access, err
	}
	return c.issue(ctx, conn, nil)
}

// issue asks Salesforce and stores the answer. With change, other credentials than the stored ones are tried, and stored only
// when Salesforce takes them; a refusal then says nothing about the connection.
func (c *Custodian) issue(ctx context.Context, conn connection, change *Change) (*configv1.GetAccessTokenResponse, error) {
	doc, settings, credentials, err := c.read(ctx, conn)
	if err != nil {
		if errors.Is(err, seal.ErrOpen) {
			c.observe(ctx, conn, err)
		}
		return nil, err
	}
	refused := func(generation int64, err error) error {
		if change == nil {
			c.holdBack(conn, generation, err)
			c.observe(ctx, conn, err)
		}
		return err
	}
	if change != nil {
		change.Apply(credentials)
	} else if err := c.heldBack(conn, doc.Generation); err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, c.cfg.IssueTimeout)
	defer cancel()
	token, err := c.deps.Issuer.Issue(asking, settings, credentials)
	if err != nil {
		return nil, refused(doc.Generation, err)
	}
	rotated := rotate(credentials, token)
	access := &configv1.GetAccessTokenResponse{
		AccessToken: token.AccessToken.Reveal(), InstanceUrl: token.InstanceURL,
		ExpiresAt: timestamp(c.deps.Clock.Now().Add(c.cfg.Lifetime)),
	}
	access.OrgId, _ = OrgAndUser(token.IdentityURL)
	if !rotated && change == nil {
		credentials = nil // they stay as they are
	}
	saved, err := c.seal(conn, access, credentials)
	if err != nil {
		return nil, err
	}
	saved.Generation = doc.Generation
	if change != nil {
		saved.By = &change.By
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
		return nil, refused(generation, other)
	}
	c.observe(ctx, conn, nil)
	return access, nil
}

// read returns the connection as it is stored, with its grant.
func (c *Custodian) read(ctx context.Context, conn connection) (store.Document, *configv1.Connection, *configv1.Connection, error) {
	doc, err := c.deps.Store.Get(ctx, store.Key{Workspace: conn.workspace, Kind: store.KindConnection, ID: conn.id})
	if err != nil {
		return doc, nil, nil, err
	}
	settings := &configv1.Connection{}
	if err := proto.Unmarshal(doc.Body, settings); err != nil {
		return doc, nil, nil, fmt.Errorf("connection %s of workspace %s: %w", conn.id, conn.workspace, err)
	}
	if doc.Sealed == nil {
		return doc, settings, &configv1.Connection{}, nil // nobody has authorised it yet
	}
	credentials, err := OpenCredentials(c.deps.Installation, conn.workspace, conn.id, doc.Sealed)
	return doc, settings, credentials, err
}

// rotate puts a new refresh token in the place of the used one, and reports whether there was one.
func rotate(credentials *configv1.Connection, token oauth.Token) bool {
	grant := credentials.GetRefreshToken()
	if grant == nil || token.RefreshToken.IsEmpty() {
		return false
	}
	grant.RefreshToken = token.RefreshToken.Reveal()
	return true
}

// seal makes what is stored of an answer; credentials is nil to keep those that are there.
func (c *Custodian) seal(conn connection, access *configv1.GetAccessTokenResponse, credentials *configv1.Connection) (store.NewToken, error) {
	saved := store.NewToken{AccessToken: store.AccessToken{
		Workspace: conn.workspace, Connection: conn.id, ExpiresAt: access.GetExpiresAt().AsTime(),
	}}
	var err error
	if saved.Sealed, err = sealAccess(c.deps.Installation, conn.workspace, conn.id, access); err != nil || credentials == nil {
		return saved, err
	}
	credentials.Workspace, credentials.Id = conn.workspace, conn.id
	saved.Credentials, err = SealCredentials(c.deps.Installation, credentials)
	return saved, err
}

// observe tells the observer what an answer was, refused with err or given.
func (c *Custodian) observe(ctx context.Context, conn connection, err error) {
	switch {
	case c.deps.Observer == nil:
	case err != nil:
		c.deps.Observer.Refused(ctx, conn.workspace, conn.id, err)
	default:
		c.deps.Observer.Issued(ctx, conn.workspace, conn.id)
	}
}
