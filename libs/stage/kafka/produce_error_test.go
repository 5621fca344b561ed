package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a producer is told in the end is why it was refused, not that the last of many attempts was cut short.
func TestTheReasonOutlivesTheTime(t *testing.T) {
	t.Parallel()
	refused, other := errors.New("not authorized"), errors.New("no leader")
	over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	cut := fmt.Errorf("looking up: %w", context.DeadlineExceeded)
	for name, c := range map[string]struct {
		over              bool
		before, err, want error
	}{
		"the only one":                   {true, nil, cut, cut},
		"cut short after a reason":       {true, refused, cut, refused},
		"cut short on the connection":    {true, refused, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, refused},
		"another reason":                 {true, refused, other, other},
		"the request's own time was out": {false, refused, cut, cut},
	} {
		ctx := t.Context()
		if c.over {
			ctx = over
		}
		require.Equal(t, c.want, telling(ctx, c.before, c.err), name)
	}
}
