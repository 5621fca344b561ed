package consent

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// The general login addresses. Source: REST API Developer Guide, "OAuth Endpoints".
const (
	ProductionLogin = "https://login.salesforce.com"
	SandboxLogin    = "https://test.salesforce.com"
)

// myDomain ends the host of every org's own login address. Source: Salesforce Help, "My Domain URL Formats".
const myDomain = ".my.salesforce.com"

// copiedFrom are other hosts of an org that people copy from their browser's address bar, which become the My Domain host.
// Source: Salesforce Help, "My Domain URL Formats".
var copiedFrom = []string{".lightning.force.com", ".my.salesforce-setup.com"}

// Addresses decides where a login may begin (IMM-10).
type Addresses struct {
	// Embedded allows loopback addresses, such as the simulator's.
	Embedded bool
	// Trusted are further hosts, without a port. For development.
	Trusted []string
	// Domains are further ends of hosts, for government and regional clouds, e.g. ".my.salesforce.mil".
	Domains []string
}

// Errors about addresses; they are shown beside the field.
var (
	errAddress  = errors.New("want an address such as https://acme.my.salesforce.com")
	errUserInfo = errors.New("the address must not hold a user name")
	errNotHTTPS = errors.New("the address must begin with https://")
	errForeign  = errors.New("this is not a Salesforce login address; want login.salesforce.com, test.salesforce.com or a My Domain host ending in .my.salesforce.com")
	errPort     = errors.New("a Salesforce login address has no port")
	errLoopback = errors.New("a loopback address is accepted only in embedded mode")
	errBox      = errors.New("the address and the environment do not agree: one is a sandbox's, the other is not")
)

// Login returns the address to begin at, in its one spelling, and the environment it belongs to as far as that shows. text is
// what a person entered; empty: the environment's general address.
func (a Addresses) Login(text string, want configv1.Environment) (string, configv1.Environment, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		if want == configv1.Environment_ENVIRONMENT_SANDBOX {
			return SandboxLogin, want, nil
		}
		return ProductionLogin, configv1.Environment_ENVIRONMENT_PRODUCTION, nil
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return "", 0, errAddress
	}
	if u.User != nil {
		return "", 0, errUserInfo
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if local, err := a.local(u, host); local || err != nil {
		return strings.TrimSuffix(u.Scheme+"://"+strings.ToLower(u.Host)+u.EscapedPath(), "/"), want, err
	}
	if u.Scheme != "https" {
		return "", 0, errNotHTTPS
	}
	if port := u.Port(); port != "" && port != "443" {
		return "", 0, errPort
	}
	host, ok := a.canonical(host)
	if !ok {
		return "", 0, errForeign
	}
	found := environmentOf(host)
	if want != configv1.Environment_ENVIRONMENT_UNSPECIFIED && want != found {
		return "", 0, errBox
	}
	return "https://" + host, found, nil
}

// local reports whether the address is one for development, which keeps its path: a simulator has several orgs behind one
// address.
func (a Addresses) local(u *url.URL, host string) (bool, error) {
	if u.Scheme != "https" && u.Scheme != "http" {
		return false, nil
	}
	if slices.Contains(a.Trusted, host) {
		return true, nil
	}
	ip := net.ParseIP(host)
	switch {
	case host != "localhost" && (ip == nil || !ip.IsLoopback()):
		return false, nil
	case !a.Embedded:
		return false, errLoopback
	}
	return true, nil
}

// canonical turns any of an org's hosts into its login host, and reports whether it is one of Salesforce's.
func (a Addresses) canonical(host string) (string, bool) {
	if "https://"+host == ProductionLogin || "https://"+host == SandboxLogin {
		return host, true
	}
	for _, end := range copiedFrom {
		if name, ok := strings.CutSuffix(host, end); ok {
			host = name + myDomain
		}
	}
	for _, end := range append([]string{myDomain}, a.Domains...) {
		if name, ok := strings.CutSuffix(host, end); ok && labels(name) {
			return host, true
		}
	}
	return "", false
}

// labels reports whether a host's beginning is a My Domain name, perhaps with ".sandbox", ".develop" and the like behind it.
func labels(name string) bool {
	for _, label := range strings.Split(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// environmentOf tells sandboxes by their host. A name with "--" is a sandbox's from before enhanced domains. Scratch orgs call
// themselves sandboxes. Source: Salesforce Help, "My Domain URL Formats".
func environmentOf(host string) configv1.Environment {
	name, _, _ := strings.Cut(host, ".")
	if "https://"+host == SandboxLogin || strings.Contains(host, ".sandbox.") || strings.Contains(host, ".scratch.") || strings.Contains(name, "--") {
		return configv1.Environment_ENVIRONMENT_SANDBOX
	}
	return configv1.Environment_ENVIRONMENT_PRODUCTION
}
