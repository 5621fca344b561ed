package orgs_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/orgs"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/internal/settingstest"
)

// testBundle is a pool between a scripted config service and a scripted org.
type testBundle struct {
	pool  *orgs.Pool
	clock *clock
	view  atomic.Pointer[settings.View]

	mu     sync.Mutex
	asked  []*configv1.GetAccessTokenRequest
	answer func(n int) (*configv1.GetAccessTokenResponse, error)
	bearer []string
	status func(bearer string) int
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (b *testBundle) View() *settings.View { return b.view.Load() }

func (b *testBundle) GetAccessToken(
	_ context.Context, r *configv1.GetAccessTokenRequest, _ ...grpc.CallOption,
) (*configv1.GetAccessTokenResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r)
	return b.answer(len(b.asked))
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{clock: &clock{now: time.Now()}, status: func(string) int { return 200 }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.bearer = append(b.bearer, r.Header.Get("Authorization")+" "+r.URL.Path)
		code := b.status(r.Header.Get("Authorization"))
		b.mu.Unlock()
		w.WriteHeader(code)
		if code == 200 {
			_, _ = w.Write([]byte(`{"done":true,"records":[]}`))
		} else {
			_, _ = w.Write([]byte(`[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]`))
		}
	}))
	t.Cleanup(server.Close)
	b.answer = func(n int) (*configv1.GetAccessTokenResponse, error) {
		return &configv1.GetAccessTokenResponse{
			AccessToken: "token-" + string(rune('0'+n)), InstanceUrl: server.URL,
			ExpiresAt: timestamppb.New(b.clock.Now().Add(10 * time.Minute)),
		}, nil
	}
	b.view.Store(settingstest.New(t).Workspace("acme").
		Connection("main", func(c *configv1.Connection) { c.ApiVersion = "65.0" }).
		Connection("plain", func(c *configv1.Connection) { c.ApiVersion = "" }).Workspace("globex").View())
	pool, err := orgs.New(orgs.DefaultConfig(), orgs.Deps{Tokens: b, Settings: b, Clock: b.clock})
	require.NoError(t, err)
	b.pool = pool
	return b
}

func (b *testBundle) query(t *testing.T, connection string) error {
	t.Helper()
	c, err := b.pool.Client("acme", connection)
	require.NoError(t, err)
	_, err = c.Query(t.Context(), "SELECT Id FROM Lead")
	return err
}

func TestPool(t *testing.T) {
	t.Parallel()

	t.Run("OneTokenServesManyCallersUntilItExpires", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { require.NoError(t, b.query(t, "main")) })
		}
		wg.Wait()
		require.Len(t, b.asked, 1)
		require.Equal(t, "Bearer token-1 /services/data/v65.0/query", b.bearer[0])
		b.clock.Advance(9*time.Minute + 45*time.Second)
		require.NoError(t, b.query(t, "main"))
		require.Len(t, b.asked, 2)
		require.NoError(t, b.query(t, "plain"))
		require.Contains(t, b.bearer[len(b.bearer)-1], "v66.0")
	})

	t.Run("AnEndedConnectionMakesNoCalls", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, b.query(t, "main"), "its token is in memory now")
		state := func(s configv1.ConnectionState) error {
			b.view.Store(settingstest.New(t).Workspace("acme").Connection("main", func(c *configv1.Connection) {
				c.Status = &configv1.ConnectionStatus{State: s}
			}).View())
			_, err := b.pool.Client("acme", "main")
			return err
		}
		for _, s := range []configv1.ConnectionState{
			configv1.ConnectionState_CONNECTION_STATE_DISCONNECTED, configv1.ConnectionState_CONNECTION_STATE_REVOKED,
			configv1.ConnectionState_CONNECTION_STATE_AWAITING_SF_ADMIN, configv1.ConnectionState_CONNECTION_STATE_NOT_CONNECTED,
		} {
			require.ErrorIs(t, state(s), orgs.ErrNotAuthorised)
		}
		require.NoError(t, state(configv1.ConnectionState_CONNECTION_STATE_AUTHORISED))
	})

	t.Run("ARefusedTokenIsNamedByItsHashAndReplaced", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.status = func(bearer string) int {
			if bearer == "Bearer token-1" {
				return 401
			}
			return 200
		}
		require.NoError(t, b.query(t, "main"))
		require.Len(t, b.asked, 2)
		want := sha256.Sum256([]byte("token-1"))
		require.Equal(t, want[:], b.asked[1].GetRefusedTokenHash())
	})

	t.Run("AFailureIsRememberedForAMomentAndKeepsItsReason", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		good := b.answer
		b.answer = func(int) (*configv1.GetAccessTokenResponse, error) {
			s, err := status.New(codes.FailedPrecondition, "private text").WithDetails(&errdetails.ErrorInfo{Reason: "SF_IP_RESTRICTED"})
			require.NoError(t, err)
			return nil, s.Err()
		}
		for range 5 {
			err := b.query(t, "main")
			var e *salesforce.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, salesforce.ClassAuth, e.Class)
			require.Equal(t, "SF_IP_RESTRICTED", e.Reason)
			require.NotContains(t, err.Error(), "private text")
		}
		require.Len(t, b.asked, 1)
		b.answer = func(int) (*configv1.GetAccessTokenResponse, error) { return nil, status.Error(codes.Unavailable, "") }
		b.clock.Advance(2 * time.Second)
		require.Equal(t, salesforce.ClassTransient, salesforce.ClassOf(b.query(t, "main")))
		b.answer = good
		b.clock.Advance(2 * time.Second)
		require.NoError(t, b.query(t, "main"))
	})

	t.Run("ATokenServesWhileConfigIsAwayUntilItExpiresAndNotLonger", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		good := b.answer
		b.answer = func(n int) (*configv1.GetAccessTokenResponse, error) {
			resp, err := good(n)
			resp.ExpiresAt = timestamppb.New(b.clock.Now().Add(time.Hour))
			return resp, err
		}
		require.NoError(t, b.query(t, "main"))
		b.answer = func(int) (*configv1.GetAccessTokenResponse, error) { return nil, status.Error(codes.Unavailable, "") }
		for range 59 {
			b.clock.Advance(time.Minute)
			require.NoError(t, b.query(t, "main"))
		}
		require.Len(t, b.asked, 1)
		b.clock.Advance(time.Minute)
		err := b.query(t, "main")
		var e *salesforce.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, salesforce.ClassTransient, e.Class, "what waits is parked, not given up")
		require.Equal(t, salesforce.CodeNoToken, e.Code)
		require.Len(t, b.bearer, 60, "Salesforce is not asked with a token that may have ended")
		b.answer = good
		b.clock.Advance(2 * time.Second)
		require.NoError(t, b.query(t, "main"))
	})

	t.Run("ASavedConnectionGetsANewTokenForItMayBeAnotherOrgNow", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, b.query(t, "plain"))
		old, err := b.pool.Client("acme", "plain")
		require.NoError(t, err)
		b.view.Store(settingstest.New(t).Workspace("acme").
			Connection("plain", func(c *configv1.Connection) { c.ApiVersion, c.Version = "", c.GetVersion()+1 }).View())
		require.NoError(t, b.query(t, "plain"))
		require.Len(t, b.asked, 2)
		require.Equal(t, "Bearer token-2 /services/data/v66.0/query", b.bearer[1])
		_, err = old.Query(t.Context(), "SELECT Id FROM Lead")
		require.NoError(t, err)
		require.Equal(t, "Bearer token-2 /services/data/v66.0/query", b.bearer[2], "nor does a client that somebody holds go on")
	})

	t.Run("OneClientPerConnectionAndNoneAcrossWorkspaces", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		one, err := b.pool.Client("acme", "main")
		require.NoError(t, err)
		two, err := b.pool.Client("acme", "main")
		require.NoError(t, err)
		require.Same(t, one, two)
		_, err = b.pool.Client("globex", "main")
		require.ErrorIs(t, err, orgs.ErrUnknownConnection)
		_, err = b.pool.Client("nobody", "main")
		require.ErrorIs(t, err, orgs.ErrUnknownConnection)
		b.view.Store(nil)
		_, err = b.pool.Client("acme", "main")
		require.ErrorIs(t, err, orgs.ErrUnknownConnection)
	})
}

func TestAClientMakesCallsToOneOrg(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "LOOM-14")
	const first, second = "00D000000000001EAA", "00D000000000002EAA"
	with := func(b *testBundle, version int64, now, before string) {
		b.view.Store(settingstest.New(t).Workspace("acme").Connection("main", func(c *configv1.Connection) {
			c.Version, c.FirstOrg, c.Org = version, before, nil
			if now != "" {
				c.Org = &configv1.Org{Id: now}
			}
		}).View())
	}
	issuing := func(b *testBundle, org string) {
		answer := b.answer
		b.answer = func(n int) (*configv1.GetAccessTokenResponse, error) {
			resp, err := answer(n)
			resp.OrgId = org
			return resp, err
		}
	}

	t.Run("NoTokenOfAnotherOrgIsUsed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		issuing(b, second)
		with(b, 1, first, "")
		require.Error(t, b.query(t, "main"))
		require.Empty(t, b.bearer)
		with(b, 2, second, first)
		require.NoError(t, b.query(t, "main"), "the news has come")
	})

	t.Run("WhoHasAClientOfTheOrgBeforeMakesNoMoreCalls", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		issuing(b, first)
		with(b, 1, first, "")
		require.NoError(t, b.query(t, "main"))
		before, err := b.pool.Client("acme", "main")
		require.NoError(t, err)
		with(b, 2, "", first) // accepted, and nobody knows yet which it is
		_, err = b.pool.Client("acme", "main")
		require.ErrorIs(t, err, orgs.ErrOrgUnknown)
		_, err = before.Query(t.Context(), "SELECT Id FROM Lead")
		require.Error(t, err)
		issuing(b, second)
		with(b, 3, second, first)
		require.NoError(t, b.query(t, "main"))
		_, err = before.Query(t.Context(), "SELECT Id FROM Lead")
		require.Error(t, err)
		require.Len(t, b.bearer, 2)
	})

	t.Run("AnOrgThatWasNotKnownMayBeAny", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		issuing(b, first)
		with(b, 1, "", "")
		require.NoError(t, b.query(t, "main"))
		client, err := b.pool.Client("acme", "main")
		require.NoError(t, err)
		with(b, 2, first, "")
		same, err := b.pool.Client("acme", "main")
		require.NoError(t, err)
		require.Same(t, client, same)
		require.NoError(t, b.query(t, "main"))
	})
}
