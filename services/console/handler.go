package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/trace"
)

//go:embed web/*.html
var files embed.FS

const cookie = "throughline_session"

// Handler is the console's HTTP handler.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page("overview.html", s.overview))
	mux.HandleFunc("GET /workspaces/{workspace}", s.page("workspace.html", s.workspace))
	mux.HandleFunc("GET /workspaces/{workspace}/events/{event}", s.page("event.html", s.event))
	mux.HandleFunc("GET /find", s.find)
	return s.signedIn(mux)
}

// signedIn lets a request through that carries the token, as a query parameter once or as the cookie that answers it.
func (s *Service) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		if given := r.URL.Query().Get("token"); given != "" && s.same(given) {
			http.SetCookie(w, &http.Cookie{
				Name: cookie, Value: given, Path: "/", HttpOnly: true, Secure: s.cfg.SecureCookie, SameSite: http.SameSiteStrictMode,
			})
			http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
			return
		}
		if c, err := r.Cookie(cookie); err == nil && s.same(c.Value) {
			next.ServeHTTP(w, r)
			return
		}
		s.render(w, r, "signin.html", http.StatusUnauthorized, nil)
	})
}

// same compares in constant time, whatever the lengths.
func (s *Service) same(given string) bool { return s.token.Equal(secret.New(given)) }

// page wraps a handler that fetches what one template shows.
func (s *Service) page(name string, load func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.LookupTimeout)
		defer cancel()
		data, err := load(r.WithContext(ctx))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.render(w, r, name, http.StatusOK, data)
	}
}

func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := http.StatusBadGateway
	switch {
	case status.Code(err) == codes.NotFound:
		code = http.StatusNotFound
	case errors.Is(err, context.DeadlineExceeded):
		code = http.StatusGatewayTimeout
	}
	s.deps.Logger.WarnContext(r.Context(), "a page could not be shown", "path", r.URL.Path, "error", err)
	s.render(w, r, "error.html", code, map[string]any{"Code": code, "Kind": http.StatusText(code)})
}

func (s *Service) render(w http.ResponseWriter, r *http.Request, name string, code int, data any) {
	texts := textsFor(r)
	t, err := template.New("").Funcs(texts.funcs()).ParseFS(files, "web/layout.html", "web/"+name)
	if err != nil {
		http.Error(w, "template", http.StatusInternalServerError)
		return
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, "layout.html", data); err != nil {
		s.deps.Logger.ErrorContext(r.Context(), "a page could not be rendered", "page", name, "error", err)
		http.Error(w, "template", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes())
}

// workspaceRow is one line of the overview.
type workspaceRow struct {
	Workspace *configv1.Workspace
	Counts    map[string]int64
}

func (s *Service) overview(r *http.Request) (any, error) {
	list, err := s.deps.Settings.ListWorkspaces(r.Context(), &configv1.ListWorkspacesRequest{})
	if err != nil {
		return nil, err
	}
	rows := make([]workspaceRow, 0, len(list.GetWorkspaces()))
	for _, w := range list.GetWorkspaces() {
		counts, err := s.deps.Settings.CountOutcomes(r.Context(), &configv1.CountOutcomesRequest{Workspace: w.GetId()})
		if err != nil {
			return nil, err
		}
		row := workspaceRow{w, map[string]int64{}}
		for _, c := range counts.GetCounts() {
			row.Counts[statusName(c.GetStatus())] += c.GetCount()
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// workspacePage is what the page of one workspace shows.
type workspacePage struct {
	Workspace    *configv1.Workspace
	Connections  []*configv1.Connection
	Integrations []*configv1.Integration
	Counts       []*configv1.OutcomeCount
	Troubles     []*streamv1.Outcome
}

const troublesShown = 20

func (s *Service) workspace(r *http.Request) (any, error) {
	ctx, id := r.Context(), r.PathValue("workspace")
	w, err := s.deps.Settings.GetWorkspace(ctx, &configv1.GetWorkspaceRequest{Workspace: id})
	if err != nil {
		return nil, err
	}
	connections, err := s.deps.Settings.ListConnections(ctx, &configv1.ListConnectionsRequest{Workspace: id})
	if err != nil {
		return nil, err
	}
	integrations, err := s.deps.Settings.ListIntegrations(ctx, &configv1.ListIntegrationsRequest{Workspace: id})
	if err != nil {
		return nil, err
	}
	counts, err := s.deps.Settings.CountOutcomes(ctx, &configv1.CountOutcomesRequest{Workspace: id})
	if err != nil {
		return nil, err
	}
	troubles, err := s.deps.Settings.ListOutcomes(ctx, &configv1.ListOutcomesRequest{
		Workspace: id, Status: streamv1.Status_STATUS_FAILED, PageSize: troublesShown,
	})
	if err != nil {
		return nil, err
	}
	return workspacePage{w.GetWorkspace(), connections.GetConnections(), integrations.GetIntegrations(), counts.GetCounts(), troubles.GetOutcomes()}, nil
}

func (s *Service) event(r *http.Request) (any, error) {
	return s.deps.Tracer.Find(r.Context(), trace.Query{Workspace: r.PathValue("workspace"), EventID: r.PathValue("event")})
}

func (s *Service) find(w http.ResponseWriter, r *http.Request) {
	workspace, event := strings.TrimSpace(r.FormValue("workspace")), strings.TrimSpace(r.FormValue("event"))
	if workspace == "" || event == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, "/workspaces/"+url.PathEscape(workspace)+"/events/"+url.PathEscape(event), http.StatusSeeOther)
}

func statusName(s streamv1.Status) string { return strings.TrimPrefix(s.String(), "STATUS_") }
