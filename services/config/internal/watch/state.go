package watch

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

const (
	// keptAnswers is how many encoded answers a state keeps: one for those that begin, one for those that follow, and a few
	// for those that missed something.
	keptAnswers = 4
	// keptRemoved is how many workspaces that are gone a state remembers. Beyond, watchers get everything.
	keptRemoved = 1000
)

// State is all settings at one revision, encoded once for all watchers. It never changes.
type State struct {
	revision int64
	lineage  string
	// known is the revision from which on every change is known.
	known      int64
	workspaces []*workspace // by id
	removed    map[string]int64
	partBytes  int
	whole      func() *configv1.WatchResponse

	mu      sync.Mutex
	answers map[int64][]*configv1.WatchResponse
}

// workspace is one workspace's settings, as a WorkspaceSnapshot in bytes, and the last revision known to have changed them.
type workspace struct {
	id      string
	encoded []byte
	changed int64
	// amendments are the last changes, oldest first.
	amendments []amendment
}

// encoding is deterministic, so that what did not change has the same bytes.
var encoding = proto.MarshalOptions{Deterministic: true}

// next returns the state after old, which is nil at first, from what the store read and what was built of it.
func next(old *State, raw store.Snapshot, built *configv1.Snapshot, partBytes int) (*State, error) {
	s := &State{
		revision: raw.Revision, lineage: raw.Lineage, known: raw.Known, partBytes: partBytes,
		removed: map[string]int64{}, answers: map[int64][]*configv1.WatchResponse{},
	}
	s.whole = sync.OnceValue(s.encodeWhole)
	before := map[string]*workspace{}
	follows := old != nil && old.lineage == raw.Lineage && old.revision <= raw.Revision
	if follows {
		s.known, s.removed = old.known, maps.Clone(old.removed)
		for _, w := range old.workspaces {
			before[w.id] = w
		}
	}
	for _, ws := range built.GetWorkspaces() {
		w, err := s.encode(ws, raw.Touched, follows)
		if err != nil {
			return nil, err
		}
		id := w.id
		switch was := before[id]; {
		case was == nil:
		case string(was.encoded) == string(w.encoded):
			w = was
		default:
			w.amend(was)
		}
		s.workspaces = append(s.workspaces, w)
		delete(before, id)
		delete(s.removed, id)
	}
	s.keepOrRemove(raw, before)
	slices.SortFunc(s.workspaces, func(a, b *workspace) int { return strings.Compare(a.id, b.id) })
	return s, nil
}

func (s *State) encode(ws *configv1.WorkspaceSnapshot, touched map[string]int64, follows bool) (*workspace, error) {
	w := &workspace{id: ws.GetWorkspace().GetId(), changed: s.revision}
	if !follows {
		w.changed = touched[w.id] // 0: before all that is known
	}
	var err error
	w.encoded, err = encoding.Marshal(ws)
	return w, err
}

// keepOrRemove settles what was there and was not built: of a partial snapshot the untouched stay, all else is gone.
func (s *State) keepOrRemove(raw store.Snapshot, before map[string]*workspace) {
	for id, w := range before {
		if raw.Since != 0 && raw.Touched[id] == 0 {
			s.workspaces = append(s.workspaces, w)
		} else {
			s.removed[id] = s.revision
		}
	}
	there := make(map[string]bool, len(s.workspaces))
	for _, w := range s.workspaces {
		there[w.id] = true
	}
	for id, revision := range raw.Touched {
		if !there[id] {
			s.removed[id] = cmp.Or(s.removed[id], revision)
		}
	}
	if len(s.removed) > keptRemoved { // Promise 7
		s.removed, s.known = map[string]int64{}, s.revision
	}
}

// Revision grows with every change of any setting.
func (s *State) Revision() int64 { return s.revision }

// Lineage is that of the database the revision is of.
func (s *State) Lineage() string { return s.lineage }

// Whole is the answer to watchers that do not take pieces. It is shared and must not be changed.
func (s *State) Whole() *configv1.WatchResponse { return s.whole() }

// Since are the answers to a watcher that takes pieces and has an earlier revision of some lineage. They are shared and must
// not be changed.
func (s *State) Since(revision int64, lineage string) []*configv1.WatchResponse {
	if lineage != s.lineage || revision < s.known || revision > s.revision {
		revision = 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, ok := s.answers[revision]
	if !ok {
		answer = s.encodeSince(revision)
		if len(s.answers) < keptAnswers {
			s.answers[revision] = answer
		}
	}
	return answer
}
