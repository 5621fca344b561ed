package seal

import (
	"encoding/binary"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Everything sealed begins with a version byte and the id of its key.
const (
	tinkVersion = 1
	tinkPrefix  = 5
)

// KeyOf tells which key sealed these bytes, as they say themselves; false if they are too short or of another form.
func KeyOf(sealed []byte) (uint32, bool) {
	if len(sealed) < tinkPrefix || sealed[0] != tinkVersion {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:tinkPrefix]), true
}

// KeyOfKeys tells which of the installation's keys wraps a tenant's keys; false if they are of another form, or wrapped
// half by one and half by another, which nothing here does.
func KeyOfKeys(wrapped []byte) (uint32, bool) {
	parts, err := split(wrapped)
	if err != nil {
		return 0, false
	}
	first, ok := KeyOf(parts[0])
	second, also := KeyOf(parts[1])
	return first, ok && also && first == second
}

// Reseal seals anew, with the primary key, what another key has sealed. It returns nil if the primary key did. Its errors
// are those of Open; the bytes are then to be left as they are.
func (i *Installation) Reseal(sealed, associated []byte) ([]byte, error) {
	if key, ok := KeyOf(sealed); ok && key == i.Primary() {
		return nil, nil
	}
	plain, err := i.Open(sealed, associated)
	if err != nil {
		return nil, err
	}
	return i.Seal(plain, associated)
}

// RewrapKeys is Reseal for a tenant's keys, which stay the same keys.
func (i *Installation) RewrapKeys(tenant string, wrapped []byte) ([]byte, error) {
	if key, ok := KeyOfKeys(wrapped); ok && key == i.Primary() {
		return nil, nil
	}
	keys, err := i.unwrap(tenant, wrapped)
	if err != nil {
		return nil, err
	}
	return i.wrap(tenant, keys)
}

// SealingKeys lists a tenant's sealing keys, oldest first. When they were made is not kept with them.
func (i *Installation) SealingKeys(tenant string, wrapped []byte) ([]KeyInfo, error) {
	keys, err := i.unwrap(tenant, wrapped)
	if err != nil {
		return nil, err
	}
	return infoOf(keys.sealing, nil)
}

// AddSealingKey gives a tenant a standby sealing key: it opens, and seals nothing before PromoteSealingKey, so that every
// process can have it first. One at a time; older ones stay and open what they sealed. The hashing key never changes, or
// nobody would be recognised any more.
func (i *Installation) AddSealingKey(tenant string, wrapped []byte) (rewrapped []byte, id uint32, err error) {
	keys, err := i.unwrap(tenant, wrapped)
	if err != nil {
		return nil, 0, err
	}
	all, err := infoOf(keys.sealing, nil)
	if err != nil {
		return nil, 0, err
	}
	last := all[len(all)-1]
	switch {
	case last.State == KeyStandby:
		return nil, 0, fmt.Errorf("workspace %s has sealing key %d standing by: promote it: %w", tenant, last.ID, ErrKeyState)
	case len(all) >= MaxKeys:
		return nil, 0, fmt.Errorf("workspace %s has %d sealing keys, the most: %w", tenant, MaxKeys, ErrKeyState)
	}
	m := keyset.NewManagerFromHandle(keys.sealing)
	if id, err = m.Add(sealingTemplate()); err != nil {
		return nil, 0, fmt.Errorf("make sealing key of %s: %w", tenant, err)
	}
	rewrapped, err = i.wrapSealing(tenant, keys, m)
	return rewrapped, id, err
}

// PromoteSealingKey makes a tenant's standby sealing key the one that seals.
func (i *Installation) PromoteSealingKey(tenant string, wrapped []byte, id uint32) ([]byte, error) {
	keys, err := i.unwrap(tenant, wrapped)
	if err != nil {
		return nil, err
	}
	all, err := infoOf(keys.sealing, nil)
	if err != nil {
		return nil, err
	}
	k, err := find(all, id)
	if err != nil {
		return nil, fmt.Errorf("workspace %s: %w", tenant, err)
	}
	if k.State != KeyStandby {
		return nil, fmt.Errorf("sealing key %d of workspace %s is %s, not standby: %w", id, tenant, k.State, ErrKeyState)
	}
	m := keyset.NewManagerFromHandle(keys.sealing)
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("promote sealing key of %s: %w", tenant, err)
	}
	return i.wrapSealing(tenant, keys, m)
}

func (i *Installation) wrapSealing(tenant string, keys pair, changed *keyset.Manager) ([]byte, error) {
	sealing, err := changed.Handle()
	if err != nil {
		return nil, fmt.Errorf("change sealing key of %s: %w", tenant, err)
	}
	return i.wrap(tenant, pair{keys.hashing, sealing})
}
