package diagnose

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
)

// Config says what is demanded of orgs and when they are asked.
type Config struct {
	// Questions bounds the questions.
	Questions probe.Config `yaml:"questions"`
	// Every is how often a connection is asked that is well; Jitter moves each time by up to that share of it, so that not all
	// orgs are asked at once. RecheckMin is how soon one is asked again that is not; the wait grows with its trouble's age, up
	// to Every.
	Every      time.Duration `yaml:"every"`
	Jitter     float64       `yaml:"jitter"`
	RecheckMin time.Duration `yaml:"recheck_min"`
	// Tick is how often it is looked which connections are due, Batch how many a replica takes at once.
	Tick  time.Duration `yaml:"tick"`
	Batch int           `yaml:"batch"`
	// Sources are the source products' demands, by name; "" are the general ones.
	Sources map[string]Source `yaml:"sources"`
	// Package is what is demanded of Throughline's package.
	Package Package `yaml:"package"`
}

// Package says where the package is installed, and what version is needed (LOOM-7).
type Package struct {
	// ProductionURL and SandboxURL are the addresses at which it is installed, e.g.
	// https://login.salesforce.com/packaging/installPackage.apexp?p0=04t…; empty: nobody is sent there.
	ProductionURL string `yaml:"production_url"`
	SandboxURL    string `yaml:"sandbox_url"`
	// MinVersion is the least version, e.g. 1.0. A connection may demand a later one.
	MinVersion string `yaml:"min_version"`
}

var version = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}$`)

// Validate names the key that is wrong.
func (p Package) Validate() error {
	for key, address := range map[string]string{"production_url": p.ProductionURL, "sandbox_url": p.SandboxURL} {
		if address == "" {
			continue
		}
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return fmt.Errorf("%s: want an https address", key)
		}
	}
	if !version.MatchString(p.MinVersion) {
		return errors.New("min_version: want a version such as 1.0")
	}
	return nil
}

// urlFor is where the package is installed in a connection's environment.
func (p Package) urlFor(c *configv1.Connection) string {
	sandbox := c.GetOrg().GetSandbox()
	if c.GetOrg() == nil {
		sandbox = c.GetSettings().GetEnvironment() == configv1.Environment_ENVIRONMENT_SANDBOX
	}
	if sandbox {
		return p.SandboxURL
	}
	return p.ProductionURL
}

// Demand is what a connection demands of the package.
func (c Config) Demand(conn *configv1.Connection) probe.Demand {
	return probe.Demand{
		MinVersion: cmp.Or(conn.GetSettings().GetPackageVersion(), c.Package.MinVersion), InstallURL: c.Package.urlFor(conn),
	}
}

// Source is what a source product demands of an org.
type Source struct {
	// Editions are allowed, as Salesforce's Organization.OrganizationType names them; none: all of them.
	Editions []string `yaml:"editions"`
	// Sandboxes of every edition are allowed.
	Sandboxes bool `yaml:"sandboxes"`
	// FullAccess: the user must hold Modify All Data.
	FullAccess bool `yaml:"full_access"`
	// Tasks: the user must be able to create tasks, before any integration does.
	Tasks bool `yaml:"tasks"`
}

// DefaultConfig asks daily, give or take a tenth, and every 5 minutes at first while something is in the way. The demands are
// those of the products (LOOM-5, IMM-1, IMM-2, ZOOM-2, WALK-3).
func DefaultConfig() Config {
	enterprise := []string{"Enterprise Edition", "Unlimited Edition", "Developer Edition"}
	return Config{
		Package:   Package{MinVersion: "1.0"},
		Questions: probe.DefaultConfig(), Every: 24 * time.Hour, Jitter: 0.1, RecheckMin: 5 * time.Minute, Tick: 30 * time.Second, Batch: 20,
		Sources: map[string]Source{
			"":        {}, // whatever edition lets us use its API
			"loom":    {Editions: enterprise},
			"immedio": {Editions: append([]string{"Professional Edition", "Performance Edition"}, enterprise...), Sandboxes: true, Tasks: true},
			"zoom":    {Editions: []string{"Enterprise Edition", "Unlimited Edition"}, FullAccess: true, Tasks: true},
			"walkme":  {Editions: enterprise, FullAccess: true},
			"hopin":   {Editions: enterprise},
		},
	}
}

// Validate names the key that is wrong.
func (c Config) Validate() error {
	if err := c.Questions.Validate(); err != nil {
		return fmt.Errorf("questions.%w", err)
	}
	if err := c.Package.Validate(); err != nil {
		return fmt.Errorf("package.%w", err)
	}
	switch {
	case c.Every < time.Hour:
		return errors.New("every: want at least 1h")
	case c.Jitter < 0 || c.Jitter > 0.5:
		return errors.New("jitter: want 0 to 0.5")
	case c.RecheckMin <= 0 || c.RecheckMin > c.Every:
		return errors.New("recheck_min: want more than 0 and at most every")
	case c.Tick <= 0:
		return errors.New("tick: want more than 0")
	case c.Batch < 1:
		return errors.New("batch: want at least 1")
	}
	return nil
}
