package lifecycle_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

type testBundle struct {
	store   *store.Store
	clock   *stagetest.ManualClock
	keeper  *lifecycle.Keeper
	revoker *lifecycle.Revoker
	inst    *seal.Installation
	server  *httptest.Server
	// status and body are what the revoke endpoint answers; asked counts questions.
	status atomic.Int32
	body   atomic.Value
	asked  atomic.Int32
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := &testBundle{store: s, clock: stagetest.NewClock(epoch)}
	b.inst, err = seal.NewInstallation()
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	b.keeper = &lifecycle.Keeper{Rules: connstate.DefaultRules(), States: s, Clock: b.clock, Logger: logger}
	b.revoker = &lifecycle.Revoker{
		Config: lifecycle.DefaultRevokeConfig(), Store: s, Installation: b.inst, Clock: b.clock, Logger: logger,
	}
	b.status.Store(http.StatusOK)
	b.body.Store("")
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		if r.FormValue("token") != "refresh-token" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.WriteHeader(int(b.status.Load()))
		_, _ = w.Write([]byte(b.body.Load().(string)))
	}))
	t.Cleanup(b.server.Close)
	return b
}

// wait stores a token to be revoked.
func (b *testBundle) wait(t *testing.T) {
	t.Helper()
	r, err := lifecycle.NewRevocation(b.inst, lifecycle.Token{
		Workspace: "acme", Connection: "main", LoginURL: b.server.URL, Token: secret.New("refresh-token"),
	}, b.clock.Now())
	require.NoError(t, err)
	require.NotContains(t, string(r.Sealed), "refresh-token")
	require.NoError(t, b.store.Put(t.Context(), store.Save{
		Key: store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"}, Body: []byte{}, At: epoch, Revoke: r,
	}))
}

func (b *testBundle) sweep(t *testing.T) int32 {
	t.Helper()
	before := b.asked.Load()
	require.NoError(t, b.revoker.Sweep(t.Context()))
	return b.asked.Load() - before
}

func TestATokenIsRevokedAsSoonAsSalesforceCanBeAsked(t *testing.T) {
	t.Attr("requirement", "LOOM-15")
	t.Parallel()
	b := setup(t)
	b.status.Store(http.StatusServiceUnavailable)
	b.wait(t)
	require.Zero(t, b.sweep(t), "whoever stored it tries it first")
	tries := int32(0)
	var waits []time.Duration
	last := b.clock.Now()
	for tries < 5 {
		b.clock.Advance(15 * time.Second)
		if n := b.sweep(t); n > 0 {
			tries += n
			waits = append(waits, b.clock.Now().Sub(last))
			last = b.clock.Now()
		}
	}
	for i := 2; i < len(waits); i++ {
		require.Equal(t, 2*waits[i-1], waits[i], "it waits longer each time")
	}
	b.status.Store(http.StatusOK)
	b.clock.Advance(b.revoker.Config.RetryMax)
	require.Equal(t, int32(1), b.sweep(t))
	b.clock.Advance(b.revoker.Config.RetryMax)
	require.Zero(t, b.sweep(t), "done")
}

func TestATokenThatIsDeadAlreadyIsDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.status.Store(http.StatusBadRequest)
	b.body.Store(`{"error":"invalid_token"}`)
	b.wait(t)
	b.clock.Advance(time.Hour)
	require.Equal(t, int32(1), b.sweep(t))
	b.clock.Advance(b.revoker.Config.GiveUp)
	require.Zero(t, b.sweep(t))
}

func TestATokenThatCannotBeRevokedIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.status.Store(http.StatusServiceUnavailable)
	b.wait(t)
	b.clock.Advance(b.revoker.Config.GiveUp)
	require.Equal(t, int32(1), b.sweep(t))
	b.clock.Advance(b.revoker.Config.GiveUp)
	require.Zero(t, b.sweep(t))
}

func TestWhatATokenEndpointsAnswerMeans(t *testing.T) {
	t.Attr("requirement", "XC-17")
	t.Parallel()
	auth, config := salesforce.ClassAuth, salesforce.ClassConfig
	for name, c := range map[string]struct {
		err    error
		state  connstate.State
		reason streamv1.Reason
	}{
		"Revoked":      {&salesforce.Error{Class: auth, Reason: salesforce.ReasonAuthRevoked, Code: "invalid_grant"}, connstate.Revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED},
		"InactiveUser": {&salesforce.Error{Class: auth, Reason: salesforce.ReasonAuthRevoked, Code: "inactive_user"}, connstate.Revoked, streamv1.Reason_REASON_SF_AUTH_REVOKED},
		"Address":      {&salesforce.Error{Class: auth, Reason: salesforce.ReasonIPRestricted, Code: "invalid_grant"}, connstate.Degraded, streamv1.Reason_REASON_SF_IP_RESTRICTED},
		"Blocked":      {&salesforce.Error{Class: auth, Reason: salesforce.ReasonAppBlocked, Code: "app_blocked"}, connstate.Degraded, streamv1.Reason_REASON_SF_APP_BLOCKED},
		"WrongSecret":  {&salesforce.Error{Class: config, Reason: salesforce.ReasonAuthRevoked, Code: "invalid_client"}, connstate.Degraded, streamv1.Reason_REASON_SF_AUTH_REVOKED},
		"OtherOrg":     {&salesforce.Error{Class: auth, Reason: salesforce.ReasonAuthRevoked, Code: tokens.CodeOtherOrg}, connstate.Degraded, streamv1.Reason_REASON_SF_AUTH_REVOKED},
		"Unreachable":  {&salesforce.Error{Class: salesforce.ClassTransient, Reason: salesforce.ReasonUnavailable}, connstate.Ready, 0},
		"Unheard":      {&salesforce.Error{Class: salesforce.ClassUnknown, Reason: salesforce.ReasonRejected, Code: "new"}, connstate.Ready, 0},
		"NothingToAsk": {&salesforce.Error{Class: auth, Reason: salesforce.ReasonAuthRevoked, Code: salesforce.CodeNoToken}, connstate.Ready, 0},
		"OurOwn":       {errors.New("the database is away"), connstate.Ready, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			key := lifecycle.Key{Workspace: "acme", Connection: "main"}
			_, _, err := b.keeper.Change(t.Context(), key, connstate.Change{To: connstate.Ready, Cause: "TEST", Actor: "aoi"})
			require.NoError(t, err)
			b.keeper.Refused(t.Context(), "acme", "main", c.err)
			s, err := b.keeper.Status(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, c.state, s.State)
			require.Equal(t, c.reason, s.Reason)

			b.keeper.Issued(t.Context(), "acme", "main")
			s, err = b.keeper.Status(t.Context(), key)
			require.NoError(t, err)
			if c.state == connstate.Revoked {
				require.Equal(t, connstate.Authorised, s.State, "let in again")
			} else {
				require.Equal(t, c.state, s.State, "diagnosis decides")
			}
		})
	}
}

func TestWhatIsFoundOfADisconnectedOrgSaysNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := lifecycle.Key{Workspace: "acme", Connection: "main"}
	for _, state := range []connstate.State{connstate.Authorised, connstate.Disconnected} {
		_, _, err := b.keeper.Change(t.Context(), key, connstate.Change{To: state, Cause: "TEST", Actor: "aoi"})
		require.NoError(t, err)
	}
	s, verdict, err := b.keeper.ChangeIfLegal(t.Context(), key, connstate.Change{To: connstate.Ready, Cause: "LATE", Actor: "diagnosis"})
	require.NoError(t, err)
	require.Equal(t, connstate.Same, verdict)
	require.Equal(t, connstate.Disconnected, s.State)
	_, _, err = b.keeper.Change(t.Context(), key, connstate.Change{To: connstate.Ready, Cause: "LATE", Actor: "diagnosis"})
	require.ErrorIs(t, err, connstate.ErrIllegal)
}

// TestABeginningTakesNothingBack: of two administrators who press the button at the same moment, one may have a login under way
// before the other has noted that there is a connection.
func TestABeginningTakesNothingBack(t *testing.T) {
	t.Attr("requirement", "LOOM-2")
	t.Parallel()
	b := setup(t)
	key := lifecycle.Key{Workspace: "acme", Connection: "main"}
	begin := func() connstate.State {
		require.NoError(t, b.keeper.Begin(t.Context(), key, connstate.Change{To: connstate.NotConnected, Cause: lifecycle.CauseStarted, Actor: "aoi"}))
		s, err := b.keeper.Status(t.Context(), key)
		require.NoError(t, err)
		return s.State
	}
	require.Equal(t, connstate.NotConnected, begin())
	_, _, err := b.keeper.Change(t.Context(), key, connstate.Change{To: connstate.Awaiting, Cause: lifecycle.CauseStarted, Actor: "root"})
	require.NoError(t, err)
	require.Equal(t, connstate.Awaiting, begin())
}

func TestRevokeConfigNamesTheKeyThatIsWrong(t *testing.T) {
	t.Parallel()
	for key, c := range map[string]lifecycle.RevokeConfig{
		"timeout": {}, "retry_min": {Timeout: 1, RetryMin: 2, RetryMax: 1}, "give_up": {Timeout: 1, RetryMin: 2, RetryMax: 2, GiveUp: 1},
	} {
		require.ErrorContains(t, c.Validate(), key)
	}
	require.NoError(t, lifecycle.DefaultRevokeConfig().Validate())
}
