package config_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/config"
)

// TestStartAndStopStress starts the whole service, pages, sweeps and diagnosis included, and stops it at any moment, or never
// starts it.
func TestStartAndStopStress(t *testing.T) {
	t.Parallel()
	b := prepare(t)
	b.cfg.Connect.Listen = "127.0.0.1:0"
	for n := range 30 {
		svc, err := config.New(b.cfg, b.deps)
		require.NoError(t, err)
		require.NotEmpty(t, svc.ConnectAddr())
		if n%3 == 0 {
			require.NoError(t, svc.Close(), "never run")
			require.NoError(t, svc.Close(), "closed twice")
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- svc.Run(ctx) }()
		if n%3 == 1 {
			require.Eventually(t, func() bool { return svc.Ready() == nil }, time.Minute, time.Millisecond)
		}
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, svc.Close())
	}
}
