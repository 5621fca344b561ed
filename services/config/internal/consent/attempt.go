package consent

import (
	"encoding/json"
	"fmt"

	"github.com/throughline-dev/throughline/libs/salesforce/oauth"
	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// attempt is what a flow keeps sealed between two steps.
type attempt struct {
	LoginURL     string
	ClientID     string
	ClientSecret string
	// Platform: the app is the platform's, whose secret is not kept with connections.
	Platform    bool
	Environment configv1.Environment
	Source      string
	Package     bool
	// PackageVersion is the least one.
	PackageVersion string
	PKCE           configv1.PkceMode
	OtherUser      bool
	// OtherOrg: the connection may become another org's.
	OtherOrg bool
	// Email is the address that the consenting user must have.
	Email string
	// PhoneRole and Dialling are what is known of the phone account; AnyAddress: the addresses may differ.
	PhoneRole            configv1.PhoneRole
	Dialling, AnyAddress bool

	// State, Verifier and Prompt belong to one trip to Salesforce; WithoutPKCE to the second one.
	State, Verifier string
	WithoutPKCE     bool
	// AllScopes asks for whatever the app has, to find out which scope it lacks.
	AllScopes bool

	// What came back, while somebody has to confirm it.
	RefreshToken, UserID, Username, Scope string
	Org                                   *authorisedOrg `json:",omitempty"`
}

// authorisedOrg is what is known of the org.
type authorisedOrg struct {
	ID, Name, Edition, TimeZone, InstanceURL string
	Sandbox                                  bool
}

func (o *authorisedOrg) message() *configv1.Org {
	if o == nil {
		return nil
	}
	return &configv1.Org{Id: o.ID, Name: o.Name, Edition: o.Edition, Sandbox: o.Sandbox, TimeZone: o.TimeZone, InstanceUrl: o.InstanceURL}
}

func orgFrom(m *configv1.Org) *authorisedOrg {
	return &authorisedOrg{
		ID: m.GetId(), Name: m.GetName(), Edition: m.GetEdition(), TimeZone: m.GetTimeZone(), InstanceURL: m.GetInstanceUrl(), Sandbox: m.GetSandbox(),
	}
}

func (a *attempt) settings() *configv1.ConnectSettings {
	s := &configv1.ConnectSettings{
		Environment: a.Environment, Source: a.Source, NeedsPackage: a.Package, PackageVersion: a.PackageVersion, Pkce: a.PKCE,
		AnyAddress: a.AnyAddress,
	}
	if a.PhoneRole != configv1.PhoneRole_PHONE_ROLE_UNSPECIFIED || a.Dialling {
		s.Phone = &configv1.PhoneAccount{Role: a.PhoneRole, ThirdPartyDialling: a.Dialling}
	}
	return s
}

// withPKCE reports whether the next trip carries a challenge.
func (a *attempt) withPKCE() bool {
	switch a.PKCE {
	case configv1.PkceMode_PKCE_MODE_OFF:
		return false
	case configv1.PkceMode_PKCE_MODE_ON:
		return true
	}
	return !a.WithoutPKCE
}

func (s *Service) request(a *attempt) oauth.Request {
	return oauth.Request{
		LoginURL: a.LoginURL, ClientID: a.ClientID, ClientSecret: s.deps.secretOf(a), HTTPClient: s.deps.HTTPClient, TrustedHosts: s.trusted(),
	}
}

func (d Deps) secretOf(a *attempt) secret.String {
	if a.Platform {
		return d.Platform.Secret
	}
	return secret.New(a.ClientSecret)
}

// login is the trip to Salesforce that the attempt is on.
func (s *Service) login(a *attempt) oauth.Login {
	l := oauth.Login{
		Request: s.request(a), RedirectURL: s.CallbackURL(), Scopes: []string{"api", "refresh_token"},
		State: secret.New(a.State), Verifier: secret.New(a.Verifier),
	}
	if a.AllScopes {
		l.Scopes = nil
	}
	if a.OtherUser {
		l.Prompt = "login"
	}
	return l
}

func (s *Service) seal(f store.Flow, a *attempt) ([]byte, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("seal attempt %s: %w", f.ID, err)
	}
	return s.deps.Installation.Seal(plain, FlowContext(f.Workspace, f.ID))
}

func (s *Service) open(f store.Flow) (*attempt, error) {
	plain, err := s.deps.Installation.Open(f.Sealed, FlowContext(f.Workspace, f.ID))
	if err != nil {
		return nil, fmt.Errorf("attempt %s of workspace %s: %w", f.ID, f.Workspace, err)
	}
	a := &attempt{}
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, fmt.Errorf("attempt %s of workspace %s: %w", f.ID, f.Workspace, err)
	}
	return a, nil
}

// FlowContext binds what is sealed to one attempt. Neither part can hold a slash.
func FlowContext(workspace, id string) []byte {
	return []byte("throughline/connect/" + workspace + "/" + id)
}
