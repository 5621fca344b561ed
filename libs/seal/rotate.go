package seal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// KeyState is what a key is used for.
type KeyState string

// The states, in the order in which a key goes through them.
const (
	// KeyStandby opens and does not seal yet: it is being made known to every process.
	KeyStandby KeyState = "standby"
	// KeyPrimary seals. There is always one.
	KeyPrimary KeyState = "primary"
	// KeyRetired was the primary one and still opens what it sealed.
	KeyRetired KeyState = "retired"
	// KeyDisabled neither seals nor opens, and can be enabled again.
	KeyDisabled KeyState = "disabled"
)

// KeyInfo tells of a key all that is not secret.
type KeyInfo struct {
	// ID begins everything that the key has sealed.
	ID    uint32   `json:"id"`
	State KeyState `json:"state"`
	Times
}

// MaxKeys is the most keys of a keyset: every one of them is kept in memory and tried.
const MaxKeys = 100

// Errors of rotation; what they wrap says what to do.
var (
	// ErrNoKey means that the keyset has no such key.
	ErrNoKey = errors.New("there is no such key")
	// ErrKeyState means that the key's state does not allow the change.
	ErrKeyState = errors.New("the key's state does not allow that")
)

// infoOf lists keys oldest first. Keys are appended, so those behind the primary one have never been it.
func infoOf(handle *keyset.Handle, times map[uint32]Times) ([]KeyInfo, error) {
	out := make([]KeyInfo, 0, handle.Len())
	state := KeyRetired
	for n := range handle.Len() {
		entry, err := handle.Entry(n)
		if err != nil {
			return nil, fmt.Errorf("list keys: %w", err)
		}
		info := KeyInfo{ID: entry.KeyID(), State: state, Times: times[entry.KeyID()]}
		switch {
		case entry.IsPrimary():
			info.State, state = KeyPrimary, KeyStandby
		case entry.KeyStatus() != keyset.Enabled:
			info.State = KeyDisabled
		}
		out = append(out, info)
	}
	return out, nil
}

// Keys lists the installation's keys, oldest first.
func (i *Installation) Keys() ([]KeyInfo, error) {
	s := i.state.Load()
	return infoOf(s.handle, s.times)
}

// Primary is the id of the key that seals.
func (i *Installation) Primary() uint32 { return i.state.Load().primary }

// find returns the key with the id.
func find(keys []KeyInfo, id uint32) (KeyInfo, error) {
	for _, k := range keys {
		if k.ID == id {
			return k, nil
		}
	}
	return KeyInfo{}, fmt.Errorf("key %d: %w", id, ErrNoKey)
}

// AddKey adds a standby key and returns its id. It seals nothing before Promote, so that every process can have it first.
// One standby key at a time.
func (f File) AddKey(now time.Time) (uint32, error) {
	var id uint32
	err := f.edit(func(m *keyset.Manager, keys []KeyInfo, times map[uint32]Times) error {
		if len(keys) >= MaxKeys {
			return fmt.Errorf("%d keys are the most: delete disabled ones: %w", MaxKeys, ErrKeyState)
		}
		for _, k := range keys {
			if k.State == KeyStandby {
				return fmt.Errorf("key %d is standing by: promote it: %w", k.ID, ErrKeyState)
			}
		}
		var err error
		id, err = m.Add(aead.AES256GCMKeyTemplate())
		times[id] = Times{Made: now.UTC()}
		return err
	})
	return id, err
}

// Promote makes a standby key the primary one. What older keys have sealed still opens.
func (f File) Promote(id uint32, now time.Time) error {
	return f.edit(func(m *keyset.Manager, keys []KeyInfo, times map[uint32]Times) error {
		k, err := find(keys, id)
		if err != nil {
			return err
		}
		if k.State != KeyStandby {
			return fmt.Errorf("key %d is %s, not standby: add a new one: %w", id, k.State, ErrKeyState)
		}
		for _, old := range keys {
			if old.State == KeyPrimary {
				t := times[old.ID]
				t.Retired = now.UTC()
				times[old.ID] = t
			}
		}
		t := times[id]
		t.Promoted = now.UTC()
		times[id] = t
		return m.SetPrimary(id)
	})
}

// Disable makes a retired key open nothing any more. First make sure that nothing is left that it sealed.
func (f File) Disable(id uint32) error {
	return f.edit(func(m *keyset.Manager, keys []KeyInfo, _ map[uint32]Times) error {
		k, err := find(keys, id)
		if err != nil {
			return err
		}
		if k.State != KeyRetired {
			return fmt.Errorf("key %d is %s, not retired: %w", id, k.State, ErrKeyState)
		}
		return m.Disable(id)
	})
}

// Enable undoes Disable.
func (f File) Enable(id uint32) error {
	return f.edit(func(m *keyset.Manager, keys []KeyInfo, _ map[uint32]Times) error {
		k, err := find(keys, id)
		if err != nil {
			return err
		}
		if k.State != KeyDisabled {
			return fmt.Errorf("key %d is %s, not disabled: %w", id, k.State, ErrKeyState)
		}
		return m.Enable(id)
	})
}

// Delete destroys a disabled key: whatever it sealed, backups included, can never be read again.
func (f File) Delete(id uint32) error {
	return f.edit(func(m *keyset.Manager, keys []KeyInfo, times map[uint32]Times) error {
		k, err := find(keys, id)
		if err != nil {
			return err
		}
		if k.State != KeyDisabled {
			return fmt.Errorf("key %d is %s; disable it first: %w", id, k.State, ErrKeyState)
		}
		delete(times, id)
		return m.Delete(id)
	})
}

// edit changes the file as one step: processes see the old keyset or the new one. Two edits at once are refused rather
// than one of them lost.
func (f File) edit(change func(*keyset.Manager, []KeyInfo, map[uint32]Times) error) error {
	s, seen, err := f.read()
	if err != nil {
		return err
	}
	keys, err := infoOf(s.handle, s.times)
	if err != nil {
		return err
	}
	m := keyset.NewManagerFromHandle(s.handle)
	if err := change(m, keys, s.times); err != nil {
		return err
	}
	handle, err := m.Handle()
	if err != nil {
		return fmt.Errorf("change installation key: %w", err)
	}
	next, err := stateOf(handle)
	if err != nil {
		return err
	}
	next.times = s.times
	return f.replace(next, seen)
}

// Rewrap writes the keyset of the file from under another wrapper, or none, into f: into a key service, or out of it.
func (f File) Rewrap(from File) error {
	s, seen, err := from.read()
	if err != nil {
		return err
	}
	if f.Path != from.Path {
		return fmt.Errorf("rewrap %s: want the same file", from.Path)
	}
	return f.replace(s, seen)
}

func (f File) replace(next *state, seen os.FileInfo) error {
	err := f.write(next, func(from, to string) error {
		// A lock would outlive a crash. What is left is the moment between this look and the rename.
		if info, err := os.Stat(to); err != nil || !same(info, seen) {
			return errors.Join(errors.New("somebody else changed it meanwhile: look at the keys and decide again"), err)
		}
		// Before the old one goes: a key service that wraps and does not unwrap would cost everything.
		if _, _, err := (File{Path: from, Wrapper: f.Wrapper}).read(); err != nil {
			return err
		}
		return os.Rename(from, to)
	})
	if err != nil {
		return fmt.Errorf("save installation key: %w", err)
	}
	return nil
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// cleartext reads a keyset that something else has decrypted. Tink's error may quote it: promise 8.
func cleartext(reader keyset.Reader) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(reader)
	if err != nil {
		return nil, ErrOpen
	}
	return handle, nil
}
