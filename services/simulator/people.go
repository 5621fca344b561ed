package simulator

import (
	"context"
	"errors"
	"net/http"

	"github.com/throughline-dev/throughline/services/simulator/internal/site"
)

// convert makes a contact of a lead; see Convert.
func (s *Simulator) convert(w http.ResponseWriter, r *http.Request) {
	t, err := s.target(r)
	if err == nil {
		var contact string
		if contact, err = t.org.Convert(r.Context(), r.URL.Query().Get("lead"), r.URL.Query().Get("account")); err == nil {
			writeJSON(w, http.StatusOK, map[string]string{"contact": contact})
			return
		}
	}
	writeError(w, err)
}

// merge merges a record into another of the same object; see Merge.
func (s *Simulator) merge(w http.ResponseWriter, r *http.Request) {
	t, err := s.target(r)
	if err == nil {
		query := r.URL.Query()
		if err = t.org.Merge(r.Context(), query.Get("winner"), query.Get("loser")); err == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	writeError(w, err)
}

var errPages = errors.New("pages")

type tenantKey struct{}

func withTenant(r *http.Request, t *tenant) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), tenantKey{}, t))
}

func (s *Simulator) pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = site.Base(r)
		http.Error(w, errPages.Error(), http.StatusNotFound)
	})
}
