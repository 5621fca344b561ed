package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/site"
)

// Move moves an org to another instance, as Salesforce does when it migrates orgs: from now on token answers name the host,
// with its port, in place of the one under which the client came, and the API under another host sends clients there. The host
// must lead to the simulator. An empty host moves the org back. It lasts until the org is made anew or the simulator ends.
func (s *Simulator) Move(org, host string) error {
	t, exists := s.find(org)
	if !exists {
		return fmt.Errorf("org %q: %w", org, ErrUnknownOrg)
	}
	if strings.ContainsAny(host, "/ ") {
		return fmt.Errorf("host: %q is not a host with a port", host)
	}
	t.moved.Store(&host)
	return nil
}

// move is POST /_sim/move?org=&host=.
func (s *Simulator) move(w http.ResponseWriter, r *http.Request) {
	if err := s.Move(r.URL.Query().Get("org"), r.URL.Query().Get("host")); err != nil {
		writeError(w, err)
		return
	}
	s.listOrgs(w, r)
}

// atNewAddress returns the request with the address that answers are to name, or nil when it was sent elsewhere.
func (t *tenant) atNewAddress(w http.ResponseWriter, r *http.Request) *http.Request {
	host := t.moved.Load()
	if host == nil || *host == "" || *host == r.Host {
		return r
	}
	base, err := url.Parse(site.Base(r))
	if err != nil {
		return r
	}
	base.Host = *host
	if !strings.HasPrefix(r.URL.Path, "/services/data") {
		return site.WithBase(r, base.String())
	}
	to := base.String() + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	return nil
}
