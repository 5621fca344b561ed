package tokens

import (
	"encoding/hex"
	"strings"

	"github.com/throughline-dev/throughline/libs/seal"
	"github.com/throughline-dev/throughline/services/internal/normalize"
)

// PlainAddress is an address as the two administrators' are compared: without regard to case, and without the ending that
// sandboxes give theirs (ZOOM-3).
func PlainAddress(address string) string {
	return strings.TrimSuffix(normalize.Fold(address), ".invalid")
}

// AddressKey is what an administrator's address is recognised by, without keeping it. It is not the key under which the same
// person is known as a viewer.
func AddressKey(keys *seal.Keys, address string) string {
	return hex.EncodeToString(keys.Hash([]byte("administrator\x00" + PlainAddress(address))))
}
