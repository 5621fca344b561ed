package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/sfid"
)

// Kinds of grants.
const (
	accessToken  = "access"
	refreshToken = "refresh"
	authCode     = "code"
)

// grant is a token or an authorization code. Tokens are kept by their hash only.
type grant struct {
	Kind, ClientID, UserID, Scope string
	Issued, Used                  time.Time
	// Parent is the refresh token that an access token came from.
	Parent string
	// Challenge and RedirectURI belong to codes.
	Challenge, RedirectURI string
}

const (
	codeLifetime = 15 * time.Minute
	// maxGrants is how many refresh tokens a user may have for one app; another one ends the oldest.
	maxGrants = 5
	// touchEvery is how often the use of a token is noted.
	touchEvery = time.Minute
)

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func random() string {
	b := make([]byte, 48)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// issue makes a token or code and keeps it.
func (s *Server) issue(g grant) string {
	token := map[string]string{accessToken: sfid.Short(s.org.ID) + "!", refreshToken: "5Aep861", authCode: "aPrx"}[g.Kind] + random()
	g.Issued = s.org.Now()
	g.Used = g.Issued
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(hash(token), &g)
	if g.Kind == refreshToken {
		s.evict(g.ClientID, g.UserID)
	}
	return token
}

// put and drop need the lock to be held.
func (s *Server) put(key string, g *grant) {
	s.grants[key] = g
	if s.keep != nil {
		if data, err := json.Marshal(g); err == nil {
			s.keep(key, data)
		}
	}
}

func (s *Server) drop(key string) {
	delete(s.grants, key)
	if s.keep != nil {
		s.keep(key, nil)
	}
}

// Restore takes back a token that Keep stored.
func (s *Server) Restore(key string, value []byte) error {
	var g grant
	if err := json.Unmarshal(value, &g); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants[key] = &g
	return nil
}

// evict ends the oldest refresh tokens of a user and app beyond maxGrants.
func (s *Server) evict(clientID, userID string) {
	var keys []string
	for key, g := range s.grants {
		if g.Kind == refreshToken && g.ClientID == clientID && g.UserID == userID {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return s.grants[a].Issued.Compare(s.grants[b].Issued) })
	for _, key := range keys[:max(0, len(keys)-maxGrants)] {
		s.revokeKey(key)
	}
}

// revokeKey ends a grant and the access tokens that came from it. It needs the lock to be held.
func (s *Server) revokeKey(key string) {
	s.drop(key)
	for other, g := range s.grants {
		if g.Parent == key {
			s.drop(other)
		}
	}
}

// find returns a copy of a grant that is still good, and its key.
func (s *Server) find(token, kind string) (grant, string, bool) {
	key := hash(token)
	now := s.org.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[key]
	if !ok || g.Kind != kind {
		return grant{}, "", false
	}
	if s.expired(g, now) {
		s.revokeKey(key)
		return grant{}, "", false
	}
	if now.Sub(g.Used) > touchEvery && kind != authCode {
		g.Used = now
		s.put(key, g)
	}
	return *g, key, true
}

func (s *Server) expired(g *grant, now time.Time) bool {
	switch g.Kind {
	case accessToken:
		return now.Sub(g.Used) > s.timeout(g.ClientID)
	case authCode:
		return now.Sub(g.Issued) > codeLifetime
	}
	app := s.apps[g.ClientID]
	return app != nil && app.RefreshIdle > 0 && now.Sub(g.Used) > app.RefreshIdle
}

// Session is what a good access token stands for.
type Session struct {
	UserID, ClientID, Scope string
}

// Session finds the session of an access token.
func (s *Server) Session(token string) (Session, bool) {
	if !strings.HasPrefix(token, sfid.Short(s.org.ID)+"!") {
		return Session{}, false
	}
	g, _, ok := s.find(token, accessToken)
	return Session{UserID: g.UserID, ClientID: g.ClientID, Scope: g.Scope}, ok
}

// Expire ends the session of an access token.
func (s *Server) Expire(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(hash(token))
}

// ExpireAll ends all sessions; refresh tokens stay good. It returns how many there were.
func (s *Server) ExpireAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for key, g := range s.grants {
		if g.Kind == accessToken {
			s.drop(key)
			n++
		}
	}
	return n
}

// RevokeAll ends all sessions and refresh tokens, as when an administrator revokes an app.
func (s *Server) RevokeAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.grants)
	for key := range s.grants {
		s.drop(key)
	}
	return n
}
