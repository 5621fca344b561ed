package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal"
)

// lines counts log records by level.
type lines struct {
	slog.Handler
	errors int
}

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		l.errors++
	}
	return nil
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func TestAProcessFollowsItsKeyFile(t *testing.T) {
	t.Parallel()
	file := seal.File{Path: filepath.Join(t.TempDir(), "installation.key")}
	inst, err := file.LoadOrCreate(time.Now())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		f := &keyFollower{installation: inst, every: 5 * time.Second, logger: slog.New(log)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		id, err := file.AddKey(time.Now())
		require.NoError(t, err)
		require.NoError(t, file.Promote(id, time.Now()))
		<-time.After(6 * time.Second)
		synctest.Wait()
		require.Equal(t, id, inst.Primary())

		good, err := os.ReadFile(file.Path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file.Path, []byte("half of a copy"), 0o600))
		<-time.After(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, log.errors, "said once")
		require.Equal(t, id, inst.Primary())
		require.NoError(t, f.Ready(), "with the keys in memory everything goes on")

		require.NoError(t, os.WriteFile(file.Path, good, 0o600))
		next, err := file.AddKey(time.Now())
		require.NoError(t, err)
		require.NoError(t, file.Promote(next, time.Now()))
		<-time.After(6 * time.Second)
		synctest.Wait()
		require.Equal(t, next, inst.Primary())
		cancel()
		require.NoError(t, <-done)
	})
}
