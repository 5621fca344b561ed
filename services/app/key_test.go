package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/seal/kms/kmstest"
	"github.com/throughline-dev/throughline/services/app"
)

func TestAProcessNeverMakesAnInstallationKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg := app.DefaultConfig()
	cfg.Admin.Listen, cfg.InstallationKeyFile = "", filepath.Join(t.TempDir(), "not mounted", "installation.key")
	_, err := app.New(t.Context(), &cfg, []string{"ingest"}, app.Options{})
	require.ErrorContains(t, err, "installation_key_file")
	require.ErrorContains(t, err, "throughline init")
	_, err = os.Stat(filepath.Dir(cfg.InstallationKeyFile))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheInstallationKeyMayBeWrappedByAKeyService(t *testing.T) {
	t.Parallel()
	vault := kmstest.NewVault(t, "throughline")
	cfg := app.DefaultConfig()
	cfg.Admin.Listen, cfg.InstallationKeyFile = "", filepath.Join(t.TempDir(), "installation.key")
	cfg.KeyService = vault.Config(t)
	file, err := cfg.KeyFile()
	require.NoError(t, err)
	_, err = file.LoadOrCreate(time.Now())
	require.NoError(t, err)
	start := func() error {
		p, err := app.New(t.Context(), &cfg, []string{"visits"}, app.Options{})
		if err != nil {
			return err
		}
		return p.Close(t.Context())
	}
	require.NoError(t, start())

	vault.Refuse(http.StatusForbidden)
	require.ErrorContains(t, start(), "403", "a process that the key service does not let in does not start")
	vault.Refuse(0)
	cfg.KeyService.KeyURI = ""
	require.ErrorContains(t, start(), "key service", "nor one that does not know of it")
}
