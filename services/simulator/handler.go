package simulator

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/site"
)

// Handler answers everything: the orgs, their pages and the control API. It may be used without Run, after Open.
func (s *Simulator) Handler() http.Handler {
	control := s.control()
	pages := s.pages()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "//") {
			r = strip(r, "")
		}
		if strings.HasPrefix(r.URL.Path, "/_sim/") {
			control.ServeHTTP(w, r)
			return
		}
		t, r := s.route(r)
		switch {
		case t == nil || r.URL.Path == "/style.css":
			pages.Orgs(w, r)
		case isAPI(r.URL.Path):
			if r = t.atNewAddress(w, r); r != nil {
				t.rest.ServeHTTP(w, r)
			}
		default:
			pages.Org(w, r, s.page(t))
		}
	})
}

func isAPI(path string) bool {
	return strings.HasPrefix(path, "/services/") || path == "/services" || strings.HasPrefix(path, "/id/")
}

// route finds the org that a request is for — by path, by host name, or the default org — and cuts the path down to what
// the org's own host would see.
func (s *Simulator) route(r *http.Request) (*tenant, *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/orgs/"); ok {
		key, _, _ := strings.Cut(rest, "/")
		t, exists := s.find(key)
		if !exists {
			return nil, r
		}
		prefix := "/orgs/" + key
		return t, strip(site.WithBase(r, site.Origin(r)+prefix), prefix)
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if key, _, ok := strings.Cut(host, "."); ok {
		if t, exists := s.find(strings.ToLower(key)); exists {
			return t, site.WithBase(r, site.Origin(r))
		}
	}
	if isAPI(r.URL.Path) {
		if t := s.defaultOrg(); t != nil {
			return t, site.WithBase(r, site.Origin(r))
		}
	}
	return nil, r
}

func (s *Simulator) defaultOrg() *tenant {
	if s.cfg.DefaultOrg != "" {
		t, _ := s.find(s.cfg.DefaultOrg)
		return t
	}
	if all := s.all(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// strip takes a prefix off the path, like http.StripPrefix.
func strip(r *http.Request, prefix string) *http.Request {
	out := new(http.Request)
	*out = *r
	out.URL = new(url.URL)
	*out.URL = *r.URL
	out.URL.Path = rooted(strings.TrimPrefix(r.URL.Path, prefix))
	if r.URL.RawPath != "" {
		out.URL.RawPath = rooted(strings.TrimPrefix(r.URL.RawPath, prefix))
	}
	return out
}

// rooted makes a path begin with one slash. Clients whose instance address ends in one, like the Salesforce CLI, send two.
func rooted(path string) string { return "/" + strings.TrimLeft(path, "/") }
