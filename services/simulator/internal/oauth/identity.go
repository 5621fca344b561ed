package oauth

import (
	"net/http"
	"strings"

	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
	"github.com/throughline-dev/throughline/services/simulator/internal/site"
)

// bearer returns the access token of a request, from the header or the parameter.
func bearer(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && (strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "OAuth")) {
		return strings.TrimSpace(token)
	}
	return r.FormValue("access_token")
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	token := r.FormValue("token")
	if token == "" {
		writeJSON(w, http.StatusBadRequest, fail("invalid_request", "missing required parameter: token"))
		return
	}
	key := hash(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[key]
	if !ok || g.Kind == authCode {
		writeJSON(w, http.StatusBadRequest, fail("invalid_token", "invalid token: "+g.describe()))
		return
	}
	s.revokeKey(key)
	w.WriteHeader(http.StatusOK)
}

func (g *grant) describe() string {
	if g == nil {
		return "not known or already revoked"
	}
	return "an authorization code cannot be revoked"
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		writeJSON(w, http.StatusBadRequest, fail("invalid_request", "the form cannot be read"))
		return
	}
	if _, failed := s.client(r, true); failed != nil {
		writeJSON(w, http.StatusUnauthorized, failed)
		return
	}
	token := r.PostForm.Get("token")
	kind, name := accessToken, "access_token"
	g, _, ok := s.find(token, accessToken)
	if !ok {
		kind, name = refreshToken, "refresh_token"
		g, _, ok = s.find(token, kind)
	}
	if !ok {
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	user, _ := s.org.UserByID(r.Context(), g.UserID)
	answer := map[string]any{
		"active": true, "scope": g.Scope, "client_id": g.ClientID, "username": user.Username, "sub": s.identityURL(r, g.UserID),
		"token_type": name, "iat": g.Issued.Unix(), "nbf": g.Issued.Unix(),
	}
	if kind == accessToken {
		answer["exp"] = g.Used.Add(s.timeout(g.ClientID)).Unix()
	}
	writeJSON(w, http.StatusOK, answer)
}

// signedIn finds the user of a request, or answers as the identity services do.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request) (org.User, bool) {
	token := bearer(r)
	if token == "" {
		http.Error(w, "Missing_OAuth_Token", http.StatusForbidden)
		return org.User{}, false
	}
	session, ok := s.Session(token)
	if ok {
		if user, found := s.org.UserByID(r.Context(), session.UserID); found {
			return user, true
		}
	}
	http.Error(w, "Bad_OAuth_Token", http.StatusForbidden)
	return org.User{}, false
}

func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	user, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	answer := s.profileOf(r, user)
	for key, v := range map[string]any{
		"sub": s.identityURL(r, user.ID), "preferred_username": user.Username, "nickname": nickname(user), "name": user.Name,
		"email_verified": true, "given_name": user.FirstName, "family_name": user.LastName, "zoneinfo": user.TimeZone,
		"locale": user.Language, "updated_at": s.org.Now().UTC().Format("2006-01-02T15:04:05Z"), "profile": site.Base(r) + "/" + user.ID,
	} {
		answer[key] = v
	}
	writeJSON(w, http.StatusOK, answer)
}

func nickname(u org.User) string {
	local, _, _ := strings.Cut(u.Username, "@")
	return local
}

// profileOf holds what userinfo and the identity URL have in common.
func (s *Server) profileOf(r *http.Request, user org.User) map[string]any {
	base := site.Base(r)
	data := base + "/services/data/v{version}/"
	urls := map[string]string{
		"enterprise": base + "/services/Soap/c/{version}/" + sfid.Short(s.org.ID), "metadata": base + "/services/Soap/m/{version}/" + sfid.Short(s.org.ID),
		"partner": base + "/services/Soap/u/{version}/" + sfid.Short(s.org.ID), "rest": data, "sobjects": data + "sobjects/",
		"search": data + "search/", "query": data + "query/", "recent": data + "recent/", "profile": base + "/" + user.ID,
		"custom_domain": base,
	}
	if version := r.FormValue("version"); version != "" {
		if version == "latest" {
			version = "67.0"
		}
		for key, u := range urls {
			urls[key] = strings.ReplaceAll(u, "{version}", version)
		}
	}
	return map[string]any{
		"user_id": user.ID, "organization_id": s.org.ID, "email": user.Email, "language": user.Language, "urls": urls,
		"active": user.Active, "user_type": "STANDARD",
		"photos": map[string]string{"picture": base + "/profilephoto/005/F", "thumbnail": base + "/profilephoto/005/T"},
	}
}

// identity answers GET /id/<org>/<user>.
func (s *Server) identity(w http.ResponseWriter, r *http.Request, path string) {
	user, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	orgID, userID, _ := strings.Cut(strings.Trim(path, "/"), "/")
	if sfid.Short(orgID) != sfid.Short(s.org.ID) || sfid.Short(userID) != sfid.Short(user.ID) {
		http.Error(w, "Wrong_Org_Or_User", http.StatusForbidden)
		return
	}
	answer := s.profileOf(r, user)
	for key, v := range map[string]any{
		"id": s.identityURL(r, user.ID), "asserted_user": true, "username": user.Username, "nick_name": nickname(user),
		"display_name": user.Name, "first_name": user.FirstName, "last_name": user.LastName, "timezone": user.TimeZone,
		"locale": user.Language, "is_app_installed": true,
	} {
		answer[key] = v
	}
	writeJSON(w, http.StatusOK, answer)
}
