package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrOpen means that sealed bytes do not open: they were changed, belong to something else, or were sealed with a key
// that is not in this keyset. Trying again does not help.
var ErrOpen = errors.New("sealed data does not open with this key")

// Installation is the key of one installation. It opens with every key of its keyset and seals with the primary one, so
// keys rotate without a moment in which nothing can be read.
type Installation struct {
	handle *keyset.Handle
	aead   tink.AEAD
}

// NewInstallation makes a fresh key that lives in memory only.
func NewInstallation() (*Installation, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make installation key: %w", err)
	}
	return newInstallation(handle)
}

// LoadOrCreateInstallation reads the keyset file at path, a Tink keyset in JSON, and makes a fresh one with mode 0600
// if there is none. When several processes create it at once, all of them end up with the same one. A file that others
// may read is refused: correct its mode first.
func LoadOrCreateInstallation(path string) (*Installation, error) {
	inst, err := LoadInstallation(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return inst, err
	}
	inst, err = NewInstallation()
	if err != nil {
		return nil, err
	}
	if err := inst.create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("save installation key: %w", err)
	}
	return LoadInstallation(path)
}

// LoadInstallation reads the keyset file that LoadOrCreateInstallation has made, and fails where there is none.
func LoadInstallation(path string) (*Installation, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read installation key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("installation key %s has mode %#o, others could read it: run chmod 0600", path, mode)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read installation key: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(data)))
	if err != nil {
		// Tink's errors may quote the file: promise 8.
		return nil, fmt.Errorf("installation key %s is not a Tink keyset: restore it from a backup", path)
	}
	return newInstallation(handle)
}

func newInstallation(handle *keyset.Handle) (*Installation, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use installation key: %w", err)
	}
	return &Installation{handle: handle, aead: primitive}, nil
}

// create writes the keyset so that path either holds all of it or does not exist, and never replaces another one.
func (i *Installation) create(path string) error {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(i.handle, keyset.NewJSONWriter(&buf)); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".keyset-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(buf.Bytes())
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), path)
}

// Seal encrypts plain and binds it to associated, which must be given again to open it and is not secret.
func (i *Installation) Seal(plain, associated []byte) ([]byte, error) {
	sealed, err := i.aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made with the same associated data; the error is ErrOpen otherwise.
func (i *Installation) Open(sealed, associated []byte) ([]byte, error) {
	plain, err := i.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
