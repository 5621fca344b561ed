package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/schema"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/site"
	"github.com/throughline-dev/throughline/services/simulator/internal/stats"
)

//go:embed templates/*.html templates/style.css
var files embed.FS

// Tenant is one org as the pages need it.
type Tenant struct {
	Org *org.Org
	// Used and Limit are the API calls of the last 24 hours.
	Used, Limit int
	// Calls are the latest API calls, oldest first.
	Calls []stats.Call
}

// Server shows pages. It is safe for concurrent use.
type Server struct {
	list      func() []Tenant
	templates map[string]*template.Template
}

// New returns a server for the orgs that list gives.
func New(list func() []Tenant) *Server {
	s := &Server{list: list, templates: map[string]*template.Template{}}
	for _, name := range []string{"orgs", "org", "object", "record", "missing"} {
		s.templates[name] = template.Must(template.ParseFS(files, "templates/layout.html", "templates/"+name+".html"))
	}
	return s
}

// page is what every page shows.
type page struct {
	translator
	Title string
	// Base is the org's path on this host, "" for a host of its own; OrgName is empty on the list of orgs.
	Base, OrgName string
	Tabs          []tab
	Data          any
}

type tab struct{ Path, Label string }

// Orgs shows the list of orgs.
func (s *Server) Orgs(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/style.css" {
		http.ServeFileFS(w, r, files, "templates/style.css")
		return
	}
	p := page{translator: translator{browserLanguage(r)}}
	p.Title = p.T("orgs")
	if r.URL.Path != "/" {
		s.render(w, http.StatusNotFound, "missing", p)
		return
	}
	p.Data = orgViews(s.list(), site.Origin(r))
	s.render(w, http.StatusOK, "orgs", p)
}

func browserLanguage(r *http.Request) string {
	if strings.HasPrefix(r.Header.Get("Accept-Language"), "ja") {
		return "ja"
	}
	return "en"
}

// Org shows a page of one org; the path of r is the org's own.
func (s *Server) Org(w http.ResponseWriter, r *http.Request, t Tenant) {
	p := page{
		translator: translator{t.Org.Spec.Language}, OrgName: t.Org.Spec.Name,
		Base: strings.TrimPrefix(site.Base(r), site.Origin(r)),
	}
	for _, name := range tabs {
		if o, ok := t.Org.Schema.Object(name); ok {
			p.Tabs = append(p.Tabs, tab{Path: p.Base + "/" + o.Name, Label: title(o, p.translator)})
		}
	}
	v := &view{Tenant: t, page: p, request: r}
	name, status := v.open(recordPath(r.URL.Path))
	s.render(w, status, name, v.page)
}

// tabs are the objects at the top of every page.
var tabs = []string{"Lead", "Contact", "Account", "Opportunity", "Task", "Engagement__c", "Content__c", "Campaign", "User"}

// title is an object's plural, or its one Japanese label.
func title(o *schema.Object, t translator) string {
	if t.Japanese() && o.LabelJA != "" {
		return o.LabelJA
	}
	return o.Plural
}

// recordPath takes the ways in which Salesforce addresses a record down to one: /lightning/r/Lead/<id>/view, /<id>.
func recordPath(path string) string {
	path = strings.Trim(path, "/")
	if rest, ok := strings.CutPrefix(path, "lightning/r/"); ok {
		for part := range strings.SplitSeq(rest, "/") {
			if _, err := sfid.Long(part); err == nil {
				return part
			}
		}
	}
	if rest, ok := strings.CutPrefix(path, "lightning/o/"); ok {
		path, _, _ = strings.Cut(rest, "/")
	}
	return path
}

func (s *Server) render(w http.ResponseWriter, status int, name string, p page) {
	var b bytes.Buffer
	if err := s.templates[name].ExecuteTemplate(&b, "layout", p); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the client is gone if this fails
}
