package edge

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/throughline-dev/throughline/services/internal/settings"
)

// keyPrefix begins every API key, so that a leaked one is recognised: tl_<workspace>_<key id>_<secret>.
const keyPrefix = "tl"

// Authenticate returns the workspace that the request's API key belongs to. Nothing tells a caller whether workspace,
// key or secret was wrong.
func Authenticate(view *settings.View, r *http.Request, now time.Time) (*settings.Workspace, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := strings.SplitN(token, "_", 4)
	if !strings.EqualFold(scheme, "Bearer") || len(parts) != 4 || parts[0] != keyPrefix {
		return nil, false
	}
	// The secret is hashed whether or not there is such a key, so that the time taken tells nothing.
	hash := sha256.Sum256([]byte(parts[3]))
	var want []byte
	workspace, found := view.Workspace(parts[1])
	if found {
		key, ok := workspace.APIKey(parts[2])
		if ok && (key.GetExpiresAt() == nil || now.Before(key.GetExpiresAt().AsTime())) {
			want = key.GetSecretHash()
		}
	}
	if subtle.ConstantTimeCompare(hash[:], want) != 1 {
		return nil, false
	}
	return workspace, true
}
