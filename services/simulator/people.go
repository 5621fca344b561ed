package simulator

import (
	"net/http"

	"github.com/throughline-dev/throughline/services/simulator/internal/web"
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

// undelete takes a record out of the recycle bin; see org.Undelete.
func (s *Simulator) undelete(w http.ResponseWriter, r *http.Request) {
	t, err := s.target(r)
	if err == nil {
		if err = t.org.Undelete(r.Context(), r.URL.Query().Get("id")); err == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	writeError(w, err)
}

// pageCalls is how many of the latest calls an org's page may show.
const pageCalls = 20

// pages shows the list of orgs.
func (s *Simulator) pages() *web.Server {
	return web.New(func() []web.Tenant {
		var list []web.Tenant
		for _, t := range s.all() {
			list = append(list, s.page(t))
		}
		return list
	})
}

func (s *Simulator) page(t *tenant) web.Tenant {
	used, limit := t.quota.Usage(s.clock.Now())
	return web.Tenant{Org: t.org, Used: used, Limit: limit, Calls: s.stats.Last(t.org.Key, pageCalls)}
}
