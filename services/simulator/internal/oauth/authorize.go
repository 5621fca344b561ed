package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// authorize shows the consent page (GET) and takes its answer (POST).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "invalid_request", http.StatusBadRequest)
		return
	}
	app, failed := s.app(r, r.Form.Get("client_id"))
	if failed != nil {
		page(w, http.StatusBadRequest, errorPage, failed)
		return
	}
	redirect := r.Form.Get("redirect_uri")
	if redirect == "" {
		page(w, http.StatusBadRequest, errorPage, fail("redirect_uri_missing", "redirect_uri is missing"))
		return
	}
	if !slices.Contains(app.RedirectURIs, redirect) {
		page(w, http.StatusBadRequest, errorPage, fail("redirect_uri_mismatch", "redirect_uri must match configuration"))
		return
	}
	if failed := s.checkRequest(r, app); failed != nil {
		sendBack(w, r, redirect, url.Values{"error": {failed.Code}, "error_description": {failed.Description}})
		return
	}
	if r.Method == http.MethodPost {
		s.consent(w, r, app, redirect)
		return
	}
	if r.Form.Get("immediate") == "true" {
		sendBack(w, r, redirect, url.Values{"error": {"immediate_unsuccessful"}, "error_description": {"end-user must log in"}})
		return
	}
	page(w, http.StatusOK, consentPage, map[string]any{
		"Org": s.org.Spec.Name, "App": nameOf(app), "Scopes": strings.Fields(requestedScope(r, app)), "Japanese": strings.HasPrefix(s.org.Spec.Language, "ja"),
		"Users": s.org.ActiveUsers(50), "Form": r.Form, "Hint": r.Form.Get("login_hint"),
	})
}

func nameOf(app *scenario.App) string {
	if app.Name != "" {
		return app.Name
	}
	return app.ClientID
}

func (s *Server) checkRequest(r *http.Request, app *scenario.App) *failure {
	if r.Form.Get("response_type") != "code" {
		return fail("unsupported_response_type", "response type not supported")
	}
	for _, scope := range strings.Fields(r.Form.Get("scope")) {
		if !slices.Contains(scopesOf(app), scope) && !(scope == "offline_access" && slices.Contains(scopesOf(app), "refresh_token")) {
			return fail("invalid_scope", "the requested scope is not allowed")
		}
	}
	if r.Form.Get("code_challenge") == "" {
		if app.PKCE {
			return fail("invalid_request", "missing required code challenge")
		}
		return nil
	}
	if app.RefusePKCE {
		return fail("invalid_request", "code challenge is not supported by this app")
	}
	if method := r.Form.Get("code_challenge_method"); method != "" && method != "S256" {
		return fail("invalid_request", "code challenge method must be S256")
	}
	return nil
}

func requestedScope(r *http.Request, app *scenario.App) string {
	if scope := r.Form.Get("scope"); scope != "" {
		return strings.ReplaceAll(scope, "offline_access", "refresh_token")
	}
	return strings.Join(scopesOf(app), " ")
}

// consent handles the posted page: the user either allowed the app or denied it.
func (s *Server) consent(w http.ResponseWriter, r *http.Request, app *scenario.App, redirect string) {
	if r.PostForm.Get("answer") == "deny" {
		sendBack(w, r, redirect, url.Values{"error": {"access_denied"}, "error_description": {"end-user denied authorization"}})
		return
	}
	user, ok := s.signIn(r.Context(), r.PostForm.Get("username"), r.PostForm.Get("password"))
	if !ok {
		page(w, http.StatusUnauthorized, errorPage, fail("login_error", "user name or password is wrong, or the user is inactive"))
		return
	}
	code := s.issue(grant{
		Kind: authCode, ClientID: app.ClientID, UserID: user.ID, Scope: requestedScope(r, app),
		Challenge: r.Form.Get("code_challenge"), RedirectURI: redirect,
	})
	sendBack(w, r, redirect, url.Values{"code": {code}})
}

// signIn checks user name and password; users without a password in the scenario need none.
func (s *Server) signIn(ctx context.Context, username, password string) (org.User, bool) {
	user, ok := s.org.UserByName(ctx, username)
	if !ok || !user.Active {
		return org.User{}, false
	}
	for _, u := range s.org.Spec.Users {
		if strings.EqualFold(u.Username, username) && u.Password != "" && subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) != 1 {
			return org.User{}, false
		}
	}
	return user, true
}

func sendBack(w http.ResponseWriter, r *http.Request, redirect string, values url.Values) {
	if state := r.Form.Get("state"); state != "" {
		values.Set("state", state)
	}
	u, err := url.Parse(redirect)
	if err != nil {
		http.Error(w, "redirect_uri_mismatch", http.StatusBadRequest)
		return
	}
	query := u.Query()
	for key := range values {
		query.Set(key, values.Get(key))
	}
	u.RawQuery = query.Encode()
	http.Redirect(w, r, u.String(), http.StatusFound)
}

func (s *Server) authorizationCode(r *http.Request) (map[string]string, *failure) {
	app, failed := s.client(r, false)
	if failed != nil {
		return nil, failed
	}
	code := r.PostForm.Get("code")
	g, key, ok := s.find(code, authCode)
	if !ok || g.ClientID != app.ClientID {
		return nil, fail("invalid_grant", "expired authorization code")
	}
	if g.RedirectURI != r.PostForm.Get("redirect_uri") {
		return nil, fail("redirect_uri_mismatch", "redirect_uri must match configuration")
	}
	if failed := checkVerifier(g.Challenge, r.PostForm.Get("code_verifier")); failed != nil {
		return nil, failed
	}
	user, ok := s.org.UserByID(r.Context(), g.UserID)
	if !ok || !user.Active {
		return nil, fail("invalid_grant", "authentication failure")
	}
	s.mu.Lock()
	_, unused := s.grants[key]
	s.drop(key)
	s.mu.Unlock()
	if !unused {
		return nil, fail("invalid_grant", "expired authorization code")
	}
	if !slices.Contains(strings.Fields(g.Scope), "refresh_token") {
		return s.answer(r, app, user, g.Scope, ""), nil
	}
	refresh := s.issue(grant{Kind: refreshToken, ClientID: app.ClientID, UserID: user.ID, Scope: g.Scope})
	answer := s.answer(r, app, user, g.Scope, hash(refresh))
	answer["refresh_token"] = refresh
	return answer, nil
}

func checkVerifier(challenge, verifier string) *failure {
	if challenge == "" {
		return nil
	}
	if verifier == "" {
		return fail("invalid_grant", "missing required code verifier")
	}
	sum := sha256.Sum256([]byte(verifier))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != strings.TrimRight(challenge, "=") {
		return fail("invalid_request", "invalid code verifier")
	}
	return nil
}

func page(w http.ResponseWriter, status int, t *template.Template, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(status)
	_ = t.Execute(w, data) // the client is gone if this fails
}
