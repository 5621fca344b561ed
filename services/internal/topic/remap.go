package topic

import (
	"strconv"
	"strings"
)

// HeaderRemap on a record of tl.resolved.v1 asks mapping for a Remap; its value is a Remap's text.
const HeaderRemap = "tl_remap"

// Remap asks for a resolved record to be mapped once more, by the newest version of an integration instead of the one that
// was in force when the event happened. A replay asks so after a mapping was corrected.
type Remap struct {
	// Integration and WriteKey are of the write that failed. Both empty: whatever failed in mapping.
	Integration, WriteKey string
}

// anything stands in a text for whatever failed.
const anything = "*"

// String is the Remap's text.
func (r *Remap) String() string {
	if r.WriteKey == "" {
		return anything
	}
	return r.Integration + "/" + r.WriteKey
}

// ParseRemap reads a Remap's text; ok is false for what is none.
func ParseRemap(text string) (r *Remap, ok bool) {
	if text == anything {
		return &Remap{}, true
	}
	id, key, ok := strings.Cut(text, "/")
	if !ok || id == "" || key == "" {
		return nil, false
	}
	return &Remap{Integration: id, WriteKey: key}, true
}

// ResolvedID is the id of the record of tl.resolved.v1 that tells who is behind a revision of an engagement, in one connection.
func ResolvedID(engagement string, revision int64, connection string) string {
	return engagement + "-" + strconv.FormatInt(revision, 10) + "-" + connection
}
