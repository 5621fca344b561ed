package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// File is where an installation's keyset is kept, with mode 0600.
type File struct {
	Path string
	// Wrapper encrypts the keyset in the file, as a key service does; see package kms. The file alone then opens nothing.
	// Without one the file holds the keys themselves. Neither kind of file is read as the other.
	Wrapper tink.AEAD
}

// Times are the days in the life of a key; zero where they are not known.
type Times struct {
	Made     time.Time `json:"made,omitzero"`
	Promoted time.Time `json:"promoted,omitzero"`
	Retired  time.Time `json:"retired,omitzero"`
}

// content is what the file holds. Files made by older programs are a Tink keyset in JSON and nothing else.
type content struct {
	Version int              `json:"throughline_keyset"`
	Times   map[uint32]Times `json:"times,omitempty"`
	// Keyset is Tink's JSON form, of a keyset or of an encrypted one.
	Keyset json.RawMessage `json:"keyset"`
}

const contentVersion = 1

// LoadOrCreate reads the file, and makes one with a fresh key if there is none. When several processes create it at once,
// all of them end up with the same one. A file that others may read is refused: correct its mode first.
func (f File) LoadOrCreate(now time.Time) (*Installation, error) {
	inst, err := f.Load()
	if !errors.Is(err, fs.ErrNotExist) {
		return inst, err
	}
	fresh, err := newState()
	if err != nil {
		return nil, err
	}
	fresh.times[fresh.primary] = Times{Made: now.UTC(), Promoted: now.UTC()}
	if err := f.write(fresh, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("save installation key: %w", err)
	}
	return f.Load()
}

// Load reads the file, and fails where there is none.
func (f File) Load() (*Installation, error) {
	s, info, err := f.read()
	if err != nil {
		return nil, err
	}
	i := &Installation{file: &f, seen: info}
	i.state.Store(s)
	return i, nil
}

func (f File) read() (*state, os.FileInfo, error) {
	// Before the content, so that a change in between is found the next time.
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("read installation key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, nil, fmt.Errorf("installation key %s has mode %#o, others could read it: run chmod 0600", f.Path, mode)
	}
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("read installation key: %w", err)
	}
	c, err := decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("installation key %s is not a keyset: restore it from a backup", f.Path)
	}
	handle, err := f.open(c.Keyset)
	if err != nil {
		return nil, nil, err
	}
	s, err := stateOf(handle)
	if err != nil {
		return nil, nil, err
	}
	for id, t := range c.Times {
		s.times[id] = t
	}
	return s, info, nil
}

func decode(data []byte) (content, error) {
	var c content
	if err := json.Unmarshal(data, &c); err != nil {
		return content{}, err
	}
	switch {
	case c.Version == 0 && c.Keyset == nil:
		c.Keyset = data
	case c.Version != contentVersion:
		return content{}, errors.New("made by a newer program")
	}
	return c, nil
}

// open reads Tink's JSON. Its errors may quote the file, so they go no further: promise 8.
func (f File) open(data []byte) (*keyset.Handle, error) {
	encrypted, err := keyset.NewJSONReader(bytes.NewReader(data)).ReadEncrypted()
	isEncrypted := err == nil && len(encrypted.GetEncryptedKeyset()) > 0
	switch {
	case isEncrypted && f.Wrapper == nil:
		return nil, fmt.Errorf("installation key %s is wrapped by a key service: say which one", f.Path)
	case !isEncrypted && f.Wrapper != nil:
		// Never a fallback: whoever configures a key service must not believe that it protects what it does not.
		return nil, fmt.Errorf("installation key %s is not wrapped by the key service: wrap it first", f.Path)
	case !isEncrypted:
		handle, err := cleartext(keyset.NewJSONReader(bytes.NewReader(data)))
		if err != nil {
			return nil, fmt.Errorf("installation key %s is not a Tink keyset: restore it from a backup", f.Path)
		}
		return handle, nil
	}
	// Asked apart from Tink, which would hide why the service refuses.
	plain, err := f.Wrapper.Decrypt(encrypted.GetEncryptedKeyset(), nil)
	if err != nil {
		return nil, fmt.Errorf("the key service does not unwrap installation key %s: %w", f.Path, err)
	}
	handle, err := cleartext(keyset.NewBinaryReader(bytes.NewReader(plain)))
	if err != nil {
		return nil, fmt.Errorf("what installation key %s wraps is not a Tink keyset: restore it from a backup", f.Path)
	}
	return handle, nil
}

func (f File) encode(s *state) ([]byte, error) {
	var keys bytes.Buffer
	var err error
	if f.Wrapper == nil {
		err = insecurecleartextkeyset.Write(s.handle, keyset.NewJSONWriter(&keys))
	} else {
		err = s.handle.Write(keyset.NewJSONWriter(&keys), f.Wrapper)
	}
	if err != nil {
		return nil, fmt.Errorf("wrap installation key: %w", err)
	}
	return json.MarshalIndent(content{Version: contentVersion, Times: s.times, Keyset: keys.Bytes()}, "", "  ")
}

// write puts the keyset on disk so that Path holds the old content or all of the new, also after a power cut. place is
// os.Link, which never replaces a file, or os.Rename.
func (f File) write(s *state, place func(from, to string) error) error {
	data, err := f.encode(s)
	if err != nil {
		return err
	}
	dir := filepath.Dir(f.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".keyset-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := place(tmp.Name(), f.Path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
