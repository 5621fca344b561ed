package diagnose_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/diagnose"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// org is fine, or closed.
type org struct {
	closed atomic.Bool
	asked  atomic.Int32
	// said is its id and its zone; nil: neither.
	said atomic.Pointer[[2]string]
	// hold, while it is open, keeps back what it has decided to answer; nil: nothing.
	hold chan struct{}
}

func (o *org) Organization(context.Context) (salesforce.Organization, error) {
	o.asked.Add(1)
	closed := o.closed.Load()
	if o.hold != nil {
		<-o.hold
	}
	if closed {
		return salesforce.Organization{}, &salesforce.Error{Class: salesforce.ClassAuth, Reason: salesforce.ReasonAPIDisabled, Code: "API_CURRENTLY_DISABLED"}
	}
	answer := salesforce.Organization{Edition: "Enterprise Edition"}
	if said := o.said.Load(); said != nil {
		answer.ID, answer.TimeZone = said[0], said[1]
	}
	return answer, nil
}

func (*org) Identity(context.Context) (salesforce.Identity, error) {
	return salesforce.Identity{}, nil
}
func (*org) CheckVersion(context.Context) error { return nil }
func (*org) Query(context.Context, string) ([]salesforce.Record, error) {
	return []salesforce.Record{{"PermissionsModifyAllData": true}}, nil
}

func (*org) Tooling(context.Context, string) ([]salesforce.Record, error) { return nil, nil }

func (*org) Describe(_ context.Context, object string) (*salesforce.ObjectDescribe, error) {
	d := &salesforce.ObjectDescribe{Name: object, Createable: true, Updateable: true}
	for _, name := range []string{
		"Email", "OwnerId", "WhoId", "Subject", "Description", "ActivityDate", "CampaignId", "LeadId", "ContactId", "Status",
	} {
		d.Fields = append(d.Fields, salesforce.FieldDescribe{Name: name, Createable: true, Filterable: true})
	}
	return d, nil
}

type testBundle struct {
	store *store.Store
	clock *stagetest.ManualClock
	org   *org
	cfg   diagnose.Config
	// tokenErr is what the custody of tokens says.
	tokenErr error
}

func (b *testBundle) Get(context.Context, string, string, []byte) (*configv1.GetAccessTokenResponse, error) {
	return &configv1.GetAccessTokenResponse{AccessToken: "t"}, b.tokenErr
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	b := &testBundle{store: s, clock: stagetest.NewClock(epoch), org: &org{}, cfg: diagnose.DefaultConfig()}
	for _, id := range []string{"main", "other"} {
		body, err := proto.Marshal(&configv1.Connection{Workspace: "acme", Id: id})
		require.NoError(t, err)
		require.NoError(t, s.Put(t.Context(), store.Save{
			Key: store.Key{Workspace: "acme", Kind: store.KindConnection, ID: id}, Body: body, At: epoch,
		}))
	}
	return b
}

// replica is one of several that share the store.
func (b *testBundle) replica() *diagnose.Service {
	return diagnose.New(b.cfg, diagnose.Deps{
		Documents: b.store, Diagnoses: b.store, Claims: b.store, History: b.store, Tokens: b,
		Connect: func(*configv1.Connection, *configv1.GetAccessTokenResponse) (probe.Org, func()) {
			return b.org, func() {}
		},
		Keeper: &lifecycle.Keeper{Rules: connstate.DefaultRules(), States: b.store, Clock: b.clock, Logger: slog.New(slog.DiscardHandler)},
		Random: func() float64 { return 0.5 }, Clock: b.clock, Logger: slog.New(slog.DiscardHandler),
	})
}

func (b *testBundle) state(t *testing.T, connection string) connstate.State {
	t.Helper()
	s, err := b.store.ConnectionStatus(t.Context(), "acme", connection)
	require.NoError(t, err)
	return s.State
}

// looks runs every replica once and returns how many connections were asked.
func (b *testBundle) looks(t *testing.T, replicas ...*diagnose.Service) int {
	t.Helper()
	before := b.org.asked.Load()
	for _, r := range replicas {
		require.NoError(t, r.Due(t.Context()))
	}
	return int(b.org.asked.Load()-before) / 3 // the API, the edition and the environment each ask for the organisation
}

func TestEveryConnectionIsDueForOneReplica(t *testing.T) {
	t.Attr("requirement", "LOOM-6")
	t.Parallel()
	b := setup(t)
	one, two := b.replica(), b.replica()
	require.Equal(t, 2, b.looks(t, one, two), "each connection once")
	require.Equal(t, connstate.Ready, b.state(t, "main"))
	require.Zero(t, b.looks(t, one, two))
	b.clock.Advance(b.cfg.Every - time.Second)
	require.Zero(t, b.looks(t, one, two))
	b.clock.Advance(time.Second)
	require.Equal(t, 2, b.looks(t, two, one), "a day later")
}

func TestTroubleIsLookedAtSoonAndThenLessOften(t *testing.T) {
	t.Attr("requirement", "LOOM-6")
	t.Parallel()
	b := setup(t)
	b.org.closed.Store(true)
	s := b.replica()
	require.Equal(t, 2, b.looks(t, s))
	require.Equal(t, connstate.Degraded, b.state(t, "main"))
	var waits []time.Duration
	last := b.clock.Now()
	for len(waits) < 4 {
		b.clock.Advance(time.Minute)
		if b.looks(t, s) > 0 {
			waits = append(waits, b.clock.Now().Sub(last))
			last = b.clock.Now()
		}
	}
	require.Equal(t, b.cfg.RecheckMin, waits[0])
	for i := 1; i < len(waits); i++ {
		require.GreaterOrEqual(t, waits[i], waits[i-1])
	}
	require.Greater(t, waits[3], 2*waits[0])
}

// TestWhoAsksMeanwhileIsToldOfThePresent: a look that began before something was put right knows nothing of it.
func TestWhoAsksMeanwhileIsToldOfThePresent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.org.hold = make(chan struct{})
		b.org.closed.Store(true)
		s := b.replica()
		var wg sync.WaitGroup
		found, errs := make([]connstate.State, 5), make([]error, 5)
		for n := range found {
			wg.Go(func() {
				var d *configv1.Diagnosis
				d, errs[n] = s.Diagnose(t.Context(), "acme", "main")
				found[n] = d.GetStatus().GetState()
			})
			synctest.Wait() // the first look is under way, and whoever came later waits
			b.org.closed.Store(false)
		}
		close(b.org.hold)
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
		require.Equal(t, []connstate.State{connstate.Degraded, connstate.Ready, connstate.Ready, connstate.Ready, connstate.Ready}, found)
		require.EqualValues(t, 6, b.org.asked.Load(), "two looks of three questions each, for all five")
	})
}

func TestTheLastDiagnosisIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.replica()
	d, err := s.Diagnose(t.Context(), "acme", "main")
	require.NoError(t, err)
	last, err := s.Last(t.Context(), "acme", "main")
	require.NoError(t, err)
	require.True(t, proto.Equal(d, last))
	_, err = s.Diagnose(t.Context(), "globex", "main")
	require.ErrorIs(t, err, store.ErrNotFound, "promise 9")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Diagnose(gone, "acme", "main")
	require.ErrorIs(t, err, context.Canceled)
}

func TestARevokedConnectionThatGetsTokensGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, state := range []connstate.State{connstate.Authorised, connstate.Revoked} {
		_, _, err := b.store.ChangeState(t.Context(), "acme", "main", false, func(now connstate.Status) (connstate.Status, connstate.Verdict, error) {
			return connstate.DefaultRules().Next(now, connstate.Change{To: state, Cause: "TEST", Actor: "aoi", At: b.clock.Now()})
		})
		require.NoError(t, err)
	}
	b.tokenErr = &salesforce.Error{Class: salesforce.ClassAuth, Reason: salesforce.ReasonAuthRevoked, Code: "inactive_user"}
	s := b.replica()
	_, err := s.Diagnose(t.Context(), "acme", "main")
	require.NoError(t, err)
	require.Equal(t, connstate.Revoked, b.state(t, "main"))
	b.tokenErr = nil
	_, err = s.Diagnose(t.Context(), "acme", "main")
	require.NoError(t, err)
	require.Equal(t, connstate.Ready, b.state(t, "main"))
}

func TestNobodyIsAskedWithoutAnAuthorisation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, state := range []connstate.State{connstate.NotConnected, connstate.Awaiting} {
		_, _, err := b.store.ChangeState(t.Context(), "acme", "main", false, func(now connstate.Status) (connstate.Status, connstate.Verdict, error) {
			return connstate.DefaultRules().Next(now, connstate.Change{To: state, Cause: "TEST", Actor: "aoi", At: b.clock.Now()})
		})
		require.NoError(t, err)
	}
	require.Equal(t, 1, b.looks(t, b.replica()), "only the other one")
}

func TestConfigNamesTheKeyThatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, diagnose.DefaultConfig().Validate())
	for key, spoil := range map[string]func(*diagnose.Config){
		"questions.timeout": func(c *diagnose.Config) { c.Questions.Timeout = 0 }, "questions.parallel": func(c *diagnose.Config) { c.Questions.Parallel = 0 },
		"every": func(c *diagnose.Config) { c.Every = 0 }, "jitter": func(c *diagnose.Config) { c.Jitter = 1 },
		"recheck_min": func(c *diagnose.Config) { c.RecheckMin = 0 }, "tick": func(c *diagnose.Config) { c.Tick = 0 }, "batch": func(c *diagnose.Config) { c.Batch = 0 },
	} {
		c := diagnose.DefaultConfig()
		spoil(&c)
		require.ErrorContains(t, c.Validate(), key)
	}
}
