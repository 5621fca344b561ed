package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
	"github.com/throughline-dev/throughline/services/config/internal/diagnose"
	"github.com/throughline-dev/throughline/services/config/internal/lifecycle"
	"github.com/throughline-dev/throughline/services/config/internal/outgoing"
)

// Connect bounds how orgs are connected and looked after.
type Connect struct {
	// Listen is the address of the pages that browsers meet on their way to Salesforce and back; empty: none, and nobody can
	// log in. Behind it is plain HTTP unless TLS names a certificate; beyond loopback a proxy must speak https.
	Listen string `yaml:"listen"`
	// PublicURL is how browsers reach Listen, e.g. https://throughline.example; its /oauth/callback is to be registered with
	// apps. Empty: Listen itself, on loopback only.
	PublicURL string `yaml:"public_url"`
	// App is the platform's own app, for workspaces that bring none.
	App PlatformApp `yaml:"app"`
	// LoginDomains are further ends of hosts where logins may begin, for government and regional clouds: .my.salesforce.mil.
	LoginDomains []string `yaml:"login_domains"`
	// OutgoingAddresses are the networks that calls to Salesforce come from, e.g. 203.0.113.0/28, for orgs that restrict
	// addresses. They are only published; the network must see to it that calls leave through them.
	OutgoingAddresses []string `yaml:"outgoing_addresses"`
	// OutgoingChanges are networks that calls will come from as well, each at least 30 days after it was listed here first.
	OutgoingChanges []OutgoingChange `yaml:"outgoing_changes"`
	// RequestsPerSecond bounds the pages for everybody together; twice as many may come at once.
	RequestsPerSecond int `yaml:"requests_per_second"`
	// Logins bounds attempts at connecting.
	Logins Logins `yaml:"logins"`
	// Revoking bounds how tokens are revoked that are not wanted any more.
	Revoking Revoking `yaml:"revoking"`
	// SweepEvery is how often expired attempts and tokens to be revoked are looked for.
	SweepEvery time.Duration `yaml:"sweep_every"`
	// Flapping damps connections that recover and fail again and again.
	Flapping Flapping `yaml:"flapping"`
	// Diagnosis says what is demanded of orgs and when they are asked.
	Diagnosis Diagnosis `yaml:"diagnosis"`
}

// PlatformApp is the platform's own connected app or external client app.
type PlatformApp struct {
	// ClientID is its consumer key; empty: there is none.
	ClientID string `yaml:"client_id"`
	// ClientSecret is its consumer secret; or name a file that holds it, which is read at the start.
	ClientSecret secret.String `yaml:"client_secret"`
	// ClientSecretFile holds the consumer secret; a trailing newline is cut.
	ClientSecretFile string `yaml:"client_secret_file"`
}

// The parts that packages below define.
type (
	// Flapping damps connections that recover and fail again and again.
	Flapping = connstate.Rules
	// Logins bounds attempts at connecting.
	Logins = consent.Config
	// Revoking bounds how tokens are revoked.
	Revoking = lifecycle.RevokeConfig
	// Diagnosis says what is demanded of orgs and when they are asked.
	Diagnosis = diagnose.Config
	// OutgoingChange is a network that calls to Salesforce will come from.
	OutgoingChange = outgoing.Change
)

// DefaultConnect serves no pages; everything else has its default.
func DefaultConnect() Connect {
	return Connect{
		RequestsPerSecond: 20, Logins: consent.DefaultConfig(), Revoking: lifecycle.DefaultRevokeConfig(), SweepEvery: time.Minute,
		Flapping: connstate.DefaultRules(), Diagnosis: diagnose.DefaultConfig(),
	}
}

// Validate names the key that is wrong.
func (c Connect) Validate() error {
	var errs []error
	if c.Listen != "" && c.PublicURL == "" && !isLoopback(c.Listen) {
		errs = append(errs, errors.New("public_url: say how browsers reach listen, e.g. https://throughline.example"))
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
			errs = append(errs, errors.New("public_url: want scheme and host only, e.g. https://throughline.example"))
		case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(net.JoinHostPort(u.Hostname(), "0"))):
			errs = append(errs, errors.New("public_url: want https; Salesforce sends codes there"))
		}
	}
	if (c.App.ClientID == "") != (c.App.ClientSecret.IsEmpty() && c.App.ClientSecretFile == "") {
		errs = append(errs, errors.New("app.client_id, app.client_secret: set both or neither"))
	}
	for i, network := range c.OutgoingAddresses {
		if err := outgoing.CheckNetwork(network); err != nil {
			errs = append(errs, fmt.Errorf("outgoing_addresses[%d]: %w", i, err))
		}
	}
	for i, change := range c.OutgoingChanges {
		if err := change.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("outgoing_changes[%d].%w", i, err))
		}
	}
	if c.RequestsPerSecond < 1 {
		errs = append(errs, errors.New("requests_per_second: want at least 1"))
	}
	if c.SweepEvery <= 0 {
		errs = append(errs, errors.New("sweep_every: want more than 0"))
	}
	for key, err := range map[string]error{
		"logins": c.Logins.Validate(), "revoking": c.Revoking.Validate(), "flapping": c.Flapping.Validate(),
		"diagnosis": c.Diagnosis.Validate(),
	} {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.%w", key, err))
		}
	}
	return errors.Join(errs...)
}
