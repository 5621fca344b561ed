package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/services/simulator/internal/faults"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
)

// Scenario is a set of orgs and faults.
type Scenario struct {
	Orgs   []Org         `yaml:"orgs"`
	Faults []faults.Rule `yaml:"faults,omitempty"`
}

// Org describes one org.
type Org struct {
	// Key names the org in addresses: lower-case letters, digits and hyphens.
	Key string `yaml:"key"`
	// ID is the organisation id; empty for one made from the order of creation.
	ID   string `yaml:"id,omitempty"`
	Name string `yaml:"name,omitempty"`
	// Edition as Organization.OrganizationType names it; it decides the limits. Default "Enterprise Edition".
	Edition string `yaml:"edition,omitempty"`
	// TimeZone is an IANA name, default "America/Los_Angeles"; Language a LanguageLocaleKey, default "en_US".
	TimeZone string `yaml:"timezone,omitempty"`
	Language string `yaml:"language,omitempty"`
	Sandbox  bool   `yaml:"sandbox,omitempty"`
	// Package installs the Throughline package: Engagement__c, Content__c and its fields on Task.
	Package bool `yaml:"package,omitempty"`
	// PackageVersion is the version installed: 1.0, 1.1 or 1.2; empty for the newest.
	PackageVersion string `yaml:"package_version,omitempty"`
	// PersonAccounts turns person accounts on: an account with a last name is a person, and has a contact of its own.
	PersonAccounts bool `yaml:"person_accounts,omitempty"`
	// DataPrivacy turns Data Protection and Privacy on: Individual, and IndividualId of Lead and Contact.
	DataPrivacy bool `yaml:"data_privacy,omitempty"`
	// TaskQueues allows queues to own tasks.
	TaskQueues bool `yaml:"task_queues,omitempty"`

	API     API     `yaml:"api,omitempty"`
	Latency Latency `yaml:"latency,omitempty"`
	// RowLocks lets writes lock their records and parents for as long as they take, so that others wait; one that waits
	// longer than LockWait, default 10 s, fails with UNABLE_TO_LOCK_ROW.
	RowLocks bool          `yaml:"row_locks,omitempty"`
	LockWait time.Duration `yaml:"lock_wait,omitempty"`
	Apps     []App         `yaml:"apps,omitempty"`
	Profiles []Profile     `yaml:"profiles,omitempty"`
	Users    []User        `yaml:"users,omitempty"`
	// PermissionSets adds to those that the package brings.
	PermissionSets []PermissionSet `yaml:"permission_sets,omitempty"`
	// Layouts are page layouts; of an object without any, Lead and Contact have one that all profiles use.
	Layouts []Layout `yaml:"layouts,omitempty"`
	// RecordPages are record pages of the Lightning App Builder.
	RecordPages []RecordPage `yaml:"record_pages,omitempty"`
	Queues      []Queue      `yaml:"queues,omitempty"`
	Picklists   Picklists    `yaml:"picklists,omitempty"`
	// Encrypted gives fields ("Lead.Email") an encryption: probabilistic, deterministic or deterministic_ci.
	Encrypted map[string]string `yaml:"encrypted,omitempty"`
	// Objects adds objects and fields.
	Objects         []schema.ObjectSpec `yaml:"objects,omitempty"`
	ValidationRules []ValidationRule    `yaml:"validation_rules,omitempty"`
	DuplicateRules  []DuplicateRule     `yaml:"duplicate_rules,omitempty"`
	Records         Records             `yaml:"records,omitempty"`
}

// Picklists replaces the values of picklists ("Task.Status"); a value that begins with "*" is the default.
type Picklists map[string][]string

// API is what the org's edition and contract allow.
type API struct {
	// DailyLimit is the number of calls in 24 hours; 0 for what the edition gives with Licences licences.
	DailyLimit int `yaml:"daily_limit,omitempty"`
	Licences   int `yaml:"licences,omitempty"`
	// Used is how many of them are gone at the start.
	Used int `yaml:"used,omitempty"`
	// Disabled refuses all API calls, as an edition without API access does.
	Disabled bool `yaml:"disabled,omitempty"`
	// LongRequests is how many calls may run longer than LongAfter at once; 0 for 25, or 5 in a Developer Edition. LongAfter
	// is 20 s by default.
	LongRequests int           `yaml:"long_requests,omitempty"`
	LongAfter    time.Duration `yaml:"long_after,omitempty"`
	// BulkBatches is how many batches of bulk jobs 24 hours allow; 0 for 15,000.
	BulkBatches int `yaml:"bulk_batches,omitempty"`
	// EventDeliveries is how many change events 24 hours allow; 0 for what the edition gives.
	EventDeliveries int `yaml:"event_deliveries,omitempty"`
	// OldestVersion is the oldest version of the API that is not retired; 0 for 31.
	OldestVersion int `yaml:"oldest_version,omitempty"`
}

// Latency is how long requests take: a log-normal distribution with the given median and 99th percentile. Zero answers
// at once.
type Latency struct {
	Median time.Duration `yaml:"median,omitempty"`
	P99    time.Duration `yaml:"p99,omitempty"`
}

// App is a connected app or external client app.
type App struct {
	Name         string   `yaml:"name,omitempty"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret string   `yaml:"client_secret,omitempty"`
	RedirectURIs []string `yaml:"redirect_uris,omitempty"`
	// Scopes the app may ask for; default api, refresh_token, id, openid.
	Scopes []string `yaml:"scopes,omitempty"`
	// RunAs is the user name of the client-credentials flow; empty refuses the flow.
	RunAs string `yaml:"run_as,omitempty"`
	// Certificate is the PEM certificate or public key of the JWT bearer flow; empty refuses the flow.
	Certificate string `yaml:"certificate,omitempty"`
	// AdminApproved lists the users pre-authorised for the JWT bearer flow; empty for all.
	AdminApproved []string `yaml:"admin_approved,omitempty"`
	// PKCE demands a code challenge, SecretOptional lets a public client leave its secret out, RotateRefreshTokens gives
	// a new refresh token with every use.
	PKCE bool `yaml:"pkce,omitempty"`
	// RefusePKCE refuses a request with a code challenge, as an app does that knows no PKCE.
	RefusePKCE          bool `yaml:"refuse_pkce,omitempty"`
	SecretOptional      bool `yaml:"secret_optional,omitempty"`
	RotateRefreshTokens bool `yaml:"rotate_refresh_tokens,omitempty"`
	// Blocked refuses everything, as after an administrator blocked the app.
	Blocked bool `yaml:"blocked,omitempty"`
	// AllowedAddresses are networks that may use the app; empty for all.
	AllowedAddresses []string `yaml:"allowed_addresses,omitempty"`
	// SessionTimeout is how long an access token lasts, default 2 h; RefreshIdle how long an unused refresh token lasts,
	// default for ever.
	SessionTimeout time.Duration `yaml:"session_timeout,omitempty"`
	RefreshIdle    time.Duration `yaml:"refresh_idle,omitempty"`
}

// Profile limits what its users may do.
type Profile struct {
	Name string `yaml:"name"`
	// Objects lists what is allowed where it is not everything: read, create, edit, delete.
	Objects map[string][]string `yaml:"objects,omitempty"`
	// HiddenFields and ReadOnlyFields name fields as "Lead.Phone".
	HiddenFields   []string `yaml:"hidden_fields,omitempty"`
	ReadOnlyFields []string `yaml:"read_only_fields,omitempty"`
	// NoModifyAll users lack the permission to modify all data, as UserPermissionAccess tells it.
	NoModifyAll bool `yaml:"no_modify_all,omitempty"`
	// APIDisabled users cannot use the API.
	APIDisabled bool `yaml:"api_disabled,omitempty"`
	// NoViewSetup users may not view setup: layouts and record pages are not theirs to read.
	NoViewSetup bool `yaml:"no_view_setup,omitempty"`
}

// User is a user of the org.
type User struct {
	ID        string `yaml:"id,omitempty"`
	Username  string `yaml:"username"`
	Password  string `yaml:"password,omitempty"`
	FirstName string `yaml:"first_name,omitempty"`
	LastName  string `yaml:"last_name,omitempty"`
	Email     string `yaml:"email,omitempty"`
	Inactive  bool   `yaml:"inactive,omitempty"`
	Profile   string `yaml:"profile,omitempty"`
	// PermissionSets are assigned to the user, by name.
	PermissionSets []string `yaml:"permission_sets,omitempty"`

	Language  string    `yaml:"language,omitempty"`
	TimeZone  string    `yaml:"timezone,omitempty"`
	LastLogin time.Time `yaml:"last_login,omitempty"`
}

// Queue is a group that can own records.
type Queue struct {
	ID   string `yaml:"id,omitempty"`
	Name string `yaml:"name"`
}

// ValidationRule refuses records for which the condition holds. When is what may stand after WHERE in SOQL.
type ValidationRule struct {
	Object  string `yaml:"object"`
	When    string `yaml:"when"`
	Message string `yaml:"message"`
	Field   string `yaml:"field,omitempty"`
}

// DuplicateRule refuses new records that equal another in all of the fields.
type DuplicateRule struct {
	Name    string   `yaml:"name,omitempty"`
	Object  string   `yaml:"object"`
	Fields  []string `yaml:"fields"`
	Mode    string   `yaml:"mode,omitempty"` // alert (default) or block
	Message string   `yaml:"message,omitempty"`
}

// Records are rows to create, object by object in order.
type Records []Rows

// Rows are rows of one object. Keys are field names, and three that are not: "id" for an id of one's own, "ref" for a name
// that other rows can use as "@name", and "deleted".
type Rows struct {
	Object string           `yaml:"object"`
	Rows   []map[string]any `yaml:"rows"`
}

// UnmarshalYAML reads a mapping from object to rows and keeps its order.
func (r *Records) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: records must be a mapping from object to rows", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		rows := Rows{Object: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&rows.Rows); err != nil {
			return fmt.Errorf("records of %s: %w", rows.Object, err)
		}
		*r = append(*r, rows)
	}
	return nil
}

// Parse reads a scenario from YAML or JSON and checks it. Unknown keys are errors.
func Parse(data []byte) (*Scenario, error) {
	var s Scenario
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return &s, s.Validate()
}

var orgKey = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate checks what can be checked without building the orgs. Errors name the key.
func (s *Scenario) Validate() error {
	seen := map[string]bool{}
	for i := range s.Orgs {
		o := &s.Orgs[i]
		if !orgKey.MatchString(o.Key) {
			return fmt.Errorf("orgs[%d].key: %q is not lower-case letters, digits and hyphens", i, o.Key)
		}
		if seen[o.Key] {
			return fmt.Errorf("orgs[%d].key: %q is used twice", i, o.Key)
		}
		seen[o.Key] = true
		if err := o.Validate(); err != nil {
			return fmt.Errorf("org %s: %w", o.Key, err)
		}
	}
	for i := range s.Faults {
		if err := s.Faults[i].Validate(); err != nil {
			return fmt.Errorf("faults[%d].%w", i, err)
		}
	}
	return nil
}

// Validate checks one org.
func (o *Org) Validate() error {
	if o.TimeZone != "" {
		if _, err := time.LoadLocation(o.TimeZone); err != nil {
			return fmt.Errorf("timezone: %w", err)
		}
	}
	for i, a := range o.Apps {
		if a.ClientID == "" {
			return fmt.Errorf("apps[%d].client_id: must not be empty", i)
		}
	}
	for i, u := range o.Users {
		if u.Username == "" {
			return fmt.Errorf("users[%d].username: must not be empty", i)
		}
	}
	for i, d := range o.DuplicateRules {
		if d.Mode != "" && d.Mode != "alert" && d.Mode != "block" {
			return fmt.Errorf("duplicate_rules[%d].mode: %q is neither alert nor block", i, d.Mode)
		}
	}
	if err := o.validateSetup(); err != nil {
		return err
	}
	for name := range o.Encrypted {
		if !strings.Contains(name, ".") {
			return fmt.Errorf("encrypted: %q is not Object.Field", name)
		}
	}
	for name := range o.Picklists {
		if !strings.Contains(name, ".") {
			return fmt.Errorf("picklists: %q is not Object.Field", name)
		}
	}
	return nil
}

// WithDefaults returns the org with what it leaves open filled in.
func (o Org) WithDefaults() Org {
	fill := func(s *string, def string) {
		if *s == "" {
			*s = def
		}
	}
	fill(&o.Name, o.Key)
	fill(&o.Edition, "Enterprise Edition")
	fill(&o.TimeZone, "America/Los_Angeles")
	fill(&o.Language, "en_US")
	if len(o.Users) == 0 {
		o.Users = []User{{Username: "admin@" + o.Key + ".example", LastName: "Administrator"}}
	}
	return o
}
