package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throughline-dev/throughline/services/simulator/internal/bulk"
	"github.com/throughline-dev/throughline/services/simulator/internal/changes"
	"github.com/throughline-dev/throughline/services/simulator/internal/journal"
	"github.com/throughline-dev/throughline/services/simulator/internal/oauth"
	"github.com/throughline-dev/throughline/services/simulator/internal/org"
	"github.com/throughline-dev/throughline/services/simulator/internal/quota"
	"github.com/throughline-dev/throughline/services/simulator/internal/rest"
	"github.com/throughline-dev/throughline/services/simulator/internal/scenario"
)

// tenant is one org with everything that serves it.
type tenant struct {
	org     *org.Org
	auth    *oauth.Server
	quota   *quota.Quota
	batches *quota.Quota
	queries *quota.Quota
	rest    *rest.Server
	spec    scenario.Org // as it was given, with records
	ordinal int
	changes *changes.Log   // nil when there are no change events
	deliver *quota.Quota   // of change events
	saved   [4]quota.State // in the order of quotas; used by Run's goroutine and by Close after it
	moved   atomic.Pointer[string]
}

func (s *Simulator) tenant(o *org.Org, spec scenario.Org, ordinal int) *tenant {
	t := &tenant{org: o, spec: spec, ordinal: ordinal, quota: newQuota(o.Spec)}
	t.batches = quota.New(cmp.Or(o.Spec.API.BulkBatches, bulk.Batches), 1, longAfter)
	t.queries = quota.New(bulk.Queries, 1, longAfter)
	t.deliver = quota.New(deliveries(o.Spec), 1, longAfter)
	t.quota.Use(s.clock.Now(), o.Spec.API.Used)
	t.auth = oauth.New(oauth.Deps{Org: o, Known: s.knowsApp, Keep: s.keeper(o.Key)})
	t.rest = rest.New(rest.Deps{
		Org: o, Auth: t.auth, Quota: t.quota, Batches: t.batches, Queries: t.queries, Faults: s.faults, Stats: s.stats, Wall: s.deps.Clock.Now,
	})
	return t
}

func (s *Simulator) knowsApp(clientID string) bool {
	for _, t := range s.all() {
		if t.auth.HasApp(clientID) {
			return true
		}
	}
	return false
}

func tokenKey(org, name string) string { return "token/" + org + "/" + name }

// keeper stores tokens; it returns nil when nothing is kept.
func (s *Simulator) keeper(key string) func(name string, value []byte) {
	if s.journal == nil {
		return nil
	}
	return func(name string, value []byte) {
		ticket := s.journal.Append(journal.Batch{Entries: []journal.Entry{{Key: tokenKey(key, name), Value: value}}})
		if err := ticket.Wait(context.Background()); err != nil {
			s.deps.Logger.Error("a token is not kept", "org", key, "error", err)
		}
	}
}

// quotas returns the counters that are stored, by the first part of their key.
func (t *tenant) quotas() [4]struct {
	key   string
	quota *quota.Quota
} {
	return [4]struct {
		key   string
		quota *quota.Quota
	}{
		{"quota/" + t.org.Key, t.quota},
		{"batches/" + t.org.Key, t.batches},
		{"queryjobs/" + t.org.Key, t.queries},
		{"deliveries/" + t.org.Key, t.deliver},
	}
}

// keepQuotas stores the call counters that have changed since they were last stored.
func (s *Simulator) keepQuotas() {
	if s.journal == nil {
		return
	}
	for _, t := range s.all() {
		for i, q := range t.quotas() {
			state := q.quota.Save()
			if state == t.saved[i] {
				continue
			}
			t.saved[i] = state
			if value, err := json.Marshal(state); err == nil {
				s.journal.Append(journal.Batch{Entries: []journal.Entry{{Key: q.key, Value: value}}})
			}
		}
	}
}

// restore takes back the tokens, the call counters and the bulk jobs that were kept.
func (t *tenant) restore(ctx context.Context, j *journal.Journal) error {
	for _, q := range t.quotas() {
		err := j.Entries(ctx, q.key, func(key string, value []byte) error {
			var state quota.State
			if key != q.key {
				return nil
			}
			if err := json.Unmarshal(value, &state); err != nil {
				return fmt.Errorf("read call counters: %w", err)
			}
			q.quota.Restore(state)
			return nil
		})
		if err != nil {
			return err
		}
	}
	prefix := tokenKey(t.org.Key, "")
	err := j.Entries(ctx, prefix, func(key string, value []byte) error {
		return t.auth.Restore(strings.TrimPrefix(key, prefix), value)
	})
	if err != nil {
		return err
	}
	return t.rest.Restore(ctx)
}

// Allowances by edition, as documented by Salesforce.
const (
	developerCalls    = 15_000
	baseCalls         = 100_000
	licenceCalls      = 1_000
	unlimitedLicence  = 5_000
	fullSandboxCalls  = 5_000_000
	longRequests      = 25
	longRequestsSmall = 5
	longAfter         = 20 * time.Second
)

func newQuota(spec scenario.Org) *quota.Quota {
	edition := strings.ToLower(spec.Edition)
	small := strings.Contains(edition, "developer") || strings.Contains(edition, "trial")
	calls := baseCalls + licenceCalls*spec.API.Licences
	switch {
	case spec.Sandbox:
		calls = fullSandboxCalls
	case small:
		calls = developerCalls
	case strings.Contains(edition, "unlimited"), strings.Contains(edition, "performance"):
		calls = baseCalls + unlimitedLicence*spec.API.Licences
	}
	long := longRequests
	if small {
		long = longRequestsSmall
	}
	return quota.New(cmp.Or(spec.API.DailyLimit, calls), cmp.Or(spec.API.LongRequests, long), cmp.Or(spec.API.LongAfter, longAfter))
}
