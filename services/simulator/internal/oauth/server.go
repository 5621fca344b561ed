package oauth

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// Server is the sign-in side of one org. It is safe for concurrent use.
type Server struct {
	org   *org.Org
	apps  map[string]*scenario.App
	known func(clientID string) bool

	mu     sync.Mutex
	grants map[string]*grant // by hash of the token or code
	keep   func(name string, value []byte)
}

// Deps is what a server needs from outside.
type Deps struct {
	Org *org.Org
	// Known reports whether some org of the simulator has an app with the client id.
	Known func(clientID string) bool
	// Keep stores a token so that it outlives the process; a nil value forgets it. May be nil.
	Keep func(name string, value []byte)
}

// New returns the sign-in side of an org.
func New(deps Deps) *Server {
	s := &Server{org: deps.Org, apps: map[string]*scenario.App{}, known: deps.Known, keep: deps.Keep, grants: map[string]*grant{}}
	for i := range deps.Org.Spec.Apps {
		app := &deps.Org.Spec.Apps[i]
		s.apps[app.ClientID] = app
	}
	return s
}

// HasApp reports whether the org has an app with the client id.
func (s *Server) HasApp(clientID string) bool { return s.apps[clientID] != nil }

// Serve answers a request under /services/oauth2/ or /id/, and reports the route; it reports false for other paths.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request) (route string, ok bool) {
	if rest, isIdentity := strings.CutPrefix(r.URL.Path, "/id/"); isIdentity {
		s.identity(w, r, rest)
		return "identity", true
	}
	rest, isOAuth := strings.CutPrefix(r.URL.Path, "/services/oauth2/")
	if !isOAuth {
		return "", false
	}
	handlers := map[string]http.HandlerFunc{
		"token": s.token, "authorize": s.authorize, "revoke": s.revoke, "introspect": s.introspect, "userinfo": s.userinfo,
	}
	handle, ok := handlers[rest]
	if ok {
		handle(w, r)
	}
	return rest, ok
}

// Route names the route of a request that Serve answers.
func Route(path string) string {
	if strings.HasPrefix(path, "/id/") {
		return "identity"
	}
	rest, _ := strings.CutPrefix(path, "/services/oauth2/")
	return rest
}

// sessionTimeout is how long an access token lasts unless its app says otherwise.
const sessionTimeout = 2 * time.Hour

func (s *Server) timeout(clientID string) time.Duration {
	if app := s.apps[clientID]; app != nil && app.SessionTimeout > 0 {
		return app.SessionTimeout
	}
	return sessionTimeout
}
