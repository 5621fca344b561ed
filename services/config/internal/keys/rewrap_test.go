package keys_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/keys"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// memory is a store of one connection's credentials and one workspace's keys.
type memory struct {
	mu      sync.Mutex
	rows    []store.SealedRow
	raised  int
	looks   int
	failing error
}

func (m *memory) SealedRows(_ context.Context, table store.SealedTable, _ store.Key, _ int) ([]store.SealedRow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if table == store.SealedDocuments {
		m.looks++
	}
	return slices.DeleteFunc(slices.Clone(m.rows), func(row store.SealedRow) bool { return row.Table != table }), m.failing
}

func (m *memory) ReplaceSealed(_ context.Context, row store.SealedRow, next []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range m.rows {
		if m.rows[n].Key == row.Key && bytes.Equal(m.rows[n].Sealed, row.Sealed) {
			m.rows[n].Sealed = next
			return true, nil
		}
	}
	return false, nil
}

func (m *memory) RaiseRevision(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raised++
	return nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = err
}

func (m *memory) counts() (looks, raised int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looks, m.raised
}

type testBundle struct {
	memory *memory
	file   seal.File
	inst   *seal.Installation
	logs   *bytes.Buffer
	logger *slog.Logger
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{memory: &memory{}, file: seal.File{Path: filepath.Join(t.TempDir(), "installation.key")}, logs: &bytes.Buffer{}}
	b.logger = slog.New(slog.NewTextHandler(b.logs, nil))
	var err error
	b.inst, err = b.file.LoadOrCreate(epoch)
	require.NoError(t, err)
	wrapped, err := b.inst.NewKeys("acme")
	require.NoError(t, err)
	sealed, err := tokens.SealCredentials(b.inst, &configv1.Connection{Workspace: "acme", Id: "main"})
	require.NoError(t, err)
	flow, err := b.inst.Seal([]byte("a login"), consent.FlowContext("acme", "f1"))
	require.NoError(t, err)
	revocation, err := b.inst.Seal([]byte("a token to be revoked"), lifecycle.RevocationContext("acme", "r1"))
	require.NoError(t, err)
	b.memory.rows = []store.SealedRow{
		{Table: store.SealedFlows, Key: store.Key{Workspace: "acme", Kind: store.Kind(store.SealedFlows), ID: "f1"}, Sealed: flow},
		{Table: store.SealedRevocations, Key: store.Key{Workspace: "acme", Kind: store.Kind(store.SealedRevocations), ID: "r1"}, Sealed: revocation},
		{Table: store.SealedDocuments, Key: store.Key{Workspace: "acme", Kind: store.KindConnection, ID: "main"}, Sealed: sealed},
		{Table: store.SealedDocuments, Key: store.Key{Workspace: "acme", Kind: store.KindWorkspace, ID: "acme"}, Sealed: wrapped},
	}
	return b
}

func (b *testBundle) promote(t *testing.T) {
	t.Helper()
	id, err := b.file.AddKey(epoch)
	require.NoError(t, err)
	require.NoError(t, b.file.Promote(id, epoch))
	_, err = b.inst.Reload()
	require.NoError(t, err)
}

// run runs a rewrapper until the function returned is called.
func (b *testBundle) run(t *testing.T) (stop func()) {
	t.Helper()
	r := keys.New(keys.DefaultConfig(), keys.Deps{Store: b.memory, Installation: b.inst, Logger: b.logger})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// old counts values that another key than the primary one has sealed.
func (b *testBundle) old() int {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	n := 0
	for _, row := range b.memory.rows {
		id, _ := seal.KeyOf(row.Sealed)
		if row.Kind == store.KindWorkspace {
			id, _ = seal.KeyOfKeys(row.Sealed)
		}
		if id != b.inst.Primary() {
			n++
		}
	}
	return n
}

func TestItSealsAnewAsSoonAsTheProcessHasTheNewKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	synctest.Test(t, func(t *testing.T) {
		stop := b.run(t)
		defer stop()
		synctest.Wait()
		pass(30 * time.Minute)
		looks, raised := b.memory.counts()
		require.Equal(t, []int{1, 0}, []int{looks, raised}, "there is nothing to do, and no rotation to finish")
		b.promote(t)
		require.Equal(t, 4, b.old())
		pass(11 * time.Second)
		synctest.Wait()
		require.Zero(t, b.old())
		_, raised = b.memory.counts()
		require.Equal(t, 1, raised)
		pass(2 * time.Hour)
		synctest.Wait()
		looks, _ = b.memory.counts()
		require.Equal(t, 4, looks, "and every hour")
	})
}

func TestAFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	synctest.Test(t, func(t *testing.T) {
		b.promote(t)
		b.memory.fail(errors.New("the database is away"))
		stop := b.run(t)
		synctest.Wait()
		require.Equal(t, 4, b.old())
		b.memory.fail(nil)
		pass(11 * time.Second)
		synctest.Wait()
		require.Zero(t, b.old())
		stop()
		require.Contains(t, b.logs.String(), "the database is away")
	})
}

// An earlier process may have ended between sealing anew and saying so.
func TestAStartTellsWatchersOfARotationThatMayNotHaveBeenTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	synctest.Test(t, func(t *testing.T) {
		b.promote(t)
		b.run(t)()
		_, raised := b.memory.counts()
		require.Positive(t, raised)
		before := raised
		b.run(t)()
		_, raised = b.memory.counts()
		require.Equal(t, before+1, raised)
	})
}

func TestWhatDoesNotOpenIsNamedInTheLogAndNotShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.memory.rows[2].Sealed = []byte("\x01damaged-credentials")
	synctest.Test(t, func(t *testing.T) {
		stop := b.run(t)
		synctest.Wait()
		stop()
	})
	require.Contains(t, b.logs.String(), "workspace=acme kind=connection id=main")
	require.NotContains(t, b.logs.String(), "damaged")
}

func TestStartsAndStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			var wg sync.WaitGroup
			for range 3 { // replicas
				stop := b.run(t)
				wg.Go(stop)
			}
			wg.Wait()
		}
	})
	require.Zero(t, b.old())
}
