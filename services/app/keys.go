package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/libs/seal/kms"
)

// keysModule follows the installation's key in every process.
const keysModule = "keys"

// KeyFile is the file of the installation's key, with the key service that wraps it, if the configuration names one.
func (c *Config) KeyFile() (seal.File, error) {
	wrapper, err := kms.Open(c.KeyService)
	if err != nil {
		return seal.File{}, fmt.Errorf("key_service.%w", err)
	}
	return seal.File{Path: c.InstallationKeyFile, Wrapper: wrapper}, nil
}

// keyFollower is the service that reloads the installation's key.
type keyFollower struct {
	installation *seal.Installation
	every        time.Duration
	logger       *slog.Logger
}

// Run looks at the file until ctx ends.
func (k *keyFollower) Run(ctx context.Context) error {
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		changed, err := k.installation.Reload()
		switch {
		case err != nil && !failing:
			k.logger.ErrorContext(ctx, "the installation's key has changed and cannot be read; going on with the keys in memory", "error", err)
		case err == nil && changed:
			k.logger.InfoContext(ctx, "took up the changed installation key", "primary", k.installation.Primary())
		}
		failing = err != nil
	}
}

// Ready is always nil: with the keys in memory everything works that worked before.
func (k *keyFollower) Ready() error { return nil }

func buildKeys(s *shared) (Service, error) {
	return &keyFollower{installation: s.installation, every: s.cfg.InstallationKeyReload, logger: s.tel.For(keysModule)}, nil
}
