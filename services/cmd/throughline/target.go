package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// target is the installation that a command for people speaks to: the one a configuration describes, or a demo's folder.
type target struct {
	src sources
	dir string
}

func (t *target) register(cmd *cobra.Command) {
	t.src.register(cmd)
	cmd.Flags().StringVar(&t.dir, "dir", "", "`folder` of a running `throughline run` or `demo`, instead of a configuration")
}

// load returns the configuration, with the administrator's way into the config service.
func (t *target) load() (*app.Config, error) {
	cfg, err := t.src.load()
	if err != nil {
		return nil, err
	}
	if t.dir == "" {
		cfg.Settings.Token, cfg.Settings.TokenFile = secret.String{}, cfg.AdminTokenFile
		return cfg, nil
	}
	data, err := os.ReadFile(filepath.Join(t.dir, "demo.json"))
	if err != nil {
		return nil, fmt.Errorf("--dir: %w; give the folder that `throughline run` printed", err)
	}
	var addresses struct{ Kafka, Config string }
	if err := json.Unmarshal(data, &addresses); err != nil {
		return nil, fmt.Errorf("--dir: %w", err)
	}
	cfg.Kafka.Brokers, cfg.Settings.Target = []string{addresses.Kafka}, addresses.Config
	cfg.Settings.TokenFile = filepath.Join(t.dir, "admin.token")
	cfg.InstallationKeyFile = filepath.Join(t.dir, "installation.key")
	return cfg, nil
}

// dial connects to the config service as an administrator.
func (t *target) dial() (*app.Config, *grpc.ClientConn, error) {
	cfg, err := t.load()
	if err != nil {
		return nil, nil, err
	}
	conn, err := settings.Dial(cfg.Settings, settings.Deps{})
	return cfg, conn, err
}
