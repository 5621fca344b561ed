package wire_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	statev1 "github.com/throughline-dev/throughline/proto/throughline/state/v1"
	"github.com/throughline-dev/throughline/services/visits/visit"
	"github.com/throughline-dev/throughline/services/visits/wire"
)

func rules() visit.Rules { return visit.Rules{ViewSeconds: 5, ViewPercent: 75} }

// full returns a visit that has had every kind of activity.
func full(t testing.TB) *visit.Visit {
	t.Helper()
	v := new(visit.Visit)
	v.Reset("visit", "acme", "0190b6c1-7e5f-7d6a-9a43-3f0a5d9a4c12")
	for i, detail := range details() {
		a := new(visit.Activity)
		require.NoError(t, wire.ReadActivity(encode(t, activity(detail)), a))
		a.EventHash, a.Offset, a.Arrival, a.TraceParent = uint64(i), int64(i), noon.Add(time.Duration(i)*time.Second), []byte("trace")
		require.True(t, v.Apply(a, visit.DefaultLimits()).Applied)
	}
	return v
}

func TestState(t *testing.T) {
	t.Parallel()

	t.Run("ComesBackAsItWas", func(t *testing.T) {
		t.Parallel()
		want := full(t)
		want.SentRevision, want.SentAt = 4, noon
		want.Close()
		value, err := wire.EncodeState(want, wire.Visit(want, rules()))
		require.NoError(t, err)
		got := new(visit.Visit)
		require.NoError(t, wire.DecodeState("visit", value, got))
		require.Equal(t, want, got)
	})

	t.Run("LeavesTheMessageWhole", func(t *testing.T) {
		t.Parallel()
		v := full(t)
		m := wire.Visit(v, rules())
		_, err := wire.EncodeState(v, m)
		require.NoError(t, err)
		require.True(t, proto.Equal(wire.Visit(v, rules()), m))
	})

	t.Run("RefusesANewerVersion", func(t *testing.T) {
		t.Parallel()
		value, err := proto.Marshal(&statev1.OpenVisit{Version: wire.StateVersion + 1})
		require.NoError(t, err)
		var newer *wire.VersionError
		require.ErrorAs(t, wire.DecodeState("visit", value, new(visit.Visit)), &newer)
		require.ErrorContains(t, newer, "run the newer program")
	})
}

func FuzzDecodeState(f *testing.F) {
	v := full(f)
	value, err := wire.EncodeState(v, wire.Visit(v, rules()))
	require.NoError(f, err)
	f.Add(value)
	f.Fuzz(func(t *testing.T, value []byte) {
		v := new(visit.Visit)
		if wire.DecodeState("visit", value, v) != nil {
			return
		}
		again, err := wire.EncodeState(v, wire.Visit(v, rules()))
		require.NoError(t, err)
		require.NoError(t, wire.DecodeState("visit", again, new(visit.Visit)))
	})
}
