package flow_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/flow"
)

// offsets answers the n-th question about lags with the n-th number, and with 0 from then on.
type offsets struct {
	behind []int64
	asked  int
	err    error
}

func (o *offsets) Lag(context.Context, string, string) ([]kafka.PartitionLag, error) {
	o.asked++
	if o.asked > len(o.behind) {
		return []kafka.PartitionLag{{Committed: 7, End: 7}}, o.err
	}
	return []kafka.PartitionLag{{Committed: 7, End: 7 + o.behind[o.asked-1]}, {Partition: 1, Committed: 3, End: 3}}, o.err
}

func TestAwaitQuiet(t *testing.T) {
	t.Parallel()
	hops := []flow.Hop{{Group: "g", Topic: "t"}}

	t.Run("WaitsUntilNothingIsOnItsWayTwiceInARow", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := &offsets{behind: []int64{3, 0, 1, 0, 0}}
			require.NoError(t, flow.AwaitQuiet(t.Context(), o, hops))
			require.Equal(t, 5, o.asked)
		})
	})

	t.Run("EndsWithItsContext", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			behind := make([]int64, 100)
			for i := range behind {
				behind[i] = 1
			}
			require.ErrorIs(t, flow.AwaitQuiet(ctx, &offsets{behind: behind}, hops), context.DeadlineExceeded)
		})
	})

	t.Run("SaysWhoseLagCannotBeRead", func(t *testing.T) {
		t.Parallel()
		_, err := flow.Lags(t.Context(), &offsets{err: errors.New("no broker")}, hops)
		require.ErrorContains(t, err, "g on t")
	})
}
