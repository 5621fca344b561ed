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
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const (
	wrappedVersion = 1
	hashSize       = 16
	hashingPart    = "hashing"
	sealingPart    = "sealing"

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

// pair are the keysets of a tenant.
type pair struct{ hashing, sealing *keyset.Handle }

// NewKeys makes fresh hashing and sealing keys for a tenant and returns them wrapped with the installation's key. The
// wrapped bytes open for this tenant only.
func (i *Installation) NewKeys(tenant string) ([]byte, error) {
	hashing, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make hashing key: %w", err)
	}
	sealing, err := keyset.NewHandle(sealingTemplate())
	if err != nil {
		return nil, fmt.Errorf("make sealing key: %w", err)
	}
	return i.wrap(tenant, pair{hashing, sealing})
}

// sealingTemplate is XAES-256-GCM, AES-256-GCM with a 192-bit nonce: a tenant seals more messages than the 2^32 that
// random 96-bit nonces allow for one key.
func sealingTemplate() *tinkpb.KeyTemplate { return aead.XAES256GCM192BitNonceKeyTemplate() }

func (i *Installation) wrap(tenant string, keys pair) ([]byte, error) {
	wrapped := []byte{wrappedVersion}
	wrapper := i.state.Load().aead // one key for both parts
	for _, part := range []struct {
		handle *keyset.Handle
		name   string
	}{{keys.hashing, hashingPart}, {keys.sealing, sealingPart}} {
		var buf bytes.Buffer
		err := part.handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), wrapper, wrapContext(tenant, part.name))
		if err != nil {
			return nil, fmt.Errorf("wrap %s key: %w", part.name, err)
		}
		wrapped = binary.AppendUvarint(wrapped, uint64(buf.Len()))
		wrapped = append(wrapped, buf.Bytes()...)
	}
	return wrapped, nil
}

// OpenKeys unwraps what NewKeys made for the same tenant. Its errors are those of Open.
func (i *Installation) OpenKeys(tenant string, wrapped []byte) (*Keys, error) {
	keys, err := i.unwrap(tenant, wrapped)
	if err != nil {
		return nil, err
	}
	return newKeys(tenant, keys.hashing, keys.sealing)
}

func (i *Installation) unwrap(tenant string, wrapped []byte) (pair, error) {
	parts, err := split(wrapped)
	if err != nil {
		return pair{}, fmt.Errorf("keys of %s: %w", tenant, err)
	}
	hashing, err := i.unwrapPart(tenant, hashingPart, parts[0])
	if err != nil {
		return pair{}, err
	}
	sealing, err := i.unwrapPart(tenant, sealingPart, parts[1])
	return pair{hashing, sealing}, err
}

// split takes wrapped keys apart into what is encrypted in them. It checks nothing else.
func split(wrapped []byte) ([2][]byte, error) {
	var parts [2][]byte
	if len(wrapped) == 0 || wrapped[0] != wrappedVersion {
		return parts, ErrOpen
	}
	rest := wrapped[1:]
	for n := range parts {
		size, width := binary.Uvarint(rest)
		if width <= 0 || size > uint64(len(rest)-width) {
			return parts, ErrOpen
		}
		encrypted, err := keyset.NewBinaryReader(bytes.NewReader(rest[width : width+int(size)])).ReadEncrypted()
		if err != nil {
			return parts, ErrOpen
		}
		parts[n], rest = encrypted.GetEncryptedKeyset(), rest[width+int(size):]
	}
	if len(rest) != 0 {
		return parts, ErrOpen
	}
	return parts, nil
}

func (i *Installation) unwrapPart(tenant, name string, encrypted []byte) (*keyset.Handle, error) {
	plain, err := i.Open(encrypted, wrapContext(tenant, name))
	if err != nil {
		return nil, fmt.Errorf("%s key of %s: %w", name, tenant, err)
	}
	handle, err := cleartext(keyset.NewBinaryReader(bytes.NewReader(plain)))
	if err != nil {
		return nil, fmt.Errorf("%s key of %s: %w", name, tenant, err)
	}
	return handle, nil
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
