package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
)

func TestAProcessNamesWhatTravelsInTheClear(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	cfg := DefaultConfig()
	cfg.Console.Listen = "127.0.0.1:8090"
	all := []string{"config", "console", "ingest", "writer"}
	require.Empty(t, cfg.inTheClear(all), "nothing leaves this machine")

	cfg.Kafka.Plaintext, cfg.Config.Plaintext, cfg.Config.Database.PostgresPlaintext = true, true, true
	cfg.Config.Database.PostgresDSN = secret.New("postgres://db.example/x")
	cfg.Telemetry.OTLPEndpoint, cfg.Telemetry.OTLPInsecure = "collector:4317", true
	cfg.Settings.Target, cfg.Settings.Plaintext = "config:9090", true
	cfg.Ingest.HTTP.Addr, cfg.Console.Listen = ":8080", ":8090"
	require.Equal(t, []string{
		"kafka.plaintext", "telemetry.otlp_insecure", "settings.plaintext", "config.plaintext", "config.database.postgres_plaintext",
		"ingest.http.addr", "console.listen",
	}, cfg.inTheClear(all))
	require.Equal(t, []string{"kafka.plaintext", "telemetry.otlp_insecure", "settings.plaintext"}, cfg.inTheClear([]string{"writer"}))

	cfg.Kafka.TLS.Enabled, cfg.Settings.TLS.Enabled, cfg.Config.TLS.CertFile, cfg.Ingest.HTTP.CertFile = true, true, "c", "c"
	cfg.Telemetry.OTLPInsecure, cfg.Config.Database.PostgresPlaintext = false, false
	require.Equal(t, []string{"console.listen"}, cfg.inTheClear(all), "only a proxy can end TLS before it")
}
