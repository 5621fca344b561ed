package leaktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestAGoroutineIsLeftUntilItEnds(t *testing.T) {
	others := goleak.IgnoreCurrent()
	end := make(chan struct{})
	go func() { <-end }()
	require.ErrorContains(t, left(0, others), "TestAGoroutineIsLeftUntilItEnds")
	time.AfterFunc(time.Second, func() { close(end) })
	require.NoError(t, left(within, others), "goleak alone would have given up by then")
}
