package seal

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrOpen means that sealed bytes do not open: they were changed, belong to something else, or were sealed with a key
// that is not in this keyset. Trying again does not help.
var ErrOpen = errors.New("sealed data does not open with this key")

// Installation is the key of one installation. It opens with every key of its keyset and seals with the primary one, so
// keys rotate without a moment in which nothing can be read.
type Installation struct {
	state atomic.Pointer[state]
	file  *File // nil: in memory only

	mu   sync.Mutex
	seen os.FileInfo

	failed atomic.Pointer[failure]
}

// failure is a reading of the file that failed.
type failure struct {
	err error
	at  time.Time
}

// failureHold is how long what does not open does not make the file be read again after that has failed: behind it may be a
// key service that answers slowly, and much that does not open.
const failureHold = 5 * time.Second

// state is one content of the keyset. It never changes.
type state struct {
	handle  *keyset.Handle
	aead    tink.AEAD
	primary uint32
	times   map[uint32]Times
}

// NewInstallation makes a fresh key that lives in memory only.
func NewInstallation() (*Installation, error) {
	s, err := newState()
	if err != nil {
		return nil, err
	}
	i := &Installation{}
	i.state.Store(s)
	return i, nil
}

// LoadOrCreateInstallation is File.LoadOrCreate for a file without a key service.
func LoadOrCreateInstallation(path string) (*Installation, error) {
	return File{Path: path}.LoadOrCreate(time.Now())
}

// LoadInstallation is File.Load for a file without a key service.
func LoadInstallation(path string) (*Installation, error) { return File{Path: path}.Load() }

func newState() (*state, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make installation key: %w", err)
	}
	return stateOf(handle)
}

func stateOf(handle *keyset.Handle) (*state, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use installation key: %w", err)
	}
	primary, err := handle.Primary()
	if err != nil {
		return nil, fmt.Errorf("use installation key: %w", err)
	}
	return &state{handle: handle, aead: primitive, primary: primary.KeyID(), times: map[uint32]Times{}}, nil
}

// Reload takes the keyset from the file if that has changed, and reports whether it did. On an error the keys stay as they
// are.
func (i *Installation) Reload() (bool, error) {
	if i.file == nil {
		return false, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	changed, err := i.reload()
	if err != nil {
		i.failed.Store(&failure{err, time.Now()})
	} else {
		i.failed.Store(nil)
	}
	return changed, err
}

func (i *Installation) reload() (bool, error) {
	info, err := os.Stat(i.file.Path)
	if err != nil {
		return false, fmt.Errorf("read installation key: %w", err)
	}
	if same(info, i.seen) {
		return false, nil
	}
	s, info, err := i.file.read()
	if err != nil {
		return false, err
	}
	i.seen = info
	i.state.Store(s)
	return true, nil
}

func (i *Installation) reloadUnlessFailing() error {
	if last := i.failed.Load(); last != nil && time.Since(last.at) < failureHold {
		return last.err
	}
	_, err := i.Reload()
	return err
}

// Seal encrypts plain and binds it to associated, which must be given again to open it and is not secret.
func (i *Installation) Seal(plain, associated []byte) ([]byte, error) {
	sealed, err := i.state.Load().aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made with the same associated data. The error is ErrOpen otherwise; another error means that the
// keyset has changed and cannot be read, which may pass.
func (i *Installation) Open(sealed, associated []byte) ([]byte, error) {
	return i.opening(func(a tink.AEAD) ([]byte, error) { return a.Decrypt(sealed, associated) })
}

// opening tries with the keys in memory and then, if the file has changed meanwhile, with those: another process may seal
// with a key that this one has not seen yet.
func (i *Installation) opening(decrypt func(tink.AEAD) ([]byte, error)) ([]byte, error) {
	tried := i.state.Load()
	plain, err := decrypt(tried.aead)
	if err == nil {
		return plain, nil
	}
	if err := i.reloadUnlessFailing(); err != nil {
		return nil, fmt.Errorf("open: the keyset in memory lacks a key: %w", err)
	}
	if now := i.state.Load(); now != tried {
		if plain, err = decrypt(now.aead); err == nil {
			return plain, nil
		}
	}
	return nil, ErrOpen
}
