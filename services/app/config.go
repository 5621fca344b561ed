package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/throughline-dev/throughline/libs/seal/kms"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/telemetry"
	"github.com/throughline-dev/throughline/services/config"
	"github.com/throughline-dev/throughline/services/console"
	"github.com/throughline-dev/throughline/services/identity"
	"github.com/throughline-dev/throughline/services/ingest"
	"github.com/throughline-dev/throughline/services/internal/orgs"
	"github.com/throughline-dev/throughline/services/internal/settings"
	"github.com/throughline-dev/throughline/services/mapping"
	"github.com/throughline-dev/throughline/services/sync"
	"github.com/throughline-dev/throughline/services/visits"
	"github.com/throughline-dev/throughline/services/writer"
)

// Config is a process's whole configuration; every service reads its own section.
type Config struct {
	// Telemetry configures logs, traces and metrics.
	Telemetry telemetry.Config `yaml:"telemetry"`
	// Admin serves health, metrics and the configuration in force.
	Admin AdminConfig `yaml:"admin"`
	// StopTimeout bounds how long one service may take to drain.
	StopTimeout time.Duration `yaml:"stop_timeout"`
	// InstallationKeyFile holds the key that wraps all others. `throughline init` makes it.
	InstallationKeyFile string `yaml:"installation_key_file"`
	// InstallationKeyReload is how soon a process takes up a change of that file. Something sealed with a key that it has not
	// seen yet makes it look at once.
	InstallationKeyReload time.Duration `yaml:"installation_key_reload"`
	// KeyService wraps the keys in that file, so that it opens nothing without the service. `throughline keys wrap` moves an
	// existing file there.
	KeyService kms.Config `yaml:"key_service"`
	// Kafka is how to reach the brokers.
	Kafka kafka.Config `yaml:"kafka"`
	// Topics says how `throughline init` creates the pipeline's topics.
	Topics TopicsConfig `yaml:"topics"`
	// Settings is how services reach the config service.
	Settings settings.Config `yaml:"settings"`
	// AdminTokenFile holds the token of an administrator, for the commands that people run: apply, trace, outcomes.
	AdminTokenFile string `yaml:"admin_token_file"`
	// ViewerTokenFile holds the token the console looks with: it may read settings and outcomes and change nothing.
	ViewerTokenFile string `yaml:"viewer_token_file"`
	// Orgs is how services reach Salesforce.
	Orgs orgs.Config `yaml:"orgs"`

	Config   config.Config   `yaml:"config"`
	Console  console.Config  `yaml:"console"`
	Ingest   ingest.Config   `yaml:"ingest"`
	Visits   visits.Config   `yaml:"visits"`
	Identity identity.Config `yaml:"identity"`
	Mapping  mapping.Config  `yaml:"mapping"`
	Writer   writer.Config   `yaml:"writer"`
	Sync     sync.Config     `yaml:"sync"`
}

// AdminConfig is the listener for operators.
type AdminConfig struct {
	// Listen is its address; empty: none.
	Listen string `yaml:"listen"`
}

// TopicsConfig says how topics are created.
type TopicsConfig struct {
	// Partitions of every topic of the pipeline. Equal for all, because people and engagements are joined by partition;
	// fixed for the life of a topic, because revisions are offsets.
	Partitions int `yaml:"partitions"`
	// ReplicationFactor of every topic; 0 leaves it to the brokers.
	ReplicationFactor int `yaml:"replication_factor"`
	// Retention of activities, visits, engagements, resolved, writes and outcomes; at most 30 days (XC-30).
	Retention time.Duration `yaml:"retention"`
	// RawRetention is how long customer topics may keep raw events; at most 14 days. Those topics are the customer's: they get it
	// where create_sources makes them, and `throughline topics` names those that keep longer.
	RawRetention time.Duration `yaml:"raw_retention"`
	// UnresolvedRetention is how long engagements wait for an org that cannot be asked; at most 90 days.
	UnresolvedRetention time.Duration `yaml:"unresolved_retention"`
	// DeadLetterRetention is how long what could not be handled is kept for replay; at most 30 days.
	DeadLetterRetention time.Duration `yaml:"dead_letter_retention"`
	// RowsRetention is how long the rows of reports are kept; a run needs those of its delivery to its end.
	RowsRetention time.Duration `yaml:"rows_retention"`
	// CreateSources also creates the topics of ingest.sources. They are the producers' to create; this is for trying out.
	CreateSources bool `yaml:"create_sources"`
}

// Files that `throughline init` makes.
const (
	defaultInstallationKey = "data/installation.key"
	defaultServiceToken    = "data/service.token"
	defaultAdminToken      = "data/admin.token"
	defaultViewerToken     = "data/viewer.token"
	defaultSnapshot        = "data/settings.snapshot"
)

// DefaultConfig returns the defaults of a process that finds Kafka and config on its own machine, and keys and tokens
// where `throughline init` puts them.
func DefaultConfig() Config {
	cfg := Config{
		Telemetry:           telemetry.DefaultConfig(),
		Admin:               AdminConfig{Listen: ":9100"},
		StopTimeout:         30 * time.Second,
		InstallationKeyFile: defaultInstallationKey, InstallationKeyReload: 5 * time.Second, KeyService: kms.DefaultConfig(),
		AdminTokenFile:  defaultAdminToken,
		ViewerTokenFile: defaultViewerToken,
		Kafka:           kafka.DefaultConfig("127.0.0.1:9092"),
		Topics: TopicsConfig{
			Partitions: 12, Retention: maxRetention, RawRetention: maxRawRetention, UnresolvedRetention: maxUnresolvedRetention,
			DeadLetterRetention: maxDeadLetterRetention, RowsRetention: maxRawRetention,
		},
		Settings: settings.DefaultConfig(),
		Orgs:     orgs.DefaultConfig(),
		Config:   config.DefaultConfig(),
		Console:  console.DefaultConfig(),
		Ingest:   ingest.DefaultConfig(),
		Visits:   visits.DefaultConfig(),
		Identity: identity.DefaultConfig(),
		Mapping:  mapping.DefaultConfig(),
		Writer:   writer.DefaultConfig(),
		Sync:     sync.DefaultConfig(),
	}
	cfg.Settings.TokenFile, cfg.Settings.SavePath = defaultServiceToken, defaultSnapshot
	cfg.Console.TokenFile = defaultAdminToken
	cfg.Config.Callers = []config.Caller{
		{Name: "administrator", Role: config.RoleAdmin, TokenFile: defaultAdminToken},
		{Name: "services", Role: config.RoleService, TokenFile: defaultServiceToken},
		{Name: "console", Role: config.RoleViewer, TokenFile: defaultViewerToken},
	}
	return cfg
}

// Validate checks what concerns the process as a whole; every service checks its own section when it is built, so that a
// process that runs one service needs only that one's settings.
func (c *Config) Validate() error {
	errs := []error{c.Telemetry.Validate()}
	if c.StopTimeout <= 0 {
		errs = append(errs, fmt.Errorf("stop_timeout: %s is not positive", c.StopTimeout))
	}
	if c.InstallationKeyFile == "" {
		errs = append(errs, errors.New("installation_key_file: missing"))
	}
	if c.InstallationKeyReload <= 0 {
		errs = append(errs, errors.New("installation_key_reload: want more than 0"))
	}
	if err := c.KeyService.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("key_service.%w", err))
	}
	errs = append(errs, c.Topics.validate())
	return errors.Join(errs...)
}
