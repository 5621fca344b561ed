package probe

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/libs/salesforce"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// Who says which org it is, whom a token is of, and which versions the org speaks.
type Who interface {
	Organization(ctx context.Context) (salesforce.Organization, error)
	Identity(ctx context.Context) (salesforce.Identity, error)
	CheckVersion(ctx context.Context) error
}

// Shape says what the token's user may do with an object.
type Shape interface {
	Describe(ctx context.Context, object string) (*salesforce.ObjectDescribe, error)
}

// Asker reads records.
type Asker interface {
	Query(ctx context.Context, soql string) ([]salesforce.Record, error)
}

// Tooling reads what describes the org itself.
type Tooling interface {
	Tooling(ctx context.Context, soql string) ([]salesforce.Record, error)
}

// Org is the org; a *salesforce.Client is one.
type Org interface {
	Who
	Shape
	Asker
	Tooling
}

// Config bounds the questions.
type Config struct {
	// Timeout bounds one question.
	Timeout time.Duration `yaml:"timeout"`
	// Parallel is how many are asked at once; an org limits long requests.
	Parallel int `yaml:"parallel"`
}

// DefaultConfig returns 15 s per question, four at once.
func DefaultConfig() Config { return Config{Timeout: 15 * time.Second, Parallel: 4} }

// Validate names the key that is wrong.
func (c Config) Validate() error {
	switch {
	case c.Timeout <= 0:
		return errors.New("timeout: want more than 0")
	case c.Parallel < 1 || c.Parallel > 20:
		return errors.New("parallel: want 1 to 20")
	}
	return nil
}

// Names of the questions that are always asked, in the order in which they should be mended. Those about objects are
// ObjectPrefix and the object's name.
const (
	Authorisation = "authorisation"
	API           = "api"
	Version       = "api_version"
	Edition       = "edition"
	Environment   = "environment"
	FullAccess    = "full_access"
	Address       = "address"
	Tasks         = "tasks"
	ObjectPrefix  = "object_"
	Encryption    = "email_encryption"
	Package       = "package"
	Viewers       = "package_viewers"
	Layouts       = "package_layouts"
	PolicyUsers   = "policy_users"
	PolicyTokens  = "policy_refresh_token"
	PolicyIP      = "policy_ip"
)

// finding is what one question came to.
type finding struct {
	status configv1.ProbeStatus
	reason streamv1.Reason
	text   textKey
	detail string
	// optional takes back that the connection's state depends on it.
	optional bool
}

func ok(text textKey, detail string) finding {
	return finding{status: configv1.ProbeStatus_PROBE_STATUS_OK, text: text, detail: detail}
}

func blocked(reason streamv1.Reason, text textKey, detail string) finding {
	return finding{status: configv1.ProbeStatus_PROBE_STATUS_BLOCKED, reason: reason, text: text, detail: detail}
}

// unchecked is the answer that could not be had.
func unchecked(err error) finding {
	f := finding{status: configv1.ProbeStatus_PROBE_STATUS_COULD_NOT_CHECK, text: textUnchecked}
	var e *salesforce.Error
	if errors.As(err, &e) {
		f.detail = e.Code // scrubbed texts stay in the log
	}
	return f
}

// question is one probe.
type question struct {
	name     string
	required bool
	ask      func(ctx context.Context) finding
}

// Result builds the message of one question.
func (f finding) result(name string, required bool) *configv1.ProbeResult {
	en, ja := f.text.texts()
	return &configv1.ProbeResult{
		Probe: name, Status: f.status, Reason: f.reason, Required: required && !f.optional, En: en, Ja: ja, Detail: f.detail,
	}
}

// ask asks all questions, some at a time, and returns the answers in their order.
func ask(ctx context.Context, cfg Config, questions []question) []*configv1.ProbeResult {
	out := make([]*configv1.ProbeResult, len(questions))
	slots := make(chan struct{}, cfg.Parallel)
	var wg sync.WaitGroup
	for i, q := range questions {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
			defer cancel()
			out[i] = q.ask(ctx).result(q.name, q.required)
		})
	}
	wg.Wait()
	return out
}

// Refused turns what the token endpoint said into the answer to the first question.
func Refused(err error) *configv1.ProbeResult {
	var e *salesforce.Error
	f := unchecked(err)
	if errors.As(err, &e) && e.Class != salesforce.ClassTransient && e.Class != salesforce.ClassQuota && e.Class != salesforce.ClassUnknown {
		f = blocked(reasonOf(e.Reason), authorisationText(e), e.Code)
	}
	return f.result(Authorisation, true)
}

// Authorised is the answer to the first question when there is a token.
func Authorised() *configv1.ProbeResult { return ok(textAuthorised, "").result(Authorisation, true) }

func authorisationText(e *salesforce.Error) textKey {
	switch e.Reason {
	case salesforce.ReasonIPRestricted:
		return textIP
	case salesforce.ReasonAppBlocked:
		if e.Code == "invalid_app_access" {
			return textApproval
		}
		return textAppBlocked
	case salesforce.ReasonAPIDisabled:
		return textAPIDisabled
	}
	switch e.Code {
	case salesforce.CodeNoToken:
		return textNoToken
	case "invalid_client", "invalid_client_id", "invalid_basic_auth_header":
		return textKeys
	case "inactive_user":
		return textInactiveUser
	}
	return textRevoked
}

func reasonOf(code string) streamv1.Reason {
	return streamv1.Reason(streamv1.Reason_value["REASON_"+code])
}

// hidden reports whether an error means that the user cannot see what was asked for, or that it is not there: Salesforce does
// not tell the two apart.
func hidden(err error) bool {
	var e *salesforce.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Status == http.StatusNotFound || e.Code == "INVALID_TYPE" || e.Reason == salesforce.ReasonNoPermission
}
