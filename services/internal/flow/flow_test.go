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

// offsets answers the n-th question about lags with the n-th number, and with 0 from then on. The first questions, until that one, fail
// with err.
type offsets struct {
	behind []int64
	asked  int
	err    error
	until  int
}

func (o *offsets) Lag(context.Context, string, string) ([]kafka.PartitionLag, error) {
	o.asked++
	if o.asked <= o.until {
		return nil, o.err
	}
	if o.asked > len(o.behind) {
		return []kafka.PartitionLag{{Committed: 7, End: 7}}, nil
	}
	return []kafka.PartitionLag{{Committed: 7, End: 7 + o.behind[o.asked-1]}, {Partition: 1, Committed: 3, End: 3}}, nil
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

	t.Run("GoesOnWhenTheBrokerAnswersAgain", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := &offsets{err: errors.New("no answer"), until: 9}
			require.NoError(t, flow.AwaitQuiet(t.Context(), o, hops))
			require.Equal(t, 11, o.asked, "quiet twice after that")
		})
	})

	t.Run("EndsWhenTheBrokerIsGone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := &offsets{err: errors.New("no broker"), until: 1000}
			require.ErrorContains(t, flow.AwaitQuiet(t.Context(), o, hops), "no broker")
		})
	})

	t.Run("SaysWhoseLagCannotBeRead", func(t *testing.T) {
		t.Parallel()
		_, err := flow.Lags(t.Context(), &offsets{err: errors.New("no broker"), until: 1}, hops)
		require.ErrorContains(t, err, "g on t")
	})
}
