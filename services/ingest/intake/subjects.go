package intake

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// Subjects seals who an event is about and remembers the result: the same viewer sends an event every few seconds, and
// sealing costs more than everything else that ingest does with one. Reusing the sealed bytes of the same plaintext
// tells a reader of the topic nothing that the person key beside them does not. Safe for concurrent use.
//
// It keeps between size and 2×size people, some 300 bytes each: two generations, of which the older is forgotten when the
// younger is full. Promise 7.
type Subjects struct {
	size int

	mu         sync.Mutex
	young, old map[subjectKey]subject
}

// subjectKey holds the workspace as the settings have it now, so that new keys of a workspace make new subjects.
type subjectKey struct {
	workspace         *settings.Workspace
	email, name, sent string
}

type subject struct {
	key    string
	sealed []byte
}

// NewSubjects returns an empty cache.
func NewSubjects(size int) *Subjects {
	return &Subjects{size: max(size, 1), young: map[subjectKey]subject{}}
}

// get returns the person key and the sealed personal data of a normalised address.
func (s *Subjects) get(ws *settings.Workspace, a address) (subject, error) {
	key := subjectKey{workspace: ws, email: a.email, name: a.name, sent: a.sent}
	if found, ok := s.lookup(key); ok {
		return found, nil
	}
	made, err := seal(ws, a)
	if err != nil {
		return subject{}, err
	}
	// The strings are parts of the whole event, which must not be kept for them.
	key.email, key.name, key.sent = strings.Clone(key.email), strings.Clone(key.name), strings.Clone(key.sent)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(key, made)
	return made, nil
}

func (s *Subjects) lookup(key subjectKey) (subject, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.young[key]; ok {
		return found, true
	}
	found, ok := s.old[key]
	if !ok {
		return subject{}, false
	}
	delete(s.old, key)
	key.email, key.name, key.sent = strings.Clone(key.email), strings.Clone(key.name), strings.Clone(key.sent)
	s.keep(key, found)
	return found, true
}

// keep needs the lock, and a key whose strings are its own.
func (s *Subjects) keep(key subjectKey, made subject) {
	if len(s.young) >= s.size {
		s.old, s.young = s.young, make(map[subjectKey]subject, s.size)
	}
	s.young[key] = made
}

// clear forgets everybody.
func (s *Subjects) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.young, s.old = map[subjectKey]subject{}, nil
}

// Len returns how many people are remembered.
func (s *Subjects) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.young) + len(s.old)
}

func seal(ws *settings.Workspace, a address) (subject, error) {
	plain, err := proto.Marshal(&streamv1.PersonalData{Email: a.email, Name: a.name, EmailAsSent: a.sent})
	if err != nil {
		return subject{}, fmt.Errorf("encode personal data: %w", err)
	}
	// Promise 8: from here on the address exists only sealed and as a keyed hash.
	sealed, err := ws.Keys().Seal(plain)
	if err != nil {
		return subject{}, err
	}
	return subject{key: ws.Keys().PersonKey(a.email), sealed: sealed}, nil
}
