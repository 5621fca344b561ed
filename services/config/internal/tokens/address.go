package tokens

import "strings"

// PlainAddress is an address as the two administrators' are compared: without regard to case, and without the ending that
// sandboxes give theirs (ZOOM-3).
func PlainAddress(address string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(address)), ".invalid")
}
