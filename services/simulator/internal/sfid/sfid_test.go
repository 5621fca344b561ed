package sfid_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

func TestLong(t *testing.T) {
	t.Parallel()

	t.Run("AddsTheDocumentedChecksum", func(t *testing.T) {
		t.Parallel()
		for _, id := range []string{"00QSM000000pQrS2AU", "005SM000000aBcDYAU", "00DSM0000004cTa2AI", "00TSM000000tUvW2AU"} {
			long, err := sfid.Long(id[:15])
			require.NoError(t, err)
			require.Equal(t, id, long)
		}
	})

	t.Run("RefusesWhatIsNoID", func(t *testing.T) {
		t.Parallel()
		for _, id := range []string{"", "abc", "00QSM000000pQr_", "00QSM000000pQrS2AX", "00QSM000000pQrS2A"} {
			_, err := sfid.Long(id)
			require.ErrorIs(t, err, sfid.ErrMalformed, id)
		}
	})
}

func TestNewIDsAreWellFormedAndDistinct(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Uint64Range(0, 1<<50).Draw(t, "num")
		pod := sfid.Pod(rapid.IntRange(0, 3843).Draw(t, "ordinal"))
		id := sfid.New("00Q", pod, num)
		if long, err := sfid.Long(sfid.Short(id)); err != nil || long != id {
			t.Fatalf("Long(Short(%q)) = %q, %v", id, long, err)
		}
		if next := sfid.New("00Q", pod, num+1); next == id {
			t.Fatalf("two numbers have the id %q", id)
		}
	})
}
