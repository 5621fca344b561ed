package refusals_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/stage"
	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	"github.com/throughline-dev/throughline/services/writer/internal/ledger"
	"github.com/throughline-dev/throughline/services/writer/internal/refusals"
)

// save puts what an action is now into the state.
func (b *bundle) save(state *stage.Table, a refusals.Action) {
	b.t.Helper()
	entry, err := b.Entry(a, b.now)
	require.NoError(b.t, err)
	if entry.Value == nil {
		state.Delete(entry.Key)
		return
	}
	state.Put(entry.Key, entry.Value)
}

func TestPausesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-39")

	t.Run("TheNextOwnerGoesOnPausing", func(t *testing.T) {
		t.Parallel()
		b, state := setup(t), stage.NewTable()
		b.pause(views)
		b.save(state, views)
		next := setup(t)
		require.Equal(t, []refusals.Action{views}, next.Restore(state, next.now))
		require.Equal(t, b.State(views, b.now), next.State(views, b.now), "reason, counts and time are the same")
		require.Zero(t, next.Room(views, b.now))
		next.now = b.now.Add(15 * time.Minute)
		require.Equal(t, 20, next.admitted(views, 30), "then some are tried")
		next.ended(views, 20, fine)
		require.True(t, next.State(views, next.now).Open)
		next.save(state, views)
		require.Empty(t, setup(t).Restore(state, next.now), "what goes on is forgotten")
	})

	t.Run("AClockThatWasAheadPausesNobodyForLonger", func(t *testing.T) {
		t.Parallel()
		b, state := setup(t), stage.NewTable()
		b.now = b.now.Add(24 * time.Hour)
		b.pause(views)
		b.save(state, views)
		next := setup(t)
		require.Len(t, next.Restore(state, next.now), 1)
		require.False(t, next.State(views, next.now).Open)
		next.now = next.now.Add(refusals.DefaultConfig().Pause)
		require.True(t, next.State(views, next.now).Open)
	})

	t.Run("TheFormerOwnerForgets", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		other := views
		other.Connection = "other"
		b.pause(views)
		b.pause(other)
		b.Leave("acme", "main")
		require.True(t, b.State(views, b.now).Open)
		require.False(t, b.State(other, b.now).Open)
		b.Leave("acme", "other")
		b.Each(func(a refusals.Action) { t.Errorf("%v is still told of", a) })
	})

	t.Run("WhatIsSavedIsRightWhateverIsInMemory", func(t *testing.T) {
		t.Parallel()
		b, state := setup(t), stage.NewTable()
		b.pause(views)
		b.save(state, views)
		b.now = b.now.Add(15 * time.Minute)
		require.Equal(t, 20, b.admitted(views, 30))
		require.Len(t, b.Restore(state, b.now), 1)
		require.Equal(t, 20, b.admitted(views, 30), "the trial begins anew, and there is still one action")
		b.Leave("acme", "main")
		require.True(t, b.State(views, b.now).Open)
	})

	t.Run("ItsEntryIsForgottenWithOldEntries", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.pause(views)
		entry, err := b.Entry(views, b.now)
		require.NoError(t, err)
		require.False(t, ledger.Expired(entry.Value, b.now))
		require.True(t, ledger.Expired(entry.Value, b.now.Add(time.Second)))
	})

	t.Run("WhatCannotBeReadIsLeftAlone", func(t *testing.T) {
		t.Parallel()
		b, state := setup(t), stage.NewTable()
		newer, err := proto.Marshal(&statev1.LedgerEntry{Version: 2, Connection: "main", Pause: &statev1.ActionPause{}})
		require.NoError(t, err)
		state.Put("!pause/acme/main/views/3/Task", newer)
		state.Put("!pause/acme/main/calls/3/Task", []byte("\xff"))
		state.Put("acme/main/key", nil)
		require.Empty(t, b.Restore(state, b.now))
	})

	t.Run("NoMoreThanFit", func(t *testing.T) {
		t.Parallel()
		b, state := setup(t), stage.NewTable()
		for _, version := range []int64{1, 2, 3} {
			a := views
			a.Version = version
			b.pause(a)
			b.save(state, a)
		}
		small := setup(t, func(c *refusals.Config) { c.MaxActions = 2 })
		require.Len(t, small.Restore(state, small.now), 2)
	})
}
