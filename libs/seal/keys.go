package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/prf/hmacprf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	wrappedVersion = 1
	hashSize       = 16

	// Purposes keep a person key and a content hash of the same bytes apart.
	purposeEmail   = "email:"
	purposeContent = "content:"
)

// Keys are the keys of one tenant.
type Keys struct {
	tenant []byte
	aead   tink.AEAD
	macs   sync.Pool // of *mac
}

// mac is the keyed state of one HMAC, with the memory it needs.
type mac struct {
	hash hash.Hash
	in   []byte
	sum  [sha256.Size]byte
}

// NewKeys makes fresh hashing and sealing keys for a tenant and returns them wrapped with the installation's key. The
// wrapped bytes open for this tenant only.
func (i *Installation) NewKeys(tenant string) ([]byte, error) {
	hashing, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make hashing key: %w", err)
	}
	// XAES-256-GCM is AES-256-GCM with a 192-bit nonce: a tenant seals more messages than the 2^32 that random 96-bit
	// nonces allow for one key.
	sealing, err := keyset.NewHandle(aead.XAES256GCM192BitNonceKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make sealing key: %w", err)
	}
	wrapped := []byte{wrappedVersion}
	for _, part := range []struct {
		handle *keyset.Handle
		name   string
	}{{hashing, "hashing"}, {sealing, "sealing"}} {
		var buf bytes.Buffer
		err := part.handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), i.aead, wrapContext(tenant, part.name))
		if err != nil {
			return nil, fmt.Errorf("wrap %s key: %w", part.name, err)
		}
		wrapped = binary.AppendUvarint(wrapped, uint64(buf.Len()))
		wrapped = append(wrapped, buf.Bytes()...)
	}
	return wrapped, nil
}

// OpenKeys unwraps what NewKeys made for the same tenant; the error is ErrOpen otherwise.
func (i *Installation) OpenKeys(tenant string, wrapped []byte) (*Keys, error) {
	if len(wrapped) == 0 || wrapped[0] != wrappedVersion {
		return nil, fmt.Errorf("keys of %s: %w", tenant, ErrOpen)
	}
	hashing, rest, err := i.unwrap(tenant, "hashing", wrapped[1:])
	if err != nil {
		return nil, err
	}
	sealing, rest, err := i.unwrap(tenant, "sealing", rest)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("keys of %s: %w", tenant, ErrOpen)
	}
	return newKeys(tenant, hashing, sealing)
}

func (i *Installation) unwrap(tenant, name string, wrapped []byte) (*keyset.Handle, []byte, error) {
	size, n := binary.Uvarint(wrapped)
	if n <= 0 || size > uint64(len(wrapped)-n) {
		return nil, nil, fmt.Errorf("%s key of %s: %w", name, tenant, ErrOpen)
	}
	part, rest := wrapped[n:n+int(size)], wrapped[n+int(size):]
	reader := keyset.NewBinaryReader(bytes.NewReader(part))
	handle, err := keyset.ReadWithAssociatedData(reader, i.aead, wrapContext(tenant, name))
	if err != nil {
		return nil, nil, fmt.Errorf("%s key of %s: %w", name, tenant, ErrOpen)
	}
	return handle, rest, nil
}

func wrapContext(tenant, name string) []byte { return []byte("throughline/" + name + "/" + tenant) }

func newKeys(tenant string, hashing, sealing *keyset.Handle) (*Keys, error) {
	primitive, err := aead.New(sealing)
	if err != nil {
		return nil, fmt.Errorf("use sealing key of %s: %w", tenant, err)
	}
	entry, err := hashing.Primary()
	if err != nil {
		return nil, fmt.Errorf("use hashing key of %s: %w", tenant, err)
	}
	key, ok := entry.Key().(*hmacprf.Key)
	if !ok {
		return nil, fmt.Errorf("use hashing key of %s: %w", tenant, errors.New("not an HMAC key"))
	}
	// Tink's PRF sets the key up anew for every call; keeping the keyed state makes PersonKey three times as fast.
	material := key.KeyBytes().Data(insecuresecretdataaccess.Token{})
	k := &Keys{tenant: []byte(tenant), aead: primitive}
	k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, material)} }
	return k, nil
}

// Seal encrypts plain for this tenant. It adds about 60 bytes.
func (k *Keys) Seal(plain []byte) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plain, k.tenant)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same tenant; the error is ErrOpen otherwise.
func (k *Keys) Open(sealed []byte) ([]byte, error) {
	plain, err := k.aead.Decrypt(sealed, k.tenant)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// PersonKey returns the key under which the person with this normalised address is known to the tenant: 22 characters
// of base64url, the same for ever, different for every tenant, and useless without the hashing key.
func (k *Keys) PersonKey(normalizedEmail string) string {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.in = append(append(m.in[:0], purposeEmail...), normalizedEmail...)
	m.hash.Reset()
	m.hash.Write(m.in)
	var out [22]byte
	base64.RawURLEncoding.Encode(out[:], m.hash.Sum(m.sum[:0])[:hashSize])
	return string(out[:])
}

// Hash returns a 16-byte keyed hash of data, for recognising content without keeping it.
func (k *Keys) Hash(data []byte) []byte {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.in = append(m.in[:0], purposeContent...)
	m.hash.Reset()
	m.hash.Write(m.in)
	m.hash.Write(data)
	return bytes.Clone(m.hash.Sum(m.sum[:0])[:hashSize])
}
