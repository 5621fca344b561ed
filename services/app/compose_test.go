package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/libs/conf"
	"github.com/throughline-dev/throughline/services/app"
)

// root is the repository, where the compose file is.
const root = "../.."

// composition is what these tests read of docker-compose.yml.
type composition struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment map[string]string
		Volumes     []string
		Ports       []string
		Healthcheck map[string]any
		DependsOn   map[string]any `yaml:"depends_on"`
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

func loadComposition(t *testing.T) composition {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	var c composition
	require.NoError(t, yaml.Unmarshal(data, &c))
	return c
}

func loadComposeConfig(t *testing.T) app.Config {
	t.Helper()
	cfg := app.DefaultConfig()
	require.NoError(t, conf.Load(&cfg, conf.Sources{File: filepath.Join(root, "deploy/compose/throughline.yaml")}))
	return cfg
}

func TestTheComposeConfigurationSuitsEveryService(t *testing.T) {
	t.Parallel()
	cfg := loadComposeConfig(t)
	for name, err := range map[string]error{
		"kafka": cfg.Kafka.Validate(), "settings": cfg.Settings.Validate(), "config": cfg.Config.Validate(),
		"console": cfg.Console.Validate(), "ingest": cfg.Ingest.Validate(),
	} {
		require.NoError(t, err, name)
	}
	require.True(t, cfg.Topics.CreateSources)
	require.Len(t, cfg.Ingest.Sources, 1)
}

func TestTheComposeFileRunsEveryServiceOnItsOwn(t *testing.T) {
	t.Parallel()
	c := loadComposition(t)
	var served []string
	for name, s := range c.Services {
		if len(s.Command) == 2 && s.Command[0] == "serve" {
			require.Equal(t, name, s.Command[1], "a service is found under its own name")
			served = append(served, name)
			require.Contains(t, s.DependsOn, "init")
			require.NotEmpty(t, s.Healthcheck, name)
		}
	}
	require.ElementsMatch(t, app.Names(), served)
}

func TestTheComposeFileMountsAndPublishesWhatIsThere(t *testing.T) {
	t.Parallel()
	c := loadComposition(t)
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(source, ".") {
				_, err := os.Stat(filepath.Join(root, source))
				require.NoError(t, err, name)
			} else {
				require.Contains(t, c.Volumes, source, name)
			}
		}
		for _, p := range s.Ports {
			require.True(t, strings.HasPrefix(p, "127.0.0.1:"), "%s publishes %s beyond this machine", name, p)
		}
	}
	for name, s := range c.Secrets {
		require.FileExists(t, filepath.Join(root, s.File), name)
	}
}

func TestTheImageIsBuiltWithTheGoOfTheWorkspace(t *testing.T) {
	t.Parallel()
	work, err := os.ReadFile(filepath.Join(root, "go.work"))
	require.NoError(t, err)
	version, _, _ := strings.Cut(strings.TrimPrefix(string(work), "go "), "\n")
	dockerfile, err := os.ReadFile(filepath.Join(root, "deploy/Dockerfile"))
	require.NoError(t, err)
	require.Contains(t, string(dockerfile), "FROM golang:"+version+" AS build\n", "the official images do not fetch another Go")
}

func TestTheDashboardIsOneThatGrafanaReads(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(root, "deploy/compose/grafana/dashboards/throughline.json"))
	require.NoError(t, err)
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
			GridPos struct{ X, W int }
		}
	}
	require.NoError(t, json.Unmarshal(data, &dashboard))
	require.NotEmpty(t, dashboard.UID)
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.NotEmpty(t, p.Targets, p.Title)
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
	}
}

func TestTheComposeFileHasTheAddressesOfItsConfiguration(t *testing.T) {
	t.Parallel()
	c, cfg := loadComposition(t), loadComposeConfig(t)
	published := func(service, listen string) {
		require.True(t, slices.ContainsFunc(c.Services[service].Ports, func(p string) bool { return strings.HasSuffix(p, listen) }),
			"%s listens on %s, which is not published", service, listen)
	}
	published("ingest", cfg.Ingest.HTTP.Addr)
	published("console", cfg.Console.Listen)
	published("config", cfg.Config.HTTP)
	require.Equal(t, "config"+cfg.Config.Listen, cfg.Settings.Target)
	require.Equal(t, []string{"kafka:9092"}, cfg.Kafka.Brokers)
	require.Contains(t, c.Services["kafka"].Environment["KAFKA_ADVERTISED_LISTENERS"], "INTERNAL://kafka:9092")
	for _, host := range append(cfg.Config.TrustedHosts, cfg.Orgs.Salesforce.TrustedHosts...) {
		require.Contains(t, c.Services, host)
	}
	require.Equal(t, "http://simulator:8700/orgs/acme", c.Services["writer"].Environment["SALESFORCE_URL"])
}
