package tokens_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// rotating is a token endpoint that accepts each refresh token once, as Salesforce does with rotation.
type rotating struct {
	mu      sync.Mutex
	valid   string
	issued  int
	busy    int
	crowded bool
	fail    error
	during  func()
	entered chan struct{}
}

func (r *rotating) Issue(_ context.Context, _, credentials *configv1.Connection) (oauth.Token, error) {
	r.mu.Lock()
	r.busy++
	r.crowded = r.crowded || r.busy > 1
	during, entered := r.during, r.entered
	r.mu.Unlock()
	if entered != nil {
		entered <- struct{}{}
	}
	if during != nil {
		during()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	if r.fail != nil {
		return oauth.Token{}, r.fail
	}
	if credentials.GetRefreshToken().GetRefreshToken() != r.valid {
		return oauth.Token{}, &salesforce.Error{Class: salesforce.ClassAuth, Reason: salesforce.ReasonAuthRevoked}
	}
	r.issued++
	r.valid = fmt.Sprintf("refresh-%d", r.issued)
	return oauth.Token{
		AccessToken: secret.New(fmt.Sprintf("access-%d", r.issued)), RefreshToken: secret.New(r.valid),
		InstanceURL: "https://acme.my.salesforce.com",
	}, nil
}

func (r *rotating) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.issued
}

type testBundle struct {
	store  *store.Store
	inst   *seal.Installation
	clock  *stagetest.ManualClock
	issuer *rotating
	cfg    tokens.Config
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	inst, err := seal.NewInstallation()
	require.NoError(t, err)
	cfg := tokens.DefaultConfig()
	cfg.LeasePoll = time.Millisecond
	b := &testBundle{store: s, inst: inst, clock: stagetest.NewClock(epoch), issuer: &rotating{valid: "refresh-0"}, cfg: cfg}
	b.connect(t, 0, "refresh-0")
	return b
}

// connect saves the connection with a refresh token, as the version after expected.
func (b *testBundle) connect(t *testing.T, expected int64, refresh string) {
	t.Helper()
	c := &configv1.Connection{Workspace: "acme", Id: "main", Grant: &configv1.Connection_RefreshToken{
		RefreshToken: &configv1.RefreshToken{ClientId: "consumer", RefreshToken: refresh},
	}}
	sealed, err := tokens.SealCredentials(b.inst, c)
	require.NoError(t, err)
	c.GetRefreshToken().RefreshToken = ""
	body, err := proto.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, b.store.Put(t.Context(), store.Save{
		Key: key(), Expected: expected, Body: body, Sealed: sealed, At: epoch,
	}))
}

func key() store.Key { return store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"} }

// custodian is one replica.
func (b *testBundle) custodian(s tokens.Store) *tokens.Custodian { return b.custodianOf(s, b.issuer) }

func (b *testBundle) custodianOf(s tokens.Store, issuer tokens.Issuer) *tokens.Custodian {
	return tokens.New(b.cfg, tokens.Deps{
		Store: s, Leases: b.store, Installation: b.inst, Issuer: issuer, Clock: b.clock,
		Logger: slog.New(slog.DiscardHandler),
	})
}

func (b *testBundle) storedRefreshToken(t *testing.T) string {
	t.Helper()
	doc, err := b.store.Get(t.Context(), key())
	require.NoError(t, err)
	c, err := tokens.OpenCredentials(b.inst, "acme", "main", doc.Sealed)
	require.NoError(t, err)
	return c.GetRefreshToken().GetRefreshToken()
}

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

func get(t *testing.T, c *tokens.Custodian, refused []byte) string {
	t.Helper()
	access, err := c.Get(t.Context(), "acme", "main", refused)
	require.NoError(t, err)
	return access.GetAccessToken()
}

func TestOneRefreshHoweverManyAsk(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	replicas := []*tokens.Custodian{b.custodian(b.store), b.custodian(b.store), b.custodian(b.store)}
	var wg sync.WaitGroup
	for round := range 3 {
		want := fmt.Sprintf("access-%d", round+1)
		for n := range 30 {
			wg.Go(func() {
				access, err := replicas[n%3].Get(t.Context(), "acme", "main", nil)
				if err != nil || access.GetAccessToken() != want {
					t.Errorf("got %q, %v", access.GetAccessToken(), err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, round+1, b.issuer.count())
		b.clock.Advance(b.cfg.Lifetime)
	}
	require.False(t, b.issuer.crowded, "two questions at a time")
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	replicas := []*tokens.Custodian{b.custodian(b.store), b.custodian(b.store)}
	require.Equal(t, "access-1", get(t, replicas[0], nil))
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			access, err := replicas[n%2].Get(t.Context(), "acme", "main", hash("access-1"))
			if err != nil || access.GetAccessToken() != "access-2" {
				t.Errorf("got %q, %v", access.GetAccessToken(), err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 2, b.issuer.count())
	require.Equal(t, "access-2", get(t, replicas[1], hash("access-0")), "an old refusal changes nothing")
}

func TestRotatedGrantIsStoredBeforeTheTokenIsHandedOut(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	require.Equal(t, "access-1", get(t, b.custodian(b.store), nil))
	require.Equal(t, "refresh-1", b.storedRefreshToken(t))
}

// failing is a store that cannot save for a while.
type failing struct {
	*store.Store
	mu    sync.Mutex
	times int
}

func (f *failing) SaveToken(ctx context.Context, token store.NewToken) error {
	f.mu.Lock()
	fail := f.times > 0
	f.times--
	f.mu.Unlock()
	if fail {
		return errors.New("the disk is full")
	}
	return f.Store.SaveToken(ctx, token)
}

func TestRotatedGrantSurvivesAStoreThatIsAway(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()

	t.Run("ForAMoment", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, "access-1", get(t, b.custodian(&failing{Store: b.store, times: 2}), nil))
		require.Equal(t, "refresh-1", b.storedRefreshToken(t))
	})

	t.Run("ForLonger", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.cfg.IssueTimeout = b.cfg.Lease - time.Millisecond
		s := &failing{Store: b.store, times: 1}
		c := b.custodian(s)
		_, err := c.Get(t.Context(), "acme", "main", nil)
		require.ErrorContains(t, err, "disk is full", "not handed out, because it is not stored")
		require.Equal(t, "refresh-0", b.storedRefreshToken(t))
		require.Equal(t, "access-1", get(t, c, nil), "what Salesforce gave us was not forgotten")
		require.Equal(t, "refresh-1", b.storedRefreshToken(t))
		require.Equal(t, 1, b.issuer.count())
	})
}

func TestCredentialsChangedMeanwhileWin(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issuer.during = sync.OnceFunc(func() {
		b.connect(t, 1, "refresh-of-the-admin")
	})
	done := make(chan struct{})
	b.issuer.entered = make(chan struct{}, 8)
	go func() {
		defer close(done)
		<-b.issuer.entered // first question, with the old grant
		<-b.issuer.entered // second question, with the new one
	}()
	c := b.custodian(b.store)
	access, err := c.Get(t.Context(), "acme", "main", nil)
	<-done
	// The endpoint knows only its own rotation, so the admin's token is refused; what counts is that it was tried.
	require.Nil(t, access)
	var refused *salesforce.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "refresh-of-the-admin", b.storedRefreshToken(t), "never overwritten by a rotation of the old grant")
}

func TestARevokedGrantIsNotHammered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issuer.fail = &salesforce.Error{Class: salesforce.ClassAuth, Reason: salesforce.ReasonAuthRevoked}
	asked := 0
	b.issuer.during = func() { asked++ }
	c := b.custodian(b.store)
	for range 5 {
		_, err := c.Get(t.Context(), "acme", "main", nil)
		var refused *salesforce.Error
		require.ErrorAs(t, err, &refused)
	}
	require.Equal(t, 1, asked)
	b.clock.Advance(b.cfg.RefusalHold)
	_, err := c.Get(t.Context(), "acme", "main", nil)
	require.Error(t, err)
	require.Equal(t, 2, asked)

	b.issuer.fail, b.issuer.valid = nil, "new-grant"
	b.connect(t, 1, "new-grant")
	require.Equal(t, "access-1", get(t, c, nil), "new credentials are tried at once")
}

func TestATransientFailureIsTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issuer.fail = &salesforce.Error{Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable}
	c := b.custodian(b.store)
	_, err := c.Get(t.Context(), "acme", "main", nil)
	require.Error(t, err)
	b.issuer.fail = nil
	require.Equal(t, "access-1", get(t, c, nil))
}

func TestAnAbandonedLeaseEndsByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ok, err := b.store.AcquireLease(t.Context(), store.Lease{
		Workspace: "acme", Connection: "main", Holder: "a replica that died", Until: epoch.Add(b.cfg.Lease),
	}, epoch)
	require.NoError(t, err)
	require.True(t, ok)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c := b.custodian(b.store)
	_, err = c.Get(ctx, "acme", "main", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, b.issuer.count())
	b.clock.Advance(b.cfg.Lease)
	require.Equal(t, "access-1", get(t, c, nil))
}

func TestCallersWhoLeaveDoNotLoseTheRotation(t *testing.T) {
	t.Attr("requirement", "XC-16")
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.issuer.during = cancel
	c := b.custodian(b.store)
	_, _ = c.Get(ctx, "acme", "main", nil)
	b.issuer.mu.Lock()
	b.issuer.during = nil
	b.issuer.mu.Unlock()
	require.Equal(t, "access-1", get(t, c, nil), "the exchange went on without its caller")
	require.Equal(t, "refresh-1", b.storedRefreshToken(t))
}

func TestCredentialsOfAnotherConnectionDoNotOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	doc, err := b.store.Get(t.Context(), key())
	require.NoError(t, err)
	require.NotContains(t, string(doc.Sealed), "refresh-0")
	_, err = tokens.OpenCredentials(b.inst, "globex", "main", doc.Sealed)
	require.ErrorIs(t, err, seal.ErrOpen)
	_, err = tokens.OpenCredentials(b.inst, "acme", "other", doc.Sealed)
	require.ErrorIs(t, err, seal.ErrOpen)
}

func FuzzOpenCredentials(f *testing.F) {
	inst, err := seal.NewInstallation()
	require.NoError(f, err)
	sealed, err := tokens.SealCredentials(inst, &configv1.Connection{Workspace: "acme", Id: "main"})
	require.NoError(f, err)
	f.Add(sealed)
	garbage, err := inst.Seal([]byte("not a message"), []byte("throughline/credentials/acme/main"))
	require.NoError(f, err)
	f.Add(garbage)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, err := tokens.OpenCredentials(inst, "acme", "main", sealed); err != nil {
			require.ErrorIs(t, err, seal.ErrOpen)
		}
	})
}
