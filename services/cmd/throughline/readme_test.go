package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/apply"
)

var (
	yamlBlock    = regexp.MustCompile("(?s)```yaml\n# ([a-z]+\\.yaml)\n(.*?)```")
	anyYAMLBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

// readmeFiles returns the YAML files that the README shows, by name.
func readmeFiles(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	files := map[string]string{}
	for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		files[m[1]] = m[2]
	}
	return files
}

func TestTheReadmesConfigurationIsOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "throughline.yaml")
	require.NoError(t, os.WriteFile(path, []byte(readmeFiles(t)["throughline.yaml"]), 0o600))
	src := sources{file: path}
	cfg, err := src.load()
	require.NoError(t, err)
	require.Equal(t, []string{"kafka-1.internal:9093", "kafka-2.internal:9093"}, cfg.Kafka.Brokers)
	require.Equal(t, 24, cfg.Topics.Partitions)
	require.Equal(t, "viewing-events", cfg.Ingest.Sources[0].Topic)
	require.NotEqual(t, app.DefaultConfig().Config.Database, cfg.Config.Database)
}

func TestTheConfigurationOfAccessIsOne(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/access.md")
	require.NoError(t, err)
	blocks := anyYAMLBlock.FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 3)
	load := func(block string) *app.Config {
		path := filepath.Join(t.TempDir(), "throughline.yaml")
		require.NoError(t, os.WriteFile(path, []byte(block), 0o600))
		cfg, err := (&sources{file: path}).load()
		require.NoError(t, err)
		return cfg
	}
	docs, err := apply.Parse("key.yaml", []byte(blocks[2][1]))
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.Len(t, docs[0].Setting.(*configv1.ApiKey).GetScopes(), 2)
	require.Equal(t, []string{"ConfigService/Watch"}, load(blocks[1][1]).Config.Callers[0].Calls)
	cfg := load(blocks[0][1])
	require.NoError(t, cfg.Config.Validate())
	require.NoError(t, cfg.Settings.Validate())
	require.Empty(t, cfg.Settings.TokenFile)
	require.Equal(t, "throughline", cfg.Config.Access.OIDC.ClientID)
	require.Equal(t, "writer.throughline.internal", cfg.Config.Callers[1].Certificate)
}

func TestTheReadmesSettingsAreSettings(t *testing.T) {
	t.Setenv("SALESFORCE_SECRET", "from-the-environment")
	data, err := expandEnv("acme.yaml", []byte(readmeFiles(t)["acme.yaml"]))
	require.NoError(t, err)
	require.Contains(t, string(data), "from-the-environment")
	docs, err := apply.Parse("acme.yaml", data)
	require.NoError(t, err)
	require.Len(t, docs, 4)
}

func TestAMissingVariableIsNamed(t *testing.T) {
	t.Parallel()
	_, err := expandEnv("a.yaml", []byte("secret: ${THROUGHLINE_TEST_SURELY_NOT_SET}\nprice: $5 ${}"))
	require.ErrorContains(t, err, "THROUGHLINE_TEST_SURELY_NOT_SET")
}

func TestEveryCommandTeachesByExample(t *testing.T) {
	t.Parallel()
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Example, cmd.CommandPath())
		require.False(t, strings.HasSuffix(cmd.Short, "."), cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(newRoot())
}

func TestTheConfigurationsOfOperationsAreOnes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	loaded := 0
	for _, block := range regexp.MustCompile("(?s)\n```yaml\n(config:.*?)```").FindAllStringSubmatch(string(text), -1) {
		path := filepath.Join(t.TempDir(), "throughline.yaml")
		require.NoError(t, os.WriteFile(path, []byte(block[1]), 0o600))
		_, err := (&sources{file: path}).load()
		require.NoError(t, err, block[1])
		loaded++
	}
	require.Equal(t, 3, loaded, "connect, notices, plans")
}
