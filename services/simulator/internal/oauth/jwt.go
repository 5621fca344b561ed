package oauth

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/site"
)

// maxAssertionAge is how far ahead an assertion's expiry may lie.
const maxAssertionAge = 10 * time.Minute

type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Expires  float64         `json:"exp"`
}

func (s *Server) jwtBearer(r *http.Request) (map[string]string, *failure) {
	header, payload, signature, err := splitAssertion(r.PostForm.Get("assertion"))
	var c claims
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return nil, fail("invalid_grant", "invalid assertion")
	}
	app, failed := s.app(r, c.Issuer)
	if failed != nil {
		return nil, failed
	}
	key, err := publicKey(app.Certificate)
	if err != nil {
		return nil, fail("invalid_grant", "user hasn't approved this consumer")
	}
	sum := sha256.Sum256([]byte(header))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) != nil {
		return nil, fail("invalid_grant", "Invalid JWT Signature.")
	}
	if !s.audience(r, c.Audience) {
		return nil, fail("invalid_grant", "Audience validation failed")
	}
	now, expires := s.org.Now(), time.Unix(int64(c.Expires), 0)
	if expires.Before(now) || expires.After(now.Add(maxAssertionAge)) {
		return nil, fail("invalid_grant", "expired authorization code")
	}
	user, ok := s.org.UserByName(r.Context(), c.Subject)
	if !ok {
		return nil, fail("invalid_grant", "user hasn't approved this consumer")
	}
	if !user.Active {
		return nil, fail("inactive_user", "user is inactive")
	}
	if len(app.AdminApproved) > 0 && !slices.ContainsFunc(app.AdminApproved, func(name string) bool { return strings.EqualFold(name, c.Subject) }) {
		return nil, fail("invalid_app_access", "user is not admin approved to access this app")
	}
	scope := strings.Join(slices.DeleteFunc(slices.Clone(scopesOf(app)), func(s string) bool { return s == "refresh_token" }), " ")
	return s.answer(r, app, user, scope, ""), nil
}

// splitAssertion returns the signed part, the claims and the signature. Only RS256 is accepted.
func splitAssertion(assertion string) (signed string, payload, signature []byte, err error) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "", nil, nil, errors.New("not three parts")
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return "", nil, nil, err
	}
	if err := json.Unmarshal(raw, &head); err != nil || head.Algorithm != "RS256" {
		return "", nil, nil, errors.New("algorithm is not RS256")
	}
	if payload, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		return "", nil, nil, err
	}
	signature, err = base64.RawURLEncoding.DecodeString(parts[2])
	return parts[0] + "." + parts[1], payload, signature, err
}

// audience accepts the generic login hosts and the org's own address.
func (s *Server) audience(r *http.Request, raw json.RawMessage) bool {
	var one string
	var many []string
	if json.Unmarshal(raw, &one) == nil {
		many = []string{one}
	} else if json.Unmarshal(raw, &many) != nil {
		return false
	}
	good := []string{"https://login.salesforce.com", site.Base(r), site.Base(r) + "/services/oauth2/token"}
	if s.org.Spec.Sandbox {
		good[0] = "https://test.salesforce.com"
	}
	return slices.ContainsFunc(many, func(a string) bool { return slices.Contains(good, strings.TrimSuffix(a, "/")) })
}

func publicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	var key any
	if block.Type == "CERTIFICATE" {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		key = cert.PublicKey
	} else {
		var err error
		if key, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return nil, err
		}
	}
	if k, ok := key.(*rsa.PublicKey); ok {
		return k, nil
	}
	return nil, errors.New("not an RSA key")
}
