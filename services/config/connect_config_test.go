package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/config"
)

func TestConnectConfigNamesTheKeyThatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, config.DefaultConnect().Validate())
	for key, spoil := range map[string]func(*config.Connect){
		"public_url: say":              func(c *config.Connect) { c.Listen = "0.0.0.0:9091" },
		"public_url: want https":       func(c *config.Connect) { c.PublicURL = "http://throughline.example" },
		"public_url: want scheme":      func(c *config.Connect) { c.PublicURL = "https://throughline.example/app" },
		"app.client_id":                func(c *config.Connect) { c.App.ClientID = "key" },
		"outgoing_addresses[0]":        func(c *config.Connect) { c.OutgoingAddresses = []string{"everywhere"} },
		"requests_per_second":          func(c *config.Connect) { c.RequestsPerSecond = 0 },
		"sweep_every":                  func(c *config.Connect) { c.SweepEvery = 0 },
		"logins.login_timeout":         func(c *config.Connect) { c.Logins.LoginTimeout = time.Hour },
		"logins.link_lifetime":         func(c *config.Connect) { c.Logins.LinkLifetime = 0 },
		"revoking.timeout":             func(c *config.Connect) { c.Revoking.Timeout = 0 },
		"flapping.flaps":               func(c *config.Connect) { c.Flapping.Flaps = 0 },
		"diagnosis.every":              func(c *config.Connect) { c.Diagnosis.Every = 0 },
		"diagnosis.questions.parallel": func(c *config.Connect) { c.Diagnosis.Questions.Parallel = 0 },
	} {
		c := config.DefaultConnect()
		spoil(&c)
		require.ErrorContains(t, c.Validate(), key)
	}
	for _, fine := range []func(*config.Connect){
		func(c *config.Connect) { c.Listen = "127.0.0.1:0" },
		func(c *config.Connect) { c.Listen, c.PublicURL = "0.0.0.0:9091", "https://throughline.example" },
		func(c *config.Connect) { c.PublicURL = "http://localhost:9091" },
		func(c *config.Connect) { c.App = config.PlatformApp{ClientID: "key", ClientSecret: secret.New("hush")} },
	} {
		c := config.DefaultConnect()
		fine(&c)
		require.NoError(t, c.Validate())
	}
	cfg := config.DefaultConfig()
	cfg.Connect.SweepEvery = 0
	require.ErrorContains(t, cfg.Validate(), "connect.sweep_every")
}
