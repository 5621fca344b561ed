package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

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
