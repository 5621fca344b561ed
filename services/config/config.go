package config

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/catalogue"
	"github.com/throughline-dev/throughline/services/config/internal/keys"
	"github.com/throughline-dev/throughline/services/config/internal/notices"
	"github.com/throughline-dev/throughline/services/config/internal/privacy"
	"github.com/throughline-dev/throughline/services/config/internal/reports"
	"github.com/throughline-dev/throughline/services/config/internal/runlog"
	"github.com/throughline-dev/throughline/services/config/internal/tokens"
	"github.com/throughline-dev/throughline/services/internal/plan"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Config is what a user sets.
type Config struct {
	// Listen is the address of the gRPC service.
	Listen string `yaml:"listen"`
	// HTTP is the address of the same service over HTTP with JSON; empty: none. TLS and Plaintext hold for it too, and no
	// client certificate is asked for there.
	HTTP string `yaml:"http"`
	// Embedded allows connections to orgs on loopback addresses, such as the simulator's.
	Embedded bool `yaml:"embedded"`
	// TrustedHosts are hosts besides Salesforce's own domains that a connection may name, without a port. For development.
	TrustedHosts []string `yaml:"trusted_hosts"`
	// Database is where everything is kept.
	Database Database `yaml:"database"`
	// Callers are those who may call, each with a token.
	Callers []Caller `yaml:"callers"`
	// Access bounds who else is let in, how often, and for how long.
	Access Access `yaml:"access"`
	// TLS protects the service. Plaintext does without it beyond loopback, where the network itself is protected.
	TLS       TLS  `yaml:"tls"`
	Plaintext bool `yaml:"plaintext"`
	// AccessTokens bounds how orgs are asked for tokens.
	AccessTokens AccessTokens `yaml:"access_tokens"`
	// Connect bounds how orgs are connected and looked after.
	Connect Connect `yaml:"connect"`
	// Keys bounds the rotation of keys.
	Keys Keys `yaml:"keys"`
	// RunLog records outcomes.
	RunLog RunLog `yaml:"run_log"`
	// Catalogue bounds how orgs are asked about their objects and fields.
	Catalogue Catalogue `yaml:"catalogue"`
	// Notices says when administrators are told of what is in the way, and over which mail server.
	Notices Notices `yaml:"notices"`
	// Plans say which plans of workspaces include which source's Salesforce integration.
	Plans plan.Rules `yaml:"plans"`
	// Privacy is how people are erased and exports of their data are made.
	Privacy Privacy `yaml:"privacy"`
	// Reports bounds runs of report pushes.
	Reports reports.Config `yaml:"reports"`

	// MaxRequestBytes is the largest request accepted.
	MaxRequestBytes int `yaml:"max_request_bytes"`
	// MaxStreams is the most calls one client may have under way.
	MaxStreams uint32 `yaml:"max_streams"`
	// PollEvery is how soon a change is found when its announcement was lost.
	PollEvery time.Duration `yaml:"poll_every"`
	// WatchPartBytes is how large the pieces are in which services get settings, unless one setting alone is larger.
	WatchPartBytes int `yaml:"watch_part_bytes"`
	// IntegrationHistory is how long a replaced integration version stays in snapshots, for events that come late or again.
	IntegrationHistory time.Duration `yaml:"integration_history"`
	// OrgTimeout bounds the question to an org when a connection is checked.
	OrgTimeout time.Duration `yaml:"org_timeout"`
	// ReadTimeout bounds how long topics are read for one preview of recorded engagements.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// HTTPTimeout bounds one call over HTTP.
	HTTPTimeout time.Duration `yaml:"http_timeout"`
	// StopTimeout bounds how long calls under way may take when the service stops.
	StopTimeout time.Duration `yaml:"stop_timeout"`
}

// Caller lets somebody in.
type Caller = auth.Token

// Role is what a caller may do.
type Role = auth.Role

// The roles of callers.
const (
	RoleOwner             = auth.RoleOwner
	RoleAdmin             = auth.RoleAdmin
	RoleIntegrationEditor = auth.RoleIntegrationEditor
	RolePrivacyOfficer    = auth.RolePrivacyOfficer
	RoleViewer            = auth.RoleViewer
	RoleOperator          = auth.RoleOperator
	RoleService           = auth.RoleService
)

// AccessTokens bounds how orgs are asked for tokens.
type AccessTokens = tokens.Config

// Catalogue bounds how orgs are asked about their objects and fields.
type Catalogue = catalogue.Config

// Keys bounds the rotation of keys.
type Keys = keys.Config

// Retention says how long the run log is kept.
type Retention = runlog.Retention

// Privacy bounds the work on erasures and exports.
type Privacy = privacy.Config

// Notices says when administrators are told of what is in the way, and over which mail server.
type Notices = notices.Config

// Database is SQLite by a path, or PostgreSQL by a DSN.
type Database struct {
	// SQLitePath is a file on this machine, for one replica.
	SQLitePath string `yaml:"sqlite_path"`
	// PostgresDSN wins over SQLitePath. It may hold the password, or leave it to PostgresPasswordFile.
	PostgresDSN secret.String `yaml:"postgres_dsn"`
	// PostgresPasswordFile holds the password, e.g. a mounted secret; a trailing newline is cut.
	PostgresPasswordFile string `yaml:"postgres_password_file"`
	// PostgresPlaintext allows a server beyond loopback without TLS, where the network itself is protected.
	PostgresPlaintext bool `yaml:"postgres_plaintext"`
	// MaxConns is the most connections to PostgreSQL.
	MaxConns int `yaml:"max_conns"`
	// OpenTimeout bounds opening and migrating; a run log of millions of rows takes its time when an index changes.
	OpenTimeout time.Duration `yaml:"open_timeout"`
}

// TLS names the files of the server's certificate.
type TLS struct {
	// CertFile and KeyFile hold the server's PEM certificate and key; they are read again when they change.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ClientCAFile demands client certificates of these authorities, besides tokens.
	ClientCAFile string `yaml:"client_ca_file"`
	// ClientCertOptional lets callers in without a certificate if their token is right; one that is shown must still be
	// good. For installations whose services have certificates and whose people sign in.
	ClientCertOptional bool `yaml:"client_cert_optional"`
}

// RunLog records outcomes.
type RunLog struct {
	// Stage is how the topic of outcomes is read.
	Stage stage.Config `yaml:"stage"`
	// Retention is how long they are kept.
	Retention Retention `yaml:"retention"`
}

// DefaultConfig returns a service on loopback with a SQLite file under data. Callers are still to be set.
func DefaultConfig() Config {
	log := stage.DefaultConfig("runlog", topic.Outcomes)
	// Few large transactions: each one costs a sync to disk and writes every index page it touches.
	log.BatchRecords = 5000
	log.BatchBytes = 4 << 20
	log.BatchWait = 250 * time.Millisecond
	return Config{
		Listen:             "127.0.0.1:9090",
		Database:           Database{SQLitePath: "data/config.db", MaxConns: 10, OpenTimeout: 10 * time.Minute},
		Access:             defaultAccess(),
		AccessTokens:       tokens.DefaultConfig(),
		Connect:            DefaultConnect(),
		Keys:               keys.DefaultConfig(),
		RunLog:             RunLog{Stage: log, Retention: runlog.DefaultRetention()},
		Catalogue:          catalogue.DefaultConfig(),
		Plans:              plan.DefaultRules(),
		Privacy:            privacy.DefaultConfig(),
		Notices:            notices.DefaultConfig(),
		Reports:            reports.DefaultConfig(),
		MaxRequestBytes:    4 << 20,
		MaxStreams:         1000,
		PollEvery:          2 * time.Second,
		WatchPartBytes:     1 << 20,
		IntegrationHistory: 31 * 24 * time.Hour,
		OrgTimeout:         30 * time.Second,
		ReadTimeout:        time.Minute,
		HTTPTimeout:        2 * time.Minute,
		StopTimeout:        10 * time.Second,
	}
}

// Validate names the keys that are wrong.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.Database.SQLitePath != "" || !c.Database.PostgresDSN.IsEmpty(), "database: set sqlite_path or postgres_dsn")
	need(c.Database.PostgresPasswordFile == "" || !c.Database.PostgresDSN.IsEmpty(),
		"database.postgres_password_file: needs postgres_dsn, which names the server and the user")
	need(c.Database.MaxConns >= 2, "database.max_conns: want at least 2")
	need(c.Database.OpenTimeout > 0, "database.open_timeout: want more than 0")
	for i, caller := range c.Callers {
		if err := caller.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("callers[%d].%w", i, err))
		}
		need(caller.Certificate == "" || c.TLS.ClientCAFile != "", "callers[%d].certificate: needs tls.client_ca_file", i)
	}
	if err := c.Access.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("access.%w", err))
	}
	need((c.TLS.CertFile == "") == (c.TLS.KeyFile == ""), "tls.cert_file, tls.key_file: set both or neither")
	need(c.TLS.ClientCAFile == "" || c.TLS.CertFile != "", "tls.client_ca_file: needs tls.cert_file")
	need(!c.TLS.ClientCertOptional || c.TLS.ClientCAFile != "", "tls.client_cert_optional: needs tls.client_ca_file")
	need(c.TLS.CertFile != "" || c.Plaintext || isLoopback(c.Listen),
		"tls: %s is not a loopback address, so tokens would travel in the clear; set tls.cert_file or plaintext", c.Listen)
	need(c.HTTP == "" || c.TLS.CertFile != "" || c.Plaintext || isLoopback(c.HTTP),
		"tls: %s is not a loopback address, so tokens would travel in the clear; set tls.cert_file or plaintext", c.HTTP)
	need(c.HTTPTimeout > 0, "http_timeout: want more than 0")
	need(c.ReadTimeout > 0, "read_timeout: want more than 0")
	if err := c.AccessTokens.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("access_tokens.%w", err))
	}
	if err := c.Connect.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("connect.%w", err))
	}
	if err := c.Keys.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("keys.%w", err))
	}
	if err := c.RunLog.Stage.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("run_log.%w", err))
	}
	if err := c.RunLog.Retention.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("run_log.retention.%w", err))
	}
	if err := c.Catalogue.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("catalogue.%w", err))
	}
	if err := c.Notices.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("notices.%w", err))
	}
	if err := c.Plans.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("plans.%w", err))
	}
	if err := c.Privacy.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("privacy.%w", err))
	}
	if err := c.Reports.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("reports.%w", err))
	}
	need(c.MaxRequestBytes >= 1<<16, "max_request_bytes: want at least 65536")
	need(c.MaxStreams >= 1, "max_streams: want at least 1")
	need(c.PollEvery > 0 && c.PollEvery <= 4*time.Second, "poll_every: want more than 0 and at most 4s, so that changes arrive within 5s")
	need(c.WatchPartBytes >= 1<<10 && c.WatchPartBytes <= 3<<20,
		"watch_part_bytes: want 1024 to 3145728, which is below gRPC's default limit")
	need(c.IntegrationHistory >= time.Hour, "integration_history: want at least 1h")
	need(c.IntegrationHistory <= c.Access.Audit.Versions,
		"integration_history: want at most access.audit.versions, %s: what is deleted cannot be in snapshots", c.Access.Audit.Versions)
	need(c.OrgTimeout > 0, "org_timeout: want more than 0")
	need(c.StopTimeout > 0, "stop_timeout: want more than 0")
	return errors.Join(errs...)
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
