package outgoing_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage/stagetest"
	"github.com/throughline-dev/throughline/services/config/configtest"
	"github.com/throughline-dev/throughline/services/config/internal/outgoing"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const (
	first  = "203.0.113.0/28"
	second = "198.51.100.0/28"
)

type testBundle struct {
	t     *testing.T
	store *store.Store
	clock *stagetest.ManualClock
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), configtest.Database(t, filepath.Join(t.TempDir(), "config.db")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &testBundle{t, s, stagetest.NewClock(epoch)}
}

// start is a start of the service with a configuration.
func (b *testBundle) start(current []string, changes ...outgoing.Change) (*outgoing.Networks, error) {
	b.t.Helper()
	return outgoing.New(b.t.Context(), current, changes, b.store, b.clock)
}

func day(t time.Time) string { return t.Format(time.RFC3339) }

func TestAChangeIsAnnouncedThirtyDaysAhead(t *testing.T) {
	t.Attr("requirement", "IMM-4")
	t.Parallel()
	b := setup(t)
	_, err := b.start([]string{first})
	require.NoError(t, err, "the first ones need no announcement")

	from := epoch.Add(outgoing.Ahead)
	soon := outgoing.Change{Network: second, From: day(from.Add(-time.Second))}
	_, err = b.start([]string{first}, soon)
	require.ErrorContains(t, err, "outgoing_changes[0].from", "nearer than 30 days")
	_, err = b.start([]string{first, second})
	require.ErrorContains(t, err, "outgoing_addresses[1]: "+second+" was never announced")

	n, err := b.start([]string{first}, outgoing.Change{Network: second, From: day(from)})
	require.NoError(t, err)
	require.Equal(t, []string{first}, n.InUse())
	require.Equal(t, second, n.Announced()[0].GetNetwork())
	require.Equal(t, from, n.Announced()[0].GetFrom().AsTime())

	b.clock.Advance(20 * 24 * time.Hour)
	_, err = b.start([]string{first}, outgoing.Change{Network: second, From: day(from)})
	require.NoError(t, err, "a restart in between is no new announcement")
	_, err = b.start([]string{first}, outgoing.Change{Network: second, From: day(b.clock.Now())})
	require.ErrorContains(t, err, "outgoing_changes[0].from", "it cannot be moved forward")
	_, err = b.start([]string{first, second})
	require.ErrorContains(t, err, "outgoing_addresses[1]: "+second+" was announced for")

	b.clock.Advance(10 * 24 * time.Hour)
	require.Equal(t, []string{first, second}, n.InUse(), "the day has come")
	require.Empty(t, n.Announced())
	_, err = b.start([]string{second, first})
	require.NoError(t, err)
	_, err = b.start([]string{second})
	require.NoError(t, err, "one less harms nobody")
}

func TestWhatIsNoNetworkIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, outgoing.Change{Network: first, From: "2027-03-01"}.Validate())
	for key, c := range map[string]outgoing.Change{
		"network": {Network: "203.0.113.1/28", From: "2027-03-01"}, "from": {Network: first, From: "soon"},
	} {
		require.ErrorContains(t, c.Validate(), key)
	}
}
