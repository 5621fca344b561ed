package settings

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// newSuppressed indexes suppressions by person key.
func newSuppressed(all []*configv1.Suppression) map[string]*configv1.Suppression {
	if len(all) == 0 {
		return nil
	}
	byKey := make(map[string]*configv1.Suppression, len(all))
	for _, s := range all {
		byKey[s.GetPersonKey()] = s
	}
	return byKey
}

// Suppresses reports whether anybody was ever erased here, so that who asks often need not make a key for the answer.
func (w *Workspace) Suppresses() bool { return len(w.suppressed) > 0 }

// Erased reports whether what a person did at a time must not be recorded: the person was erased, and the suppression was
// not lifted before that (XC-31). It does not matter whether the deed or the erasure came first: a replay brings back what
// was before. The empty key is nobody's.
func (w *Workspace) Erased(personKey string, at time.Time) bool {
	if len(w.suppressed) == 0 || personKey == "" {
		return false
	}
	s, ok := w.suppressed[personKey]
	return ok && (s.GetLiftedAt() == nil || at.Before(s.GetLiftedAt().AsTime()))
}

// Erased is Workspace.Erased of the workspace; nobody is erased in one that the settings do not know.
func (v *View) Erased(workspace, personKey string, at time.Time) bool {
	if v == nil || personKey == "" {
		return false
	}
	w, ok := v.byID[workspace]
	return ok && w.Erased(personKey, at)
}

// ErasureMark changes with every suppression that is added or lifted, in any workspace; 0 while there are none. Whoever
// keeps something about people looks through it again when the mark is another one.
func (v *View) ErasureMark() uint64 {
	if v == nil {
		return 0
	}
	return v.erasureMark
}

// erasureMark is a hash of all suppressions, whatever their order.
func erasureMark(workspaces []*Workspace) uint64 {
	sum := fnv.New64a()
	some := false
	for _, w := range workspaces {
		keys := make([]string, 0, len(w.suppressed))
		for key := range w.suppressed {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, strings.Compare)
		for _, key := range keys {
			s := w.suppressed[key]
			some = true
			var at [16]byte
			binary.BigEndian.PutUint64(at[:8], uint64(s.GetSince().AsTime().UnixNano()))
			if s.GetLiftedAt() != nil {
				binary.BigEndian.PutUint64(at[8:], uint64(s.GetLiftedAt().AsTime().UnixNano()))
			}
			_, _ = sum.Write([]byte(w.ID() + "\x00" + key + "\x00"))
			_, _ = sum.Write(at[:])
		}
	}
	if !some {
		return 0
	}
	return max(1, sum.Sum64())
}
