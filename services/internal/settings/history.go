package settings

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// history answers which integration versions were in force at a time. Between two moments at which any version came
// into force the answer is the same, so it is worked out once per such interval, when first asked for.
type history struct {
	// versions of each integration, by id; within one, effective times strictly grow with versions.
	integrations [][]*configv1.Integration
	moments      []time.Time
	answers      []atomic.Pointer[[]*configv1.Integration]
}

func newHistory(all []*configv1.Integration) *history {
	byID := map[string][]*configv1.Integration{}
	var ids []string // as they come, which is sorted: sorting them again costs little
	for _, i := range all {
		if byID[i.GetId()] == nil {
			ids = append(ids, i.GetId())
		}
		byID[i.GetId()] = append(byID[i.GetId()], i)
	}
	h := &history{}
	for _, id := range ids {
		versions := reachable(byID[id])
		h.integrations = append(h.integrations, versions)
		for _, v := range versions {
			h.moments = append(h.moments, v.GetEffectiveFrom().AsTime())
		}
	}
	slices.SortFunc(h.integrations, func(a, b []*configv1.Integration) int {
		return strings.Compare(a[0].GetId(), b[0].GetId())
	})
	slices.SortFunc(h.moments, time.Time.Compare)
	h.moments = slices.CompactFunc(h.moments, time.Time.Equal)
	h.answers = make([]atomic.Pointer[[]*configv1.Integration], len(h.moments))
	return h
}

// reachable sorts the versions of one integration and drops those that a newer one, in force from the same moment or
// earlier, hides at all times.
func reachable(versions []*configv1.Integration) []*configv1.Integration {
	slices.SortFunc(versions, func(a, b *configv1.Integration) int { return cmp.Compare(b.GetVersion(), a.GetVersion()) })
	kept := versions[:1]
	for _, v := range versions[1:] {
		if v.GetEffectiveFrom().AsTime().Before(kept[len(kept)-1].GetEffectiveFrom().AsTime()) {
			kept = append(kept, v)
		}
	}
	slices.Reverse(kept)
	return kept
}

func (h *history) at(t time.Time) []*configv1.Integration {
	interval := after(h.moments, t) - 1
	if interval < 0 {
		return nil
	}
	if answer := h.answers[interval].Load(); answer != nil {
		return *answer
	}
	answer := make([]*configv1.Integration, 0, len(h.integrations))
	for _, versions := range h.integrations {
		newer := sort.Search(len(versions), func(i int) bool { return versions[i].GetEffectiveFrom().AsTime().After(t) })
		if newer > 0 && versions[newer-1].GetEnabled() {
			answer = append(answer, versions[newer-1])
		}
	}
	h.answers[interval].Store(&answer)
	return answer
}

// after returns the index of the first moment after t. Almost every event is newer than the newest change.
func after(moments []time.Time, t time.Time) int {
	n := len(moments)
	if n == 0 || !moments[n-1].After(t) {
		return n
	}
	return sort.Search(n, func(i int) bool { return moments[i].After(t) })
}
