package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
	"github.com/throughline-dev/throughline/services/simulator/internal/site"
)

// failure is an OAuth error object.
type failure struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func fail(code, description string) *failure { return &failure{code, description} }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

// maxForm is the largest form that the endpoints read.
const maxForm = 1 << 20

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		writeJSON(w, http.StatusBadRequest, fail("invalid_request", "must use HTTP POST"))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		writeJSON(w, http.StatusBadRequest, fail("invalid_request", "the form cannot be read"))
		return
	}
	answer, failed := s.exchange(r)
	if failed != nil {
		writeJSON(w, http.StatusBadRequest, failed)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) exchange(r *http.Request) (map[string]string, *failure) {
	switch r.PostForm.Get("grant_type") {
	case "":
		return nil, fail("invalid_request", "missing required parameter: grant_type")
	case "client_credentials":
		return s.clientCredentials(r)
	case "authorization_code":
		return s.authorizationCode(r)
	case "refresh_token":
		return s.refresh(r)
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		return s.jwtBearer(r)
	}
	return nil, fail("unsupported_grant_type", "grant type not supported")
}

// app finds the app of a client id and checks what holds for every flow.
func (s *Server) app(r *http.Request, clientID string) (*scenario.App, *failure) {
	app, ok := s.apps[clientID]
	if !ok {
		if clientID != "" && s.known != nil && s.known(clientID) {
			return nil, fail("app_not_found", "External client app is not installed in this org")
		}
		return nil, fail("invalid_client_id", "client identifier invalid")
	}
	if app.Blocked {
		return nil, fail("app_blocked", "this app is blocked by admin")
	}
	if !addressAllowed(app.AllowedAddresses, r.RemoteAddr) {
		return nil, fail("invalid_grant", "ip restricted")
	}
	return app, nil
}

func addressAllowed(networks []string, remote string) bool {
	if len(networks) == 0 {
		return true
	}
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(networks, func(network string) bool {
		p, err := netip.ParsePrefix(network)
		return err == nil && p.Contains(addr.Unmap())
	})
}

// client reads and checks client id and secret, from the form or a Basic header.
func (s *Server) client(r *http.Request, secretNeeded bool) (*scenario.App, *failure) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		id, secret = user, password
	}
	if id == "" {
		return nil, fail("invalid_client_id", "client identifier invalid")
	}
	app, failed := s.app(r, id)
	if failed != nil {
		return nil, failed
	}
	if secret == "" && !secretNeeded && app.SecretOptional {
		return app, nil
	}
	if subtle.ConstantTimeCompare([]byte(secret), []byte(app.ClientSecret)) != 1 || app.ClientSecret == "" {
		return nil, fail("invalid_client", "invalid client credentials")
	}
	return app, nil
}

func (s *Server) clientCredentials(r *http.Request) (map[string]string, *failure) {
	app, failed := s.client(r, true)
	if failed != nil {
		return nil, failed
	}
	if app.RunAs == "" {
		return nil, fail("invalid_grant", "no client credentials user enabled")
	}
	user, ok := s.org.UserByName(r.Context(), app.RunAs)
	if !ok {
		return nil, fail("invalid_grant", "no client credentials user enabled")
	}
	if !user.Active {
		return nil, fail("inactive_user", "user is inactive")
	}
	scope := strings.Join(slices.DeleteFunc(slices.Clone(scopesOf(app)), func(s string) bool { return s == "refresh_token" }), " ")
	answer := s.answer(r, app, user, scope, "")
	answer["api_instance_url"] = "https://api.salesforce.com"
	return answer, nil
}

func (s *Server) refresh(r *http.Request) (map[string]string, *failure) {
	app, failed := s.client(r, false)
	if failed != nil {
		return nil, failed
	}
	g, key, ok := s.find(r.PostForm.Get("refresh_token"), refreshToken)
	if !ok || g.ClientID != app.ClientID {
		return nil, fail("invalid_grant", "expired access/refresh token")
	}
	user, ok := s.org.UserByID(r.Context(), g.UserID)
	if !ok || !user.Active {
		return nil, fail("invalid_grant", "authentication failure")
	}
	if !app.RotateRefreshTokens {
		return s.answer(r, app, user, g.Scope, key), nil
	}
	s.mu.Lock()
	_, stillThere := s.grants[key]
	s.drop(key) // used up; its access tokens live on
	s.mu.Unlock()
	if !stillThere {
		return nil, fail("invalid_grant", "expired access/refresh token")
	}
	next := s.issue(grant{Kind: refreshToken, ClientID: app.ClientID, UserID: user.ID, Scope: g.Scope})
	answer := s.answer(r, app, user, g.Scope, hash(next))
	answer["refresh_token"] = next
	return answer, nil
}

// answer issues an access token and builds the token answer.
func (s *Server) answer(r *http.Request, app *scenario.App, user org.User, scope, parent string) map[string]string {
	token := s.issue(grant{Kind: accessToken, ClientID: app.ClientID, UserID: user.ID, Scope: scope, Parent: parent})
	identity := s.identityURL(r, user.ID)
	issued := strconv.FormatInt(s.org.Now().UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(app.ClientSecret))
	mac.Write([]byte(identity + issued))
	return map[string]string{
		"access_token": token, "instance_url": site.Base(r), "id": identity, "token_type": "Bearer", "issued_at": issued,
		"scope": scope, "signature": base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

func (s *Server) identityURL(r *http.Request, userID string) string {
	return site.Base(r) + "/id/" + s.org.ID + "/" + userID
}

func scopesOf(app *scenario.App) []string {
	if len(app.Scopes) > 0 {
		return app.Scopes
	}
	return []string{"api", "refresh_token", "id", "openid"}
}
